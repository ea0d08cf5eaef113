"""The documentation's links lead somewhere."""

import re
from pathlib import Path

import pytest
import support

PAGES = [
    *sorted((support.REPOSITORY / "docs").rglob("*.md")),
    *(
        support.REPOSITORY / name
        for name in (
            "README.md",
            "CONTRIBUTING.md",
            "SECURITY.md",
            "UPGRADING.md",
            "benchmarks/README.md",
            "hooks/README.md",
        )
    ),
]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors that a renderer makes of a page's headings."""
    text = FENCED.sub("", page.read_text("utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(support.REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each link to a file or a heading of this repository finds it."""
    for path, anchor in LINK.findall(FENCED.sub("", page.read_text("utf-8"))):
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name} links to {path}, which isn't there"
        if anchor:
            assert anchor in anchors(target), f"{page.name} links to #{anchor} of {target.name}"
