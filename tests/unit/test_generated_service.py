"""The generated service passes its own tests and its own lint, by its own commands."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
import servers
import support

# The chassis' tests are the same in all projects and take their time, so three of them are enough:
# both sides of whatever is conditional stand in one or another.
INFERENCE: Mapping[str, str] = {
    "archetype": "inference",
    "service_name": "x" * 30,
    "description": 'Don\'t say "no": ' + "☃" * 80,
    "cpu_limit": "500m",
    "workload": "io",
    "drain_seconds": "3",
}
MINIMAL: Mapping[str, str] = {"archetype": "minimal"}
PROJECTS = pytest.mark.parametrize(
    "answers",
    [
        pytest.param(support.EVERY_FEATURE, id="every-feature"),
        pytest.param({}, id="defaults"),
        pytest.param(INFERENCE, id="inference"),
    ],
)


@pytest.fixture
def _servers(answers: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A PostgreSQL and a Redis for the tests of a service that has them."""
    with ExitStack() as stack:
        if answers.get("database") == "postgresql":
            url = stack.enter_context(servers.postgres()).create("tests")
            monkeypatch.setenv("TEST_DATABASE_URL", url)
            monkeypatch.setenv("TEST_REDIS_URL", stack.enter_context(servers.redis()).url())
        yield


@PROJECTS
@pytest.mark.usefixtures("_servers")
def test_passes_its_tests(answers: Mapping[str, str], installed: Callable[..., Path]) -> None:
    """`make test` is green, and it did run tests: the user's and the chassis' own."""
    project = installed(answers)

    output = support.run(["make", "test"], project).stdout

    passed = re.search(r"(\d+) passed", output)
    assert passed is not None, output
    assert int(passed[1]) > 20
    assert (project / "tests/chassis").is_dir()


@PROJECTS
def test_passes_its_lint(answers: Mapping[str, str], installed: Callable[..., Path]) -> None:
    """`make lint` is green: formatted, without a finding, and typed under mypy --strict."""
    support.run(["make", "lint"], installed(answers))


def test_the_smallest_service_passes_its_own_tests(installed: Callable[..., Path]) -> None:
    """Its routes' tests, and its lint; the chassis' tests are those of the others."""
    project = installed(MINIMAL)

    output = support.run(["uv", "run", "pytest", "--ignore=tests/chassis"], project).stdout
    assert " passed" in output
    support.run(["make", "lint"], project)


def test_shows_its_commands(installed: Callable[..., Path]) -> None:
    """`make` alone explains every target."""
    project = installed()
    shown = support.run(["make"], project).stdout
    declared = re.findall(r"^([a-z-]+):", (project / "Makefile").read_text(), re.MULTILINE)

    assert {"run", "test", "lint", "format"} <= set(declared)
    for target in declared:
        assert f"make {target} " in shown


def test_trains_the_model_that_it_ships_with(tmp_path: Path, render: Callable[..., Path]) -> None:
    """`make train` makes the very file that stands in the template, byte by byte."""
    project = render(tmp_path / "service", {"archetype": "inference"})
    model = project / "models/iris.onnx"
    shipped = model.read_bytes()
    model.unlink()

    support.run(["make", "train"], project)

    assert model.read_bytes() == shipped
    tests = ["uv", "run", "--group", "train", "pytest", "tests/test_training.py"]
    assert "2 passed" in support.run(tests, project).stdout
