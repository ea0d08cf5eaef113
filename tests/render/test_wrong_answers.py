"""A wrong answer writes nothing, and its last line says which answer, why, and what is allowed."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jinja2
import pytest
import support

NAMES = "letters, digits and hyphens"
CORES = "from 0.1 to 256"
MEMORY = "whole number of MiB from"

# The answer, a wrong value, and what its message has to hold.
WRONG = [
    *[
        ("service_name", name, NAMES)
        for name in (
            "",
            " ",
            "payment api",
            " payment-api",
            "payment-api ",
            "payment-api\n",
            "pay\nment",
            "Payment-API",
            "payment_api",
            "payment.api",
            "1payment",
            "-payment",
            "payment-",
            '"payment"',
            "pay'ment",
            "payment😀",
            "zahlungsfähig",
            "pay/ment",
            "../payment",
            "pay{{ 1 }}ment",
            "pay;rm",
            "pay\x00ment",
            "x" * 31,
            "x" * 10_000,
            "п",
            "payment\udc80",
        )
    ],
    *[
        ("service_name", name, "another name")
        for name in (
            "json",
            "class",
            "http",
            "types",
            "asyncio",
            "py-compile",
            "fastapi",
            "gunicorn",
            "uvicorn-worker",
            "pydantic",
            "src",
            "test",
            "tests",
            "prometheus-client",
        )
    ],
    ("package_name", "Payment", "digits and underscores"),
    ("package_name", "payment-api", "digits and underscores"),
    ("package_name", "starlette", "another name"),
    ("description", "", "1 to 100 characters"),
    ("description", "   ", "1 to 100 characters"),
    ("description", "ends with a space ", "1 to 100 characters"),
    ("description", "x" * 101, "1 to 100 characters"),
    ("description", "two\nlines", "one line"),
    ("description", "tab\tbed", "control characters"),
    ("description", "nul\x00", "control characters"),
    ("description", "escape \x1b[31m", "control characters"),
    ("description", "turned \u202e around", "control characters"),
    ("description", "half a pair \udc80", "control characters"),
    ("archetype", "payments-or-so", "minimal"),
    ("archetype", "", "minimal"),
    ("archetype", "Minimal", "minimal"),
    ("workload", "gpu", "io"),
    ("database", "mysql", "postgresql"),
    ("database", "none", "'payments' needs a database"),
    ("events", "kafka", "redis"),
    ("auth", "basic", "jwt"),
    ("deploy", "[helm]", "compose"),
    ("deploy", "[compose, kubernetes]", "SQLite is a file"),
    ("python_version", "3.10", "3.13"),
    ("python_version", "latest", "3.13"),
    ("base_image", "alpine", "distroless"),
    ("ci", "jenkins", "gitlab"),
    ("tracing", "maybe", "yes or no"),
    *[
        (name, value, "replicas from 1 to 1000")
        for name in ("replicas_min", "replicas_max")
        for value in ("", "0", "-1", "1001", "abc", "2.5", "3\n")
    ],
    ("replicas_min", "2", "SQLite is a file, which replicas can't share"),
    ("replicas_max", "2", "SQLite is a file, which replicas can't share"),
    *[
        ("cpu_limit", value, CORES)
        for value in (
            "",
            "0",
            "0.0",
            "0.09",
            "-1",
            "abc",
            "10000",
            "257",
            "256.5",
            "99m",
            "0m",
            "1.5m",
            "256001m",
            "1e2",
            "inf",
            "nan",
            "1_000",
            "2 ",
            "2,5",
            "0x2",
            "٢",
            "1.2345",
            "2\n",
        )
    ],
    *[
        ("memory_limit_mib", value, MEMORY)
        for value in ("", "0", "-1", "abc", "63", "1048577", "1Gi", "1024.5", "1e3", "0128", "²")
    ],
    ("memory_limit_mib", "198", "at least 199"),
    ("archetype", "inferenz", "inference"),
    ("memory_per_worker_mib", "31", MEMORY),
    ("memory_per_worker_mib", "65537", MEMORY),
    ("memory_per_worker_mib", "much", MEMORY),
    *[
        (name, value, f"seconds from {low} to {high}")
        for name, low, high in (
            ("drain_seconds", 3, 120),
            ("request_timeout_seconds", 1, 300),
            ("keepalive_seconds", 1, 600),
        )
        for value in ("", "abc", "-5", str(low - 1), str(high + 1), "10.5", "10s", "9" * 30)
    ],
]


@pytest.mark.parametrize(("name", "value", "allowed"), WRONG)
def test_is_refused(
    name: str, value: str, allowed: str, tmp_path: Path, template_source: Path
) -> None:
    """One line names the answer, shows what was given and says what is allowed."""
    project = tmp_path / "service"

    with pytest.raises(ValueError, match=re.escape(f"'{name}'")) as refusal:
        support.render(template_source, project, {name: value})

    message = str(refusal.value)
    assert len(message.splitlines()) == 1
    assert message.isprintable()
    assert len(message) < 400
    assert allowed in message
    assert not project.exists()


def test_a_worker_too_large_names_both_answers(tmp_path: Path, template_source: Path) -> None:
    """The memory and what a worker needs of it are two answers; both are in the message."""
    with pytest.raises(ValueError, match=r"memory_limit_mib.*1024.*768.*769.*at least 1025"):
        support.render(template_source, tmp_path / "service", {"memory_per_worker_mib": 769})


@pytest.mark.parametrize(
    "answers",
    [
        {"memory_limit_mib": 199},
        {"memory_limit_mib": 266, "archetype": "inference"},
        {"memory_limit_mib": 1025, "memory_per_worker_mib": 769},
        {"memory_limit_mib": 64, "memory_per_worker_mib": 48},
    ],
)
def test_the_least_memory_that_the_message_asks_for_is_enough(
    answers: dict[str, int], tmp_path: Path, render: Callable[..., Path]
) -> None:
    """Following the advice is enough."""
    assert render(tmp_path / "service", answers).is_dir()


ON_POSTGRESQL = {"database": "postgresql", "replicas_max": 3, "replicas_min": 2}


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("replicas_max", 1, "there are 2 replicas at least"),
        ("database_max_connections", "many", "connections from 1 to 1000000"),
        ("database_max_connections", 0, "connections from 1 to 1000000"),
        ("database_max_connections", 1000001, "connections from 1 to 1000000"),
        ("database_max_connections", 10, "5 workers of 2 x 3 + 1 replicas"),
        (
            "database_max_connections",
            44,
            "which is 35: give at least 45, or a smaller replicas_max",
        ),
    ],
)
def test_a_database_too_small_is_refused_with_the_arithmetic(
    name: str, value: object, allowed: str, tmp_path: Path, template_source: Path
) -> None:
    """One connection for each worker, twice the replicas and one more, and ten for others."""
    answers = {**ON_POSTGRESQL, name: value}
    with pytest.raises(ValueError, match=re.escape(f"'{name}'")) as refusal:
        support.render(template_source, tmp_path / "service", answers)
    assert allowed in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1
    assert not (tmp_path / "service").exists()


def test_the_least_connections_that_the_message_asks_for_are_enough(
    tmp_path: Path, render: Callable[..., Path]
) -> None:
    """Following the advice is enough."""
    answers = {**ON_POSTGRESQL, "database_max_connections": 45}
    assert render(tmp_path / "service", answers).is_dir()


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("service_name", "pay\nment 😀", NAMES),
        ("cpu_limit", "abc", CORES),
        ("memory_limit_mib", "128", "at least 199"),
        ("drain_seconds", "600", "from 3 to 120"),
        ("archetype", "nonsense", "minimal"),
        ("database", "none", "'payments' needs a database"),
    ],
)
def test_the_last_line_on_the_terminal(
    name: str, value: str, allowed: str, tmp_path: Path, template_source: Path
) -> None:
    """The reason is what stderr ends with; the exit code isn't 0, and nothing is written."""
    project = tmp_path / "service"
    command = [sys.executable, "-m", "copier", "copy", "--defaults", "-d", f"{name}={value}"]

    done = subprocess.run(
        [*command, template_source, project], capture_output=True, text=True, check=False
    )

    last = done.stderr.splitlines()[-1]
    assert done.returncode != 0
    assert f"'{name}'" in last
    assert allowed in last
    assert not project.exists()


def test_names_of_the_standard_library_are_refused() -> None:
    """The list covers this Python's standard library, which would hide such a package."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(support.REPOSITORY),
        autoescape=False,  # noqa: S701 - no HTML here
    )
    environment.filters["to_json"] = environment.filters["regex_search"] = str
    rules = environment.get_template("questions/rules.jinja").module
    known: list[str] = rules.python_names  # type: ignore[attr-defined]

    public = {name for name in sys.stdlib_module_names if name.islower() and name[0] != "_"}
    assert public - set(known) == set()


def test_a_name_of_thirty_letters_is_accepted(tmp_path: Path, render: Callable[..., Path]) -> None:
    """The longest name is legal, the first that is longer is not (see above)."""
    project = render(tmp_path / "service", {"service_name": "x" * 30})

    assert (project / "src" / ("x" * 30) / "main.py").is_file()


def test_there_is_no_distroless_image_of_another_python(
    tmp_path: Path, template_source: Path
) -> None:
    """The two answers that don't go together are both in the message."""
    answers = {"python_version": "3.12", "base_image": "distroless"}
    with pytest.raises(ValueError, match=r"'base_image'.*no distroless image of Python 3\.12"):
        support.render(template_source, tmp_path / "service", answers)
    assert not (tmp_path / "service").exists()
