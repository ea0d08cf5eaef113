"""Make the documentation site: `make docs`, or `make docs SERVE=1` to look at it while writing.

    .venv-docs/bin/python scripts/docs_site.py [--serve [HOST:PORT]] [--into FOLDER]

The pages are read in the repository as well, so their links lead to files of it. Here they are put
together in one folder, with those that stand outside of docs/, and each link to a page follows it
there; one to any other file keeps its words alone. Then zensical builds, and refuses a dead link.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"
CONFIGURATION = REPOSITORY / "zensical.toml"

OTHERS = {
    "README.md": "project/readme.md",
    "CHANGELOG.md": "project/changelog.md",
    "UPGRADING.md": "project/upgrading.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "benchmarks/README.md": "project/benchmarks.md",
    "hooks/README.md": "project/migrations.md",
}
"""Pages outside of docs/, and where they stand in the site."""

_FENCED = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")


def sources() -> dict[Path, str]:
    """Every file of the site, and its path there."""
    ours = {path: str(path.relative_to(DOCS)) for path in DOCS.rglob("*") if path.is_file()}
    return ours | {REPOSITORY / name: target for name, target in OTHERS.items()}


def moved(text: str, source: Path, places: dict[Path, str]) -> str:
    """A page's text with its links as they are in the site."""

    def link(found: re.Match[str]) -> str:
        words, path, anchor = found.groups(default="")
        target = places.get(Path(os.path.normpath(source.parent / path)))
        if target is None:
            return words
        return f"[{words}]({os.path.relpath(target, Path(places[source]).parent)}{anchor})"

    parts = _FENCED.split(text)  # every second one is a block of code
    parts[::2] = (_LINK.sub(link, part) for part in parts[::2])
    return "".join(parts)


def stage(folder: Path) -> None:
    """Put the site's sources together, touching only what has changed."""
    places = sources()
    pages = folder / "pages"
    for source, place in places.items():
        content = source.read_bytes()
        if source.suffix == ".md":
            content = moved(content.decode("utf-8"), source, places).encode()
        write(pages / place, content)
    for path in pages.rglob("*"):
        if path.is_file() and str(path.relative_to(pages)) not in places.values():
            path.unlink()
    write(folder / CONFIGURATION.name, CONFIGURATION.read_bytes())


def write(path: Path, content: bytes) -> None:
    """Write a file unless it says that already."""
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def zensical(folder: Path, *arguments: str) -> list[str]:
    """The command line of the site's generator, which stands beside this Python."""
    program = str(Path(sys.executable).with_name("zensical"))
    return [program, *arguments, "--config-file", str(folder / CONFIGURATION.name)]


def build(folder: Path) -> int:
    """Build the site; 1 where a link of it is dead."""
    shutil.rmtree(folder / "html", ignore_errors=True)
    stage(folder)
    built = subprocess.run(zensical(folder, "build", "--strict", "--clean"), check=False)
    for page in (folder / "html/vi").rglob("*.html"):  # the generator knows one language a site
        text = page.read_text("utf-8")
        page.write_text(text.replace('<html lang="en"', '<html lang="vi"', 1), "utf-8")
    return built.returncode


def serve(folder: Path, address: str) -> int:
    """Serve the site, and follow what changes in the repository, until Ctrl-C."""
    stage(folder)
    server = subprocess.Popen(zensical(folder, "serve", "--dev-addr", address))
    try:
        while server.poll() is None:
            time.sleep(0.5)
            stage(folder)
    except KeyboardInterrupt:
        server.wait()  # it has heard the Ctrl-C as well
    return 0 if server.returncode in (0, -2, 130) else 1


def main() -> int:
    """Build or serve; return the exit code."""
    parser = argparse.ArgumentParser(description="Make the documentation site.")
    parser.add_argument(
        "--serve", nargs="?", const="127.0.0.1:8001", metavar="HOST:PORT", help="serve it there"
    )
    parser.add_argument("--into", type=Path, default=REPOSITORY / ".site", metavar="FOLDER")
    arguments = parser.parse_args()
    folder: Path = arguments.into.resolve()
    return serve(folder, arguments.serve) if arguments.serve else build(folder)


if __name__ == "__main__":
    sys.exit(main())
