"""Make the pages that list questions, endpoints and alerts, and the runbook, from the template.

    .venv/bin/python scripts/reference_pages.py

With `--check` it changes nothing and fails if a page differs. What a question allows stands there
in the words of its refusal, which is asked for it.
"""

import ast
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))
import questionnaire  # noqa: E402 - stands there

DOCS = REPOSITORY / "docs"
TEMPLATE = REPOSITORY / "template"
BEGIN, END = "<!-- made by scripts/reference_pages.py -->", "<!-- end -->"

ALL_PARTS = {"database": "postgresql", "events": "redis", "auth": "jwt"}
"""The answers of a service whose runbook has all that a runbook may have, but for models."""

TOPICS = {
    "service": "The service",
    "capacity": "Capacity",
    "data": "Data, callers and replicas",
    "timing": "Time",
    "platform": "Platform",
}

VARIANTS: Mapping[str, Mapping[str, str]] = {
    "default": {},
    "PostgreSQL": {"database": "postgresql"},
    "`minimal`": {"archetype": "minimal"},
    "`inference`": {"archetype": "inference"},
    "Python 3.12": {"python_version": "3.12"},
    "Python 3.11": {"python_version": "3.11"},
}
"""Answers that others' defaults depend on."""

CONDITIONS = {"{{ sql }}": "a database", "{{ postgresql }}": "PostgreSQL"}
"""What has to be there for a question to be asked."""

NOT_ALLOWED = "\N{SNOWMAN}"

REFUSED: Sequence[Mapping[str, str]] = (
    {"memory_limit_mib": "128"},
    {"replicas_max": "3"},
    {"database": "postgresql", "replicas_min": "4", "replicas_max": "3"},
    {"database": "postgresql", "replicas_max": "10"},
    {"deploy": "[compose, kubernetes]"},
)
"""Answers that are allowed each for itself, but not together."""

SAMPLES = {
    "payments": "{% if payments %}.{% endif %}/src/{{package_name}}/payments/routes.py.jinja",
    "minimal": "{% if minimal %}.{% endif %}/src/{{package_name}}/routes/greeting.py",
    "inference": "{% if inference %}.{% endif %}/src/{{package_name}}/routes/predictions.py",
}


def questions() -> Iterator[str]:
    """Every question: what it asks, its default, and what is allowed."""
    asked = {label: questionnaire.answer(answers) for label, answers in VARIANTS.items()}
    for page, title in TOPICS.items():
        text = (REPOSITORY / f"questions/{page}.yml").read_text("utf-8")
        yield from ("", f"## {title}")
        for name, question in yaml.safe_load(text).items():
            if question.get("when") is False:
                continue
            yield from ("", f"### `{name}`", "", question["help"].strip())
            yield from ("", f"- Default: {default_of(name, asked)}")
            yield f"- Allowed: {allowed(name, question)}"
            if isinstance(question.get("when"), str):
                yield f"- Asked with {CONDITIONS[question['when']]} alone."
            if question.get("ask") is False:
                yield "- Never asked: give it with `-d`, or not at all."
    yield from (
        "",
        "## Not together",
        "",
        "The line that copier ends with, for answers such as these:",
    )
    yield from ("", "```")
    for given in REFUSED:
        yield " ".join(f"-d {name}={shlex.quote(value)}" for name, value in given.items())
        yield f"    {complaint(given)}"
    yield from ("```", "")


def default_of(name: str, asked: Mapping[str, Mapping[str, Any]]) -> str:
    """The default, and those of the variants that have another one."""
    usual = asked["default"][name]
    others = [
        f"{label} {written(context[name])}"
        for label, context in asked.items()
        if context[name] != usual
        if name not in VARIANTS[label]
    ]
    return written(usual) + (f" ({', '.join(others)})" if others else "")


def written(value: object) -> str:
    """An answer as one gives it."""
    if isinstance(value, bool):
        return "`yes`" if value else "`no`"
    return f"`[{', '.join(value)}]`" if isinstance(value, list) else f"`{value}`"


def choices_of(choices: Any) -> str:
    """What may be chosen, and what it is where its name doesn't say so."""
    if isinstance(choices, list):
        return ", ".join(f"`{each}`" for each in choices)
    shown = []
    for label, choice in choices.items():
        value = choice["value"] if isinstance(choice, dict) else choice
        about = [label.partition(": ")[2]] if ": " in label else []
        if isinstance(choice, dict) and "validator" in choice:
            text = questionnaire.ENVIRONMENT.from_string(choice["validator"])
            about.append(f"but {text.render(payments=True, python_version='3.11 or 3.12')}")
        shown.append(f"`{value}`" + (f" ({'; '.join(about)})" if about else ""))
    return ", ".join(shown)


def allowed(name: str, question: Mapping[str, Any]) -> str:
    """What is allowed: the choices, or the words of the refusal."""
    if "choices" in question:
        return choices_of(question["choices"])
    if question["type"] == "bool":
        return "`yes`, `no`"
    given = {"database": "postgresql", name: NOT_ALLOWED * 101}
    _, refused, words = complaint(given).partition(": give ")
    return words if refused else fail(f"{name} says nothing of what is allowed")


def complaint(given: Mapping[str, str]) -> str:
    """Why these answers are refused."""
    try:
        questionnaire.answer(given)
    except questionnaire.RefusedError as error:
        return " ".join(str(error).split())
    return fail(f"{given} are not refused")


def endpoints() -> Iterator[str]:
    """What the service answers, by port."""
    chassis = TEMPLATE / "src/{{package_name}}/chassis"
    tree = ast.parse((chassis / "server/management.py").read_text("utf-8"))
    about = {
        f"self.{node.name}": sentence(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    yield from ("", "## Management port", "", "Port 9000 by default, `MANAGEMENT_BIND_ADDRESS`.")
    routes = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and called(node) == "Route"
    ]
    rows = []
    for route in routes:
        path, method = ast.literal_eval(route.args[0]), ast.unparse(route.args[1])
        given = [ast.literal_eval(each.value) for each in route.keywords if each.arg == "methods"]
        rows.append((path, ", ".join(given[0] if given else ["GET"]), about[method]))
    shown = ((code(path), methods, what) for path, methods, what in sorted(rows))
    yield from table(("path", "methods", ""), shown)
    yield from (
        "",
        "## Traffic port",
        "",
        "Port 8000 by default, `BIND_ADDRESS`. In every service:",
    )
    yield from table(("path", "methods", ""), traffic(chassis))
    for archetype, path in SAMPLES.items():
        yield from ("", f"The sample of the archetype `{archetype}`, which is yours to change:")
        yield from table(("path", "methods", ""), sample(TEMPLATE / path))
    yield ""


def traffic(chassis: Path) -> Iterator[Sequence[str]]:
    """The chassis' own paths on the traffic port."""
    tree = ast.parse((chassis / "health/traffic_probes.py").read_text("utf-8"))
    live, ready = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PATHS"
    )
    probes = "with `TRAFFIC_PROBES_ENABLED`, which is the default"
    yield code(live), "GET", f"What `/health/live` says, status only; {probes}."
    yield code(ready), "GET", f"What `/health/ready` says, status only; {probes}."
    docs = (chassis / "http/docs.py").read_text("utf-8")
    for path, what in {"/docs": "The API, to be tried out", "/openapi.json": "Its schema"}.items():
        known = path if f'"{path}"' in docs else fail(f"{path} isn't served any more")
        yield code(known), "GET", f"{what}; with `DOCS_ENABLED`, which is off by default."


def sample(path: Path) -> Iterator[Sequence[str]]:
    """The routes of a sample, by their decorators and docstrings."""
    text = path.read_text("utf-8")
    prefix = (re.findall(r'APIRouter\([^)]*prefix="([^"]+)"', text) or [""])[0]
    routes = re.findall(
        r'@router\.(get|post)\(\s*"([^"]*)".*?\n(?:async )?def \w+\(.*?"""(.*?)(?:\n\n|""")',
        text,
        re.DOTALL,
    )
    if not routes:
        fail(f"{path.name} has no routes")
    for method, route, about in routes:
        yield code(prefix + route), method.upper(), " ".join(about.split())


def alerts() -> Iterator[str]:
    """Every alert, of all variants, with what it asks of Prometheus."""
    found: dict[str, dict[str, Any]] = {}
    having: dict[str, list[str]] = {}
    for label, answers in {
        "everywhere": {"archetype": "minimal"},
        "with a database": {"database": "postgresql"},
        "with models": {"archetype": "inference"},
    }.items():
        context = questionnaire.answer({"service_name": "payment-api", **answers})
        text = questionnaire.rendered("monitoring/rules.yml.jinja", context)
        for group in yaml.safe_load(text)["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    found.setdefault(rule["alert"], rule)
                    having.setdefault(rule["alert"], []).append(label)
    rows = (
        (
            f"[`{name}`](#{name.lower()})",
            f"[runbook](runbook.md#{name.lower()})",
            rule["labels"]["severity"],
            rule.get("for", ""),
            having[name][0],
        )
        for name, rule in found.items()
    )
    yield from table(("alert", "what to do", "severity", "`for`", "where"), rows)
    for name, rule in found.items():
        said = rule["annotations"]
        yield from ("", f"## {name}", "")
        yield f"{plain(said['summary'])}. {plain(said['description'])}"
        yield f"[What to do](runbook.md#{name.lower()})."
        yield from ("", "```promql", rule["expr"].rstrip(), "```")
    yield ""


def runbook() -> Iterator[str]:
    """The runbook of a service with all parts, and what is different or more in others."""
    given = ", ".join(code(f"{name}={value}") for name, value in ALL_PARTS.items())
    yield from ("", f"Rendered for `payment-api` with {given}, and the other answers by default;")
    yield "[Models](#models), at its end, with `archetype=inference`. With `deploy=[compose]` the"
    yield "first block of commands is this one:"
    page, compose, inference = (
        questionnaire.rendered(
            "docs/runbook.md.jinja",
            questionnaire.answer({"service_name": "payment-api", **ALL_PARTS, **more}),
        )
        for more in ({}, {"deploy": "[compose]"}, {"archetype": "inference"})
    )
    yield from ("", (re.findall(r"^```sh\n.*?^```$", compose, re.MULTILINE | re.DOTALL))[0])
    _, first, entries = page.partition("## First\n")
    _, models, rest = inference.partition("## Models\n")
    yield from ("", f"{first}{entries.rstrip()}", "", f"{models}{rest}")


def plain(text: str) -> str:
    """An annotation with words in place of its variables."""
    text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"*\1*", " ".join(text.split()))
    return re.sub(r"\{\{[^}]*\}\}", "*value*", text)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table, after an empty line."""
    yield from ("", f"| {' | '.join(heads)} |".replace("|  |", "| |"), "|" + "---|" * len(heads))
    for row in rows:
        yield f"| {' | '.join(row)} |".replace("|  |", "| |")


def fail(message: str) -> NoReturn:
    """End: the template isn't any more what this script knows."""
    raise LookupError(message)


def code(text: str) -> str:
    """Text as code."""
    return f"`{text}`"


def sentence(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """The first paragraph of a docstring."""
    return " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())


def called(node: ast.Call) -> str:
    """What a call calls."""
    return ast.unparse(node.func)


PAGES = {
    "questions.md": questions,
    "endpoints.md": endpoints,
    "alerts.md": alerts,
    "runbook.md": runbook,
}


def main() -> int:
    """Write the pages, or check them."""
    wrong = 0
    for name, lines in PAGES.items():
        page = DOCS / name
        old = page.read_text("utf-8")
        before, _, rest = old.partition(BEGIN)
        _, _, after = rest.partition(END)
        new = "".join((before, BEGIN, "\n", "\n".join(lines()), "\n", END, after))
        if "--check" not in sys.argv:
            page.write_text(new, "utf-8")
        elif new != old:
            print(f"{name} isn't what the template says: run scripts/{Path(__file__).name}")
            wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
