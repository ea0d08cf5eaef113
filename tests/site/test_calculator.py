"""The calculator's page against the template: its rules, its refusals, its command line."""

import json
import shlex
import sys
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import questionnaire
import support
import yaml
from browser import Browser
from template_chassis import chassis

CPUS = ["100m", "0.5", "1", "1.5", "2", "3.999", "4", "16", "256000m", "64.1"]
MEMORY = ["64", "199", "200", "512", "1023", "1024", "4096", "1048576"]
TIMES = [("1", "3", "1"), ("15", "10", "5"), ("300", "120", "600"), ("7", "5", "75")]
REPLICAS = [("1", "1"), ("3", "6"), ("4", "3"), ("10", "40"), ("3", "x")]
WRONG = [
    {"cpu_limit": "0.05"},
    {"cpu_limit": "two"},
    {"cpu_limit": "257"},
    {"memory_limit_mib": "1e3"},
    {"memory_per_worker_mib": "31"},
    {"drain_seconds": "2"},
    {"drain_seconds": "121"},
    {"request_timeout_seconds": "0"},
    {"keepalive_seconds": "601"},
    {"replicas_min": "0"},
    {"replicas_max": "1001"},
    {"service_name": "Payment_API"},
    {"service_name": "x" * 50},
    {"database": "postgresql", "database_max_connections": ""},
    {"database": "sqlite", "replicas_max": "2"},
    {"database": "sqlite", "deploy": "[kubernetes]"},
]


def grid() -> Iterator[dict[str, str]]:
    """Answers from end to end of what may be given, and some beyond."""
    for (cpu, memory), worker, workload in product(
        product(CPUS, MEMORY), ("32", "150", "65536"), ("io", "cpu")
    ):
        sizes = {"cpu_limit": cpu, "memory_limit_mib": memory, "memory_per_worker_mib": worker}
        yield {"archetype": "minimal", **sizes, "workload": workload}
    for request, drain, keepalive in TIMES:
        yield {
            "request_timeout_seconds": request,
            "drain_seconds": drain,
            "keepalive_seconds": keepalive,
        }
    for (least, most), limit, cpu in product(REPLICAS, ("10", "76", "100", "5000"), ("1", "2")):
        replicas = {"replicas_min": least, "replicas_max": most, "cpu_limit": cpu}
        yield {"database": "postgresql", "database_max_connections": limit, **replicas}
    for archetype, database in product(("payments", "minimal", "inference"), ("none", "sqlite")):
        yield {"archetype": archetype, "database": database}
    yield {"database": "postgresql", "replicas_min": "5"}
    yield {"python_version": "3.12"}
    yield from WRONG


def expected(given: Mapping[str, str]) -> dict[str, Any]:
    """What the questionnaire and the chassis make of these answers."""
    try:
        context = questionnaire.answer(given)
    except questionnaire.RefusedError as error:
        return {"refused": " ".join(str(error).split())}
    answers = chassis("answers").Answers(
        service_name="a",
        description="a",
        template_version="1",
        cpu_limit=context["cpu_cores"],
        **{
            name: int(context[name])
            for name in (
                "memory_limit_mib",
                "memory_per_worker_mib",
                "request_timeout_seconds",
                "drain_seconds",
                "keepalive_seconds",
                "replicas_max",
            )
        },
        workload=context["workload"],
    )
    limits = chassis("capacity.cgroup").Limits()
    sizing = chassis("capacity.sizing").size(answers, limits, None, None)
    budget = chassis("capacity.budget").ShutdownBudget.from_answers(answers)
    return {
        "workers": sizing.workers,
        "bound": sizing.bound,
        "cpuBound": sizing.cpu_bound,
        "memoryBound": sizing.memory_bound,
        "graceful": budget.graceful,
        "terminationGrace": budget.termination_grace,
        "readinessPeriod": budget.readiness_period,
        "probeTimeout": budget.probe_timeout,
        "proxyKeepaliveMs": context["proxy_keepalive_ms"],
        "cpuRequest": context["cpu_request_quantity"],
        "cpuQuantity": context["cpu_limit_quantity"].strip('"'),
        "memoryRequest": context["memory_request_mib"],
        "pool": pool(context, sizing.workers),
    }


def pool(context: Mapping[str, Any], workers: int) -> int:
    """The connections of one worker."""
    sizes = chassis("database.pool_size")
    if context["database"] == "none":
        return 0
    if context["database"] == "sqlite":
        return int(sizes.size_sqlite_pool(None).size)
    size = sizes.size_pool(
        workers=workers,
        replicas_max=int(context["replicas_max"]),
        max_connections=int(context["database_max_connections"]),
        override=None,
    )
    return int(size.size)


def as_given(answers: Mapping[str, str]) -> dict[str, Any]:
    """Answers as the page has them."""
    several = {name: yaml.safe_load(value) for name, value in answers.items() if name == "deploy"}
    return {**answers, **several}


@pytest.fixture(scope="session")
def page(site: str, chromium: Browser) -> Browser:
    """The browser, at the calculator."""
    chromium.open(f"{site}calculator.html")
    chromium.look(width=1280, dark=False)
    return chromium


def test_it_computes_what_the_service_computes(page: Browser) -> None:
    """Workers, durations and connections, and the very words of a refusal, over the whole grid."""
    answers = list(grid())
    script = """
        import(new URL('assets/calculator/sizing.js', location)).then(rules =>
          GIVEN.map(given => {
            const answers = rules.withDefaults(given)
            const refused = Object.entries(rules.refusals(answers))
            if (refused.length) return { refused: refused[0].join(': ') }
            return rules.plan(answers)
          }))
    """
    computed = page.ask(script.replace("GIVEN", json.dumps([as_given(each) for each in answers])))

    refused = 0
    for given, found in zip(answers, computed, strict=True):
        wanted = expected(given)
        refused += "refused" in wanted
        assert {name: found.get(name) for name in wanted} == wanted, given
    assert 50 < refused < len(answers) - 200


def test_its_data_are_the_templates() -> None:
    """`scripts/calculator_rules.py` has been run."""
    script = support.REPOSITORY / "scripts/calculator_rules.py"

    support.run([sys.executable, script, "--check"], support.REPOSITORY)


CHOSEN: list[Mapping[str, str]] = [
    {},
    {"database": "postgresql", "cpu_limit": "4", "memory_limit_mib": "4096", "replicas_min": "2"},
    {"archetype": "inference", "python_version": "3.12", "tracing": "yes", "auth": "jwt"},
    {"archetype": "minimal", "service_name": "hello", "deploy": "[kubernetes]", "ci": "none"},
]


@pytest.mark.parametrize("answers", CHOSEN)
def test_its_command_makes_the_service_that_it_shows(
    page: Browser, answers: dict[str, str], template_source: Path, tmp_path: Path
) -> None:
    """Copier, given that line, stores the answers that the page has, and no default is named."""
    given: dict[str, Any] = as_given(answers)
    if "tracing" in given:
        given["tracing"] = True
    script = """
        import(new URL('assets/calculator/sizing.js', location)).then(rules =>
          [rules.command(GIVEN, TEMPLATE, 'service'), rules.withDefaults(GIVEN)])
    """
    script = script.replace("GIVEN", json.dumps(given))
    line, shown = page.ask(script.replace("TEMPLATE", json.dumps(str(template_source))))

    tool, *words = shlex.split(line)
    assert (tool, words[:2]) == ("uvx", ["copier", "copy"])
    assert words.count("-d") == len(answers)
    tool_here = Path(sys.executable).with_name("copier")
    support.run([tool_here, "copy", "-q", "--defaults", *words[2:]], tmp_path)
    stored = yaml.safe_load((tmp_path / "service/.copier-answers.yml").read_text("utf-8"))
    for name in stored.keys() & shown.keys():
        assert stored[name] == shown[name], name
    assert len(stored.keys() & shown.keys()) > 12


def test_moving_an_answer_moves_what_follows(page: Browser, site: str) -> None:
    """By slider and by number; a refusal takes the command's place; the address keeps answers."""
    page.open(f"{site}calculator.html")
    assert shown(page, "workers") == "5"
    assert shown(page, "command") == "uvx copier copy '<this repository>' payment-api"
    assert is_seen(page, "template")

    set_answer(page, "database", "postgresql")
    set_answer(page, "cpu_limit", "4")
    set_answer(page, "memory_limit_mib", "4096")
    assert shown(page, "workers") == "9"
    assert "give at least 127, or a smaller replicas_max" in shown(
        page, "database_max_connections-refusal"
    )
    assert shown(page, "command").startswith("database_max_connections: ")
    assert not is_seen(page, "template")

    set_answer(page, "database_max_connections", "200")
    assert shown(page, "pool") == "1"
    set_answer(page, "drain_seconds", "20")
    assert shown(page, "termination-grace") == "55"
    command = shown(page, "command")
    assert "-d cpu_limit=4" in command
    assert "-d database_max_connections=200" in command

    page.open("about:blank")
    page.open(f"{site}calculator.html#database=postgresql&cpu_limit=1")
    assert shown(page, "workers") == "3"
    assert page.complaints(site) == []


def shown(page: Browser, name: str) -> str:
    """What the page shows under a name."""
    return str(page.ask(f"document.getElementById('calculator-{name}').textContent"))


def is_seen(page: Browser, name: str) -> bool:
    """Whether what stands under a name isn't hidden."""
    return bool(page.ask(f"document.getElementById('calculator-{name}').checkVisibility()"))


def set_answer(page: Browser, name: str, value: str) -> None:
    """Give an answer as a person does, who then leaves the field."""
    page.ask(f"""
        (field => {{
          field.value = {json.dumps(value)}
          field.dispatchEvent(new Event('input', {{ bubbles: true }}))
        }})(document.getElementById('answer-{name}'))
    """)
