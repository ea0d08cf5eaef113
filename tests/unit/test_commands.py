"""What the pages have one type is run by a test: by which, and what no other one runs."""

import re
import shlex
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sessions
import support
import yaml

ENTRIES: list[dict[str, str]] = tomllib.loads(
    (support.REPOSITORY / "tests/commands.toml").read_text("utf-8")
)["block"]
PAGES = (
    *(support.REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "hooks/README.md")),
    *sorted((support.REPOSITORY / "docs").rglob("*.md")),
)
BLOCK = re.compile(r"^ *```(?:console|sh|bash|shell)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
MAKES_A_SERVICE = re.compile(r"^\$ (uvx copier copy .*<this repository> (\S+))$", re.MULTILINE)


def name_of(page: Path) -> str:
    """A page as the entries name it."""
    return page.relative_to(support.REPOSITORY).as_posix()


def blocks() -> Iterator[tuple[str, str]]:
    """Each block, by its page and by its first line, without the prompt and what is said of it."""
    for page in PAGES:
        for block in BLOCK.findall(page.read_text("utf-8")):
            first = re.sub(r"\s+# .*", "", block.strip().splitlines()[0])
            yield name_of(page), first.removeprefix("$ ")


def test_each_block_has_an_entry_and_each_entry_a_block() -> None:
    """One each, or one for all of a page."""
    shown = Counter(blocks())
    whole = {entry["page"] for entry in ENTRIES if "first" not in entry}
    listed = Counter((entry["page"], entry["first"]) for entry in ENTRIES if "first" in entry)

    assert Counter({it: n for it, n in shown.items() if it[0] not in whole}) == listed
    assert whole <= {page for page, _ in shown}


@pytest.mark.parametrize(
    "entry", ENTRIES, ids=lambda it: f"{it['page']} {it.get('first', '')}"[:60]
)
def test_the_named_test_is_there(entry: dict[str, str]) -> None:
    """Or the reason why there is none."""
    assert ("test" in entry) != ("unrun" in entry)
    if "test" in entry:
        path, _, function = entry["test"].partition("::")
        text = (support.REPOSITORY / path).read_text("utf-8")
        assert re.search(rf"^def {re.escape(function)}\(", text, re.MULTILINE), entry["test"]


def services() -> list[tuple[str, str, str]]:
    """The commands that make a service, with their pages and the folders that they make."""
    return [
        (name_of(page), *found)
        for page in PAGES
        for found in MAKES_A_SERVICE.findall(page.read_text("utf-8"))
    ]


@pytest.mark.parametrize(("page", "command", "folder"), services())
def test_a_service_is_made_as_the_page_says(
    page: str, command: str, folder: str, template_source: Path, tmp_path: Path
) -> None:
    """By uvx, with all other answers by default, and without trust."""
    words = shlex.split(command.replace("<this repository>", str(template_source)))

    support.run([*words, "--defaults"], tmp_path)

    answers = yaml.safe_load((tmp_path / folder / ".copier-answers.yml").read_text("utf-8"))
    for wanted in re.findall(r"archetype=(\w+)", command):
        assert answers["archetype"] == wanted, page


def test_the_doctor_says_of_that_file_what_the_page_says(
    installed: Callable[..., Path], tmp_path: Path
) -> None:
    """The page has the file, and all that is printed about it."""
    page = (support.REPOSITORY / "docs/doctor.md").read_text("utf-8")
    (shown,) = (block for block in BLOCK.findall(page) if "--gunicorn" in block)
    (content,) = re.findall(r"^for the file\n\n```\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    file = tmp_path / "gunicorn.conf.py"
    file.write_text(content)
    typed, *lines = shown.splitlines()
    command = shlex.split(typed.removeprefix("$ uv run ").replace(file.name, str(file)))

    done = support.run([".venv/bin/python", *command[1:]], installed(), check=False)

    printed = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    expected = [line.replace(file.name, "...gunicorn.conf.py") for line in lines if line.strip()]
    sessions.aligned(expected, printed)
    assert done.returncode == 1
