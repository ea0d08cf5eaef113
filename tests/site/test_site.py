"""The site as its readers meet it: every page in a real browser, wide, narrow, light and dark."""

import html.parser
import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest
import support
from browser import Browser
from markdown_it import MarkdownIt

sys.path.insert(0, str(support.REPOSITORY / "scripts"))
import docs_site

NAMES = sorted(
    place.replace("README.md", "index.md").replace(".md", ".html")
    for place in docs_site.sources().values()
    if place.endswith(".md")
)
"""The pages, by their paths in the site."""

LOOKS = [(width, dark) for width in (1280, 390) for dark in (False, True)]
"""A laptop's window and a telephone's, by day and by night."""

TOO_WIDE = """
[...document.querySelectorAll('article *')].filter(element => {
  if (element.getBoundingClientRect().right <= innerWidth + 1) return false
  for (let each = element; each; each = each.parentElement)
    if (/auto|scroll|hidden/.test(getComputedStyle(each).overflowX)) return false
  return element.checkVisibility()
}).map(element => element.outerHTML.slice(0, 80))
"""
"""What sticks out of the window, and can't be scrolled to where it stands."""

COUNTED = (
    "a",
    "code",
    "em",
    "h2",
    "h3",
    "img",
    "li",
    "ol",
    "p",
    "pre",
    "strong",
    "table",
    "tr",
    "ul",
)


class Page(html.parser.HTMLParser):
    """What a page links to, which anchors it has, and how many elements its article has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.elements: dict[str, int] = dict.fromkeys(COUNTED, 0)
        self._in_article = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        given = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := given.get(name))}
        if link := given.get("href") or given.get("src"):
            self.links.add(link)
        self._in_article |= tag == "article"
        themes = re.search(r"headerlink|md-", given.get("class") or "") or "tabindex" in given
        if self._in_article and tag in COUNTED and not themes:
            self.elements[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        """The end of the article is the end of what is the author's."""
        if tag == "article":
            self._in_article = False


@pytest.fixture(scope="session")
def pages(built: Path) -> dict[str, Page]:
    """Every page of the site, by its path there."""
    root = built / "html"
    return {
        str(path.relative_to(root)): Page(path.read_text("utf-8")) for path in root.rglob("*.html")
    }


def test_every_link_leads_somewhere(built: Path, pages: dict[str, Page]) -> None:
    """Pages, their anchors, pictures and styles are there."""
    assert set(NAMES) < set(pages)
    for name, page in pages.items():
        for link in page.links:
            if urlsplit(link).scheme in {"http", "https", "mailto"}:
                continue
            path, anchor = urldefrag(urljoin(f"/{name}", link))
            target = unquote(path).lstrip("/") or "index.html"
            if target.endswith("/"):
                target += "index.html"
            assert (built / "html" / target).is_file(), f"{name} links to {link}"
            if anchor and target in pages:
                anchors = pages[target].anchors | {"__comments", "__source"}
                assert unquote(anchor) in anchors, f"{name} links to {link}"


def test_the_navigation_has_every_page(pages: dict[str, Page]) -> None:
    """A page that isn't in it is found by nobody."""
    menu = {urljoin("/", link) for link in pages["index.html"].links}
    for name in NAMES:
        assert menu & {f"/{name}", f"/{name}".removesuffix("index.html")}, name


def test_a_dead_link_stops_the_build(built: Path, tmp_path: Path) -> None:
    """To a page, and to a heading."""
    for link in ("nowhere.md", "workers.md#nowhere"):
        folder = tmp_path / str(len(link))
        (folder / "pages").mkdir(parents=True)
        for path in (built / "pages").rglob("*"):
            target = folder / "pages" / path.relative_to(built / "pages")
            if path.is_dir():
                target.mkdir(exist_ok=True)
            else:
                target.write_bytes(path.read_bytes())
        (folder / "zensical.toml").write_bytes((built / "zensical.toml").read_bytes())
        with (folder / "pages/limits.md").open("a") as page:
            page.write(f"\n[there]({link})\n")
        zensical = support.REPOSITORY / ".venv-docs/bin/zensical"
        done = support.run([zensical, "build", "--strict"], folder, check=False)
        assert done.returncode != 0, link
        assert "does not exist" in done.stdout + done.stderr


def test_a_page_is_in_the_site_what_it_is_in_the_repository(
    built: Path, pages: dict[str, Page]
) -> None:
    """As many lists, tables, paragraphs and blocks of code as CommonMark has, which hosts show."""
    commonmark = MarkdownIt("commonmark").enable("table")
    sources = built / "pages"
    for path in sources.rglob("*.md"):
        name = str(path.relative_to(sources).with_suffix(".html")).replace(
            "README.html", "index.html"
        )
        text = path.read_text("utf-8")
        expected = Page(f"<article>{commonmark.render(text)}</article>").elements
        found = pages[name].elements
        assert found == expected, name


@pytest.mark.parametrize("name", [*NAMES, "404.html"])
def test_a_page_looks_right(site: str, chromium: Browser, name: str) -> None:
    """No error, no request that fails or goes elsewhere, and nothing that sticks out."""
    chromium.open(site + name)
    for width, dark in LOOKS:
        chromium.look(width=width, dark=dark)
        scheme = chromium.ask("document.body.dataset.mdColorScheme")
        assert scheme == ("slate" if dark else "default")
        assert chromium.ask("document.documentElement.scrollWidth") <= width
        assert chromium.ask(TOO_WIDE) == [], f"at {width}"
        if folder := os.environ.get("SCREENSHOTS"):
            shade = "dark" if dark else "light"
            picture = f"{name.removesuffix('.html').replace('/', '-')}-{width}-{shade}.png"
            chromium.screenshot(Path(folder, picture))
    assert chromium.complaints(site) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_page_says_which_language_it_is_in(name: str, built: Path) -> None:
    """Which is how it is read out, hyphenated and found."""
    text = (built / "html" / name).read_text("utf-8")
    language = "vi" if name.startswith("vi/") else "en"
    assert re.findall(r'<html lang="(\w+)"', text) == [language]
