"""The documentation's links lead somewhere, and what they are about is what is said of it."""

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


RECORDS = sorted((support.REPOSITORY / "docs/decisions").glob("0*.md"))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name[:4])
def test_a_decision_says_what_has_become_of_it(record: Path) -> None:
    """Below its heading; one whose place another takes names it, and in the list it is told too."""
    text = record.read_text("utf-8")
    listed = (record.parent / "README.md").read_text("utf-8").partition(f"({record.name})")[2]
    later = [each for each in RECORDS if f"]({record.name})" in claim_of(each)]

    status = text.split("\n\n")[1]

    assert status.startswith("**Status.** ")
    assert ("Superseded by" in status) == bool(later)
    for each in later:
        assert f"({each.name})" in status
        assert f"({int(each.name[:4])} takes its place)" in listed.partition("\n")[0]


def claim_of(record: Path) -> str:
    """The line by which a record takes another's place."""
    return "".join(re.findall(r"^Takes the place of .*$", record.read_text("utf-8"), re.MULTILINE))


STACK = re.compile(r'File "chassis/([\w/]+\.py)", line \.\.\., in (\w+)\n +(.+)')


def test_the_code_in_a_stack_is_there() -> None:
    """Where a page shows where the tasks of a worker wait."""
    chassis = support.REPOSITORY / "template/src/{{package_name}}/chassis"
    shown = STACK.findall((support.REPOSITORY / "docs/health.md").read_text("utf-8"))
    assert len(shown) == 2
    for file, function, code in shown:
        lines = (chassis / file).read_text("utf-8").partition(f"def {function}(")[2].splitlines()
        assert code in [line.strip() for line in lines]
