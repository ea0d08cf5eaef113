"""The pages in Vietnamese say what the English ones say; what is typed is the same."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest
import support

DOCS = support.REPOSITORY / "docs"
PAGES = sorted((DOCS / "vi").glob("*.md"))

BLOCK = re.compile(r"^ *```(?P<language>\w+)\n(?P<code>.*?)^ *```$", re.MULTILINE | re.DOTALL)
UNSEEN = re.compile(r"^<!-- [^\n]*? -->$", re.MULTILINE)
HEADING = re.compile(r"^#+ .+$", re.MULTILINE)
ITEM = re.compile(r"^(?:\d+\.|-) ", re.MULTILINE)
INLINE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)]+)\)")
QUOTED = re.compile(r'"([^"]+)"')
REMARK = re.compile(r" *(?:#|--) .*$", re.MULTILINE)
"""What a line of shell or SQL says to its reader."""
NAME = re.compile(r"\b[A-Z]\w*[A-Z_]\w*\b|\b\d[\dx]*\b")
"""What is called the same in every language: NetworkPolicy, CPU, 503."""


@dataclass
class Section:
    """What stays as it is, in a page's translation, of what stands below one heading."""

    level: int
    paragraphs: int
    items: int
    code: list[str]
    inline: Counter[str]
    links: Counter[str]
    quoted: Counter[str]
    names: set[str]


def sections(page: str, folder: str = "") -> Iterator[Section]:
    """What a page has below its headings; its links are relative to `folder`."""
    page = UNSEEN.sub("", page)
    begun = [found.start() for found in HEADING.finditer(BLOCK.sub(blank, page))]
    for start, end in zip(begun, [*begun[1:], len(page)], strict=True):
        heading, _, text = page[start:end].partition("\n")
        prose = BLOCK.sub("", text)
        words = LINK.sub("]", INLINE.sub("", prose))
        chunks = [chunk for chunk in re.split(r"\n\s*\n", prose) if chunk.strip()]
        yield Section(
            level=heading.index(" "),
            paragraphs=sum(not ITEM.match(chunk.strip()) for chunk in chunks),
            items=len(ITEM.findall(prose)),
            code=[REMARK.sub(" #", dedent(each["code"])) for each in BLOCK.finditer(text)],
            inline=Counter(" ".join(each.split()) for each in INLINE.findall(prose)),
            links=Counter(each.removeprefix(folder) for each in LINK.findall(prose)),
            quoted=Counter(QUOTED.findall(words)),
            names=set(NAME.findall(words)),
        )


def blank(found: re.Match[str]) -> str:
    """As many characters that are none of a heading."""
    return " " * len(found[0])


def compare(vietnamese: str, english: str) -> None:
    """Fail where one page has, below its introduction, what the other one lacks."""
    ours, theirs = HEADING.findall(BLOCK.sub("", vietnamese)), list(sections(english))
    translated = list(sections(vietnamese, "../"))
    assert len(translated) == len(theirs)
    for heading, section, original in list(zip(ours, translated, theirs, strict=True))[1:]:
        assert section == original, heading


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_letters_are_composed(page: Path) -> None:
    """Each accented letter is one character (NFC): a search for it finds it."""
    text = page.read_text("utf-8")
    assert unicodedata.is_normalized("NFC", text)
    assert re.search("[ạảấầẩậắằặẹẻếềểệịọỏốồổộớờởợụủứừửữựỳỵỷỹđ]", text)


def test_the_tutorial_has_one_type_the_same() -> None:
    """Each block and each hidden comment: the test that follows the English one proves both."""
    parts = re.compile(f"{UNSEEN.pattern}|{BLOCK.pattern}", re.MULTILINE | re.DOTALL)
    english = (DOCS / "tutorial.md").read_text("utf-8")
    vietnamese = (DOCS / "vi/tutorial.md").read_text("utf-8")

    found = [each[0] for each in parts.finditer(vietnamese)]

    assert len(found) > 10
    assert found == [each[0] for each in parts.finditer(english)]
    compare(vietnamese, english)


def test_the_runbook_is_that_of_a_service(tmp_path: Path, render: Callable[..., Path]) -> None:
    """It has the alerts, commands, queries, links and names of the one that is rendered."""
    service = render(tmp_path / "service", {"database": "postgresql"})
    english = (service / "docs/runbook.md").read_text("utf-8")
    vietnamese = (DOCS / "vi/runbook.md").read_text("utf-8")

    alerts = re.compile(r"^### (\w+)$", re.MULTILINE)
    assert len(alerts.findall(vietnamese)) > 15
    assert alerts.findall(vietnamese) == alerts.findall(english)
    compare(vietnamese, english)


def test_the_first_page_has_what_the_english_one_has() -> None:
    """Its sections down to the list of pages: commands, links, figures and rows."""
    vietnamese, _, _ = (DOCS / "vi/index.md").read_text("utf-8").partition("\n## Thuật ngữ\n")
    english, _, _ = (DOCS / "index.md").read_text("utf-8").partition("\n## All pages\n")
    theirs = list(sections(english))
    ours = list(sections(vietnamese, "../"))
    assert len(ours) == len(theirs) == 5
    for section, original in list(zip(ours, theirs, strict=True))[1:]:
        assert section.code == original.code
        assert section.inline == original.inline
        assert pages(section) == pages(original)
        assert section.items == original.items
        assert section.paragraphs == original.paragraphs
    assert figures(vietnamese) == figures(english)


def figures(page: str) -> Counter[str]:
    """The numbers in a page, however it parts their thousands."""
    return Counter(re.findall(r"\d+", re.sub(r"(?<=\d)[.,](?=\d{3})", "", page)))


def pages(section: Section) -> Counter[str]:
    """The pages that a section links to; those that are translated have their own headings."""
    return Counter(re.sub(r"#.*", "", link) for link in section.links.elements())


def test_the_names_in_the_source_are_those_of_the_reference() -> None:
    """The classes that were first described in Vietnamese."""
    page = (DOCS / "vi/index.md").read_text("utf-8")
    reference = (DOCS / "reference.md").read_text("utf-8")
    classes = r"^`from payment_api.chassis import (\w+)`; `(\w+)` in the source\.$"
    told = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", page, re.MULTILINE)
    assert {(ours, source) for source, ours in told} == set(
        re.findall(classes, reference, re.MULTILINE)
    )
