"""The pages of a generated service are about exactly what was chosen, and about what is there."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import support

VARIANTS: dict[str, Mapping[str, str]] = {
    "minimal": {"archetype": "minimal"},
    "bare": {
        "archetype": "minimal",
        "deploy": "[]",
        "ci": "none",
        "cpu_limit": "0.1",
        "replicas_min": "1",
        "replicas_max": "1",
    },
    "default": {},
    "inference": {"archetype": "inference"},
    "inference-with-postgresql": {
        "archetype": "inference",
        "database": "postgresql",
        "deploy": "[kubernetes]",
        "service_name": "x" + "-1" * 14 + "z",
        "cpu_limit": "256",
        "memory_limit_mib": "1048576",
        "database_max_connections": "1000000",
    },
    "everything-on-gitlab": {**support.EVERY_FEATURE, "ci": "gitlab"},
}
PAGES = ("README.md", "OWNERSHIP.md", "docs/architecture.md", "docs/runbook.md")
CHOSEN: dict[str, Callable[[Mapping[str, str]], bool]] = {
    r"redis": lambda it: it.get("events") == "redis",
    r"postgres": lambda it: it.get("database") == "postgresql",
    r"sqlite": lambda it: has_sqlite(it),
    r"migrat|outbox|database|idempoten": lambda it: has_sqlite(it) or "database" in it,
    r"\bjwt|bearer": lambda it: it.get("auth") == "jwt",
    r"otel|\bspans?\b": lambda it: it.get("tracing") == "yes",
    r"kubectl|kubernetes/|overlay": lambda it: "kubernetes" in deploy(it),
    r"\bcompose\b|nginx": lambda it: "compose" in deploy(it),
    r"payments?(?![-_]api)": lambda it: "archetype" not in it,
    r"models?\b|predict": lambda it: it.get("archetype") == "inference",
    r"github": lambda it: it.get("ci", "github") == "github",
    r"gitlab": lambda it: it.get("ci") == "gitlab",
}
"""Words, and the answers that they are about."""

ELSEWHERE = re.compile(r"uvx copier update|https?://\S+|PostgreSQL is an answer away|`compose`")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)\)")
FILE = re.compile(r"`((?:[\w.{}*-]+/)+[\w.*-]*|[\w-]+\.(?:py|md|mk|toml|yml|yaml))`")


def has_sqlite(answers: Mapping[str, str]) -> bool:
    """Payments are stored in a file by default."""
    return answers.get("database", "none" if "archetype" in answers else "sqlite") == "sqlite"


def deploy(answers: Mapping[str, str]) -> str:
    """What it is deployed with."""
    return answers.get("deploy", "[compose]" if has_sqlite(answers) else "[compose, kubernetes]")


@pytest.fixture(params=list(VARIANTS))
def variant(
    request: pytest.FixtureRequest, tmp_path: Path, render: Callable[..., Path]
) -> tuple[Path, Mapping[str, str]]:
    """A rendered project and its answers."""
    answers = VARIANTS[request.param]
    return render(tmp_path / "service", answers), answers


def test_no_word_is_about_what_was_not_chosen(variant: tuple[Path, Mapping[str, str]]) -> None:
    """And what was chosen is spoken of."""
    project, answers = variant
    package = str(answers.get("service_name", "payment-api")).replace("-", "_")
    for name in PAGES:
        text = (project / name).read_text("utf-8").replace(package, "package")
        text = ELSEWHERE.sub("", text.replace("payment-api", "service"))
        for word, is_chosen in CHOSEN.items():
            found = re.search(rf"(?i).*(?:{word}).*", text)
            if not is_chosen(answers):
                assert not found, f"{name}: {word} in {found and found[0]!r}"


def test_what_is_linked_is_there(variant: tuple[Path, Mapping[str, str]]) -> None:
    """Pages, and headings of theirs."""
    project, _ = variant
    for name in PAGES:
        page = project / name
        for path in LINK.findall(page.read_text("utf-8")):
            assert (page.parent / path).exists(), f"{name} links to {path}"
    assert "docs/architecture.md" in LINK.findall((project / "README.md").read_text("utf-8"))


def test_the_architecture_names_files_that_are_there(
    variant: tuple[Path, Mapping[str, str]],
) -> None:
    """In the service's folder, or in its package."""
    project, _ = variant
    (package,) = (it.parent for it in project.glob("src/*/wiring.py"))
    places = (project, package, package / "payments")
    for path in FILE.findall((project / "docs/architecture.md").read_text("utf-8")):
        if not path.startswith("data/"):  # is made by the start
            assert any(list(place.glob(path.rstrip("/"))) for place in places), path


def test_the_architecture_names_each_table(variant: tuple[Path, Mapping[str, str]]) -> None:
    """Those that the code declares, the chassis' included."""
    project, _ = variant
    page = (project / "docs/architecture.md").read_text("utf-8")
    code = "".join(
        path.read_text("utf-8")
        for path in project.glob("src/**/*.py")
        if "doctor" not in path.parts
    )
    declared = set(re.findall(r"^\w+ = Table\(\s*\"(\w+)\"", code, re.MULTILINE))
    rows = page.partition("| table |")[2].partition("\n\n")[0]
    named = {
        it for row in rows.splitlines()[2:] for it in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert named == declared


def test_the_drawing_is_in_its_box(variant: tuple[Path, Mapping[str, str]]) -> None:
    """Whatever numbers stand in it; and no line of the page ends in a blank."""
    project, _ = variant
    page = (project / "docs/architecture.md").read_text("utf-8")
    box = [line for line in page.splitlines() if re.match(r"(\+-.*\+|\|   .*\||\| +\|)$", line)]
    assert len(box) == 7
    assert {len(line) for line in box} == {68}
    assert not re.search(r" +$", page, re.MULTILINE)
    assert "\n\n\n" not in page


def test_a_page_that_is_named_is_there_or_said_to_be_the_templates(
    variant: tuple[Path, Mapping[str, str]],
) -> None:
    """In whatever file: a service has two pages of its own."""
    project, _ = variant
    for path in sorted(project.rglob("*")):
        if not path.is_file() or path.suffix == ".onnx" or "tests" in path.parts[-4:-1]:
            continue
        lines = path.read_text("utf-8").splitlines()
        for number, line in enumerate(lines):
            around = " ".join(lines[max(number - 1, 0) : number + 2])
            for page in re.findall(r"\bdocs/[\w-]+\.md\b", line):
                assert (project / page).exists() or "template" in around, f"{path}: {page}"
