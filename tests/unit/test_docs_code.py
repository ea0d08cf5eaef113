"""The code in the documentation runs in a generated service, and its types are right."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import docs_code
import pytest
import support

PAGES = {
    str(path.relative_to(support.REPOSITORY)): path
    for path in (support.REPOSITORY / "README.md", *(support.REPOSITORY / "docs").rglob("*.md"))
}
WITH_CODE = sorted(name for name, path in PAGES.items() if docs_code.module_of(path.read_text()))

FOLLOWED = {"docs/tutorial.md", "docs/vi/tutorial.md"}
"""Pages whose Python is a program that one writes and starts: tests/boot/test_tutorial.py does."""

ANSWERS: dict[str, Mapping[str, str]] = {"docs/tokens.md": support.EVERY_FEATURE}
"""The answers of the service that a page is about; of those that aren't here, the default one.

Each other set of answers is one more service to install: take one that other tests install anyway.
"""


def projects(pages: list[str]) -> Iterator[tuple[Mapping[str, str], list[str]]]:
    """The pages by the service that they are about."""
    answers = [ANSWERS.get(page, {}) for page in pages]
    for each in [one for number, one in enumerate(answers) if one not in answers[:number]]:
        yield each, [page for page in pages if ANSWERS.get(page, {}) == each]


def test_there_is_code() -> None:
    """The pages are looked for where they are."""
    assert "docs/breaker.md" in WITH_CODE


def test_the_features_are_those_of_the_services_main(
    render: Callable[..., Path], tmp_path: Path
) -> None:
    """In its order, in which resources open; a service may have none."""
    every = render(tmp_path / "every", support.EVERY_FEATURE) / "src/payment_api/main.py"
    parts = ["tracing", "database", "idempotency", "jwt", "redis", "outbox"]
    assert docs_code.named_features(every.read_text("utf-8")) == parts
    bare = render(tmp_path / "bare", {"archetype": "minimal"}) / "src/payment_api/main.py"
    assert docs_code.named_features(bare.read_text("utf-8")) == []


@pytest.mark.parametrize("name", sorted({*WITH_CODE} - FOLLOWED))
def test_the_python_of_a_page_runs(
    name: str, installed: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one module, with the service installed; its assertions hold and it warns of nothing."""
    project = installed(ANSWERS.get(name, {}))
    runner = support.REPOSITORY / "tests/docs_code.py"
    if name in ANSWERS:  # their servers have to be named; none of these pages asks them
        monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
        monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    else:
        monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/page.db")
        support.run([".venv/bin/alembic", "upgrade", "heads"], project)

    support.run([".venv/bin/python", "-W", "error", runner, PAGES[name]], project, timeout=60)


def test_the_python_of_a_readme_runs(installed: Callable[..., Path]) -> None:
    """That of the service's own README, as it was rendered."""
    project = installed()
    runner = support.REPOSITORY / "tests/docs_code.py"

    support.run([".venv/bin/python", "-W", "error", runner, "README.md"], project, timeout=60)


@pytest.mark.parametrize(("answers", "names"), list(projects(WITH_CODE)))
def test_the_python_of_the_pages_is_typed(
    answers: Mapping[str, str], names: list[str], tmp_path: Path, installed: Callable[..., Path]
) -> None:
    """Under mypy --strict, with the service's own configuration, and without a finding of ruff."""
    project = installed(answers)
    for name in names:
        module = tmp_path / f"page_{PAGES[name].stem.replace('-', '_')}.py"
        module.write_text(docs_code.module_of(PAGES[name].read_text("utf-8")), "utf-8")

    cache = f"--cache-dir={tmp_path / 'cache'}"
    redefined = "--disable-error-code=no-redef"  # a page may show a function more than once
    support.run([".venv/bin/mypy", cache, redefined, tmp_path], project)
    ignored = "--extend-ignore=E402,F811,I001,S101"  # imports where they are needed; pages assert
    ruff = [".venv/bin/ruff", "check", "--no-cache", "--config=pyproject.toml", ignored]
    support.run([*ruff, tmp_path], project)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_json_of_a_page_is_json(name: str) -> None:
    """Each block is one document, or one a line; and no block is overlooked, Python neither."""
    text = PAGES[name].read_text("utf-8")
    assert docs_code.overlooked(text) == 0
    for block in docs_code.blocks(text, "json"):
        try:
            json.loads(block.code)
        except ValueError:
            for line in block.code.splitlines():
                json.loads(line)
