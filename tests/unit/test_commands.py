"""What the pages show is run or compared by a test: by which, and what no other one runs."""

import re
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import docs_code
import pytest
import sessions
import support
import yaml

ENTRIES: list[dict[str, str]] = tomllib.loads(
    (support.REPOSITORY / "tests/commands.toml").read_text("utf-8")
)["block"]
PAGES = (
    *(
        support.REPOSITORY / name
        for name in (
            "README.md",
            "CHANGELOG.md",
            "CONTRIBUTING.md",
            "SECURITY.md",
            "UPGRADING.md",
            "benchmarks/README.md",
            "hooks/README.md",
        )
    ),
    *sorted((support.REPOSITORY / "docs").rglob("*.md")),
)
MAKES_A_SERVICE = re.compile(r"^\$ (uvx copier copy .*<this repository> (\S+))$", re.MULTILINE)


def name_of(page: Path) -> str:
    """A page as the entries name it."""
    return page.relative_to(support.REPOSITORY).as_posix()


def shown() -> Iterator[tuple[str, str]]:
    """Each block but Python's, by its page and its first line of words, without the prompt."""
    for page in PAGES:
        for block in docs_code.fences(page.read_text("utf-8")):
            if block.language != "python":  # tests/unit/test_docs_code.py runs those
                first = next(line for line in block.code.splitlines() if re.search(r"\w", line))
                yield name_of(page), re.sub(r"\s+# .*", "", first.strip()).removeprefix("$ ")


def test_each_block_has_an_entry_and_each_entry_a_block() -> None:
    """One each, or one for all of a page."""
    blocks = list(shown())
    left = [(entry["page"], entry["first"]) for entry in ENTRIES if "first" in entry]
    whole = {entry["page"] for entry in ENTRIES if "first" not in entry}
    for page, line in blocks:
        if page not in whole:
            found = [each for each in left if each[0] == page and line.startswith(each[1])]
            assert found, f"{page} shows this, and no test is named for it: {line}"
            left.remove(max(found, key=lambda each: len(each[1])))
    assert left == [], "no page shows this any more"
    assert whole <= {page for page, _ in blocks}


@pytest.mark.parametrize(
    "entry", ENTRIES, ids=lambda it: f"{it['page']} {it.get('first', '')}"[:60]
)
def test_the_named_test_is_there(entry: dict[str, str]) -> None:
    """One that runs or compares what is shown; or the reason why there is none."""
    (kind,) = entry.keys() & {"test", "unrun"}
    if kind == "test":
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
    blocks = [block.code for block in docs_code.fences(page)]
    (printed_there,) = (block for block in blocks if "--gunicorn" in block)
    (content,) = (block for block in blocks if block.startswith("worker_class = "))
    file = tmp_path / "gunicorn.conf.py"
    file.write_text(content)
    typed, *lines = printed_there.splitlines()
    command = shlex.split(typed.removeprefix("$ uv run ").replace(file.name, str(file)))

    done = support.run([".venv/bin/python", *command[1:]], installed(), check=False)

    printed = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    expected = [line.replace(file.name, "...gunicorn.conf.py") for line in lines if line.strip()]
    sessions.aligned(expected, printed)
    assert done.returncode == 1


def made(page: str, part: str) -> list[str]:
    """The last line that make would run, of each that this block of a page has one type."""
    block = docs_code.shown(support.REPOSITORY / page, part)
    lines = [shlex.split(line.removeprefix("$ "), comments=True) for line in block.splitlines()]
    assert {words[0] for words in lines} == {"make"}
    runs = [support.run(["make", "-n", *words[1:]], support.REPOSITORY).stdout for words in lines]
    return [" ".join(run.splitlines()[-1].split()) for run in runs]


def test_the_readmes_commands_run_what_is_tested() -> None:
    """The demo, all tests down to the last tier, and the site."""
    demo, test, docs = made("README.md", "$ make docs")
    assert demo.split()[1:] == ["scripts/demo.py"]  # tests/unit/test_demo.py
    assert test.split()[0].endswith("pytest")
    assert test.split()[-1] == "tests/container"
    assert docs.split()[1:] == ["scripts/docs_site.py"]  # tests/site


def test_a_quick_measure_keeps_nothing() -> None:
    """As the page says that all of them do; the commands there name measures that there are."""
    command = re.compile(r"\S+/python -m benchmarks( --quick)?(?: (\w+))?")
    found = [command.fullmatch(line) for line in made("docs/benchmarks.md", "QUICK=1")]
    assert [bool(each and each[1]) for each in found] == [False, False, True]
    for each in found:
        assert each
        assert not each[2] or (support.REPOSITORY / f"benchmarks/{each[2]}.py").is_file()
    before = support.git(support.REPOSITORY, "status", "--porcelain")

    done = support.run(
        [sys.executable, "-m", "benchmarks", "--quick", "breaker"], support.REPOSITORY
    )

    assert "| median |" in done.stdout
    assert support.git(support.REPOSITORY, "status", "--porcelain") == before
