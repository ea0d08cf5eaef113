"""0.5.0: `pyproject.toml` is the user's alone; what the chassis runs on stands in `ballast/`.

The dependency groups `chassis` and `tools` move to a member of the workspace, which the template
keeps. What the user has added to them, or changed in them, goes into the user's own lists.
"""

import copy
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import steps
import toml_arrays

FILE = "pyproject.toml"

# All that ever stood in these groups.
OF_THE_TEMPLATE = frozenset(
    [
        "aiosqlite>=0.22,<0.23",
        "alembic>=1.20,<2",
        "asyncpg>=0.32,<0.33",
        "fastapi>=0.165,<0.166",
        "fastapi[opentelemetry]>=0.165,<0.166",
        "gunicorn>=27,<28",
        "httptools>=0.9,<0.10",
        "httpx2>=2.16,<3",
        "hypothesis>=6.170,<7",
        "mypy>=2.4,<3",
        "orjson>=3.13,<4",
        "prometheus-client>=0.26,<0.27",
        "pydantic>=2.14,<3",
        "pydantic-settings>=2.16,<3",
        "pyjwt[crypto]>=2.10,<3",
        "pytest>=9.2,<10",
        "pyyaml>=6,<7",
        "redis>=8.1,<9",
        "ruff>=0.17,<0.18",
        "sqlalchemy[asyncio]>=2.1,<2.2",
        "stamina>=26.1,<27",
        "structlog>=26.1,<27",
        "types-pyyaml>=6",
        "uvicorn>=0.54,<0.55",
        "uvicorn-worker>=0.4,<0.5",
        "uvloop>=0.23,<0.24",
        "websockets>=17,<18",
    ]
)
GROUPS = ("chassis", "tools")

COMMENTS = (
    "# Yours, and never changed by an update: the version, and what your own code needs"
    " (`uv add`).",
    "# Yours as well (`uv add --dev`).",
    "# What the chassis runs on: kept by the template, installed with the service (see tool.uv).",
    "# What it is checked with: kept by the template.",
)
ADVICE = (
    "make it by hand like the one of a new service, with what you have added, and without the"
    " groups `chassis` and `tools`"
)
STARTUP = re.compile(r"src/.*startup\.pth")


def plan(project: Path) -> steps.Plan:
    """Rewrite the lists of `pyproject.toml`, and leave everything else in it as it is."""
    text = steps.text_of(project, FILE)
    try:
        before = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise steps.CannotMigrateError(f"{FILE} can't be read: {error}") from None
    member = f"{steps.package_of(project).replace('_', '-')}-ballast"
    groups = before.get("dependency-groups", {})
    if "chassis" not in groups:
        return steps.Plan()
    if not all(isinstance(one, str) for one in groups["chassis"]):
        raise steps.CannotMigrateError(f"{FILE}: the group `chassis` includes another: {ADVICE}")

    moved = {group: list(own_lines(text, group)) for group in GROUPS}
    places = {member: ("project", "dependencies"), f"{member}[tools]": ("dependency-groups", "dev")}
    for group, (requirement, (table, key)) in zip(GROUPS, places.items(), strict=True):
        text = toml_arrays.without_array(text, "dependency-groups", group)
        text = toml_arrays.with_lines(text, table, key, [*moved[group], f'"{requirement}",'])
    for group, requirement in including(groups, member):
        replaced = [{"include-group": one} for one in GROUPS]
        text = toml_arrays.without(text, "dependency-groups", group, replaced.__contains__)
        if (group, requirement) != ("dev", f"{member}[tools]"):
            lines = [f'"{requirement}",']
            text = toml_arrays.with_lines(text, "dependency-groups", group, lines)
    text = without_default(text, before)
    text = re.sub(r'^"src/[^"\n]*startup\.pth" = "[^"\n]*_startup\.pth"\n', "", text, flags=re.M)
    for table in ("tool.uv", "tool.hatch.build.targets.wheel.force-include"):
        text = toml_arrays.without_empty_table(text, table)
    text = toml_arrays.with_lines(text, "tool.uv.workspace", "members", ['"ballast",'])
    text = toml_arrays.in_table(text, "tool.uv.sources", f"{member} = {{ workspace = true }}\n")
    for comment in COMMENTS:
        text = re.sub(f"^{re.escape(comment)}\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"

    compare(text, before, member)
    return steps.Plan(write={FILE: text}, notes=list(changed(groups)))


def own_lines(text: str, group: str) -> Iterator[str]:
    """What isn't the template's in a group, with its comments."""
    array = toml_arrays.find(text, "dependency-groups", group)
    for one in array.values if array else ():
        if is_own(one.value):
            above, behind = toml_arrays.comments_of(text, one)
            yield from (line.strip() for line in above.splitlines())
            yield f"{one.written},{behind}"


def is_own(value: Any) -> bool:
    """Whether the user has put it there."""
    return value not in OF_THE_TEMPLATE if isinstance(value, str) else True


def including(groups: dict[str, Any], member: str) -> Iterator[tuple[str, str]]:
    """The groups that include one of those that go, and what they need instead."""
    requirements = {"chassis": member, "tools": f"{member}[tools]"}
    for name, values in groups.items():
        if name not in GROUPS:
            for group, requirement in requirements.items():
                if {"include-group": group} in values:
                    yield name, requirement


def without_default(text: str, document: dict[str, Any]) -> str:
    """The group `chassis` is no default any more; uv's own default is `dev`."""
    defaults = document.get("tool", {}).get("uv", {}).get("default-groups")
    if isinstance(defaults, list) and set(defaults) <= {"dev", *GROUPS}:
        return toml_arrays.without_array(text, "tool.uv", "default-groups")
    return toml_arrays.without(text, "tool.uv", "default-groups", GROUPS.__contains__)


def changed(groups: dict[str, Any]) -> Iterator[str]:
    """Requirements of the template's that the user has written in another way."""
    names = {named(one) for one in OF_THE_TEMPLATE}
    for group in GROUPS:
        for one in groups.get(group, ()):
            if isinstance(one, str) and is_own(one) and named(one) in names:
                yield (
                    f"{FILE}: `{one}` counts beside what ballast/pyproject.toml asks for; take it"
                    " away if you don't need it"
                )


def named(requirement: str) -> str:
    """The package that a requirement is about."""
    return re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0].lower()


def meant(before: dict[str, Any], member: str) -> dict[str, Any]:
    """What the file has to say afterwards."""
    found = copy.deepcopy(before)
    groups = found["dependency-groups"]
    own = {name: [one for one in groups.pop(name, ()) if is_own(one)] for name in GROUPS}
    for name, requirement in including(groups, member):
        if (name, requirement) != ("dev", f"{member}[tools]"):
            groups[name].append(requirement)
    removed = [{"include-group": name} for name in GROUPS]
    for name, values in groups.items():
        groups[name] = [one for one in values if one not in removed]
    project = found["project"]
    project["dependencies"] = [*project.get("dependencies", ()), *own["chassis"], member]
    extra = [one for one in groups.get("dev", ()) if one == member]
    dev = [one for one in groups.get("dev", ()) if one != member]
    groups["dev"] = [*dev, *own["tools"], f"{member}[tools]", *extra]
    uv = found.setdefault("tool", {}).setdefault("uv", {})
    if isinstance(uv.get("default-groups"), list):
        defaults = [one for one in uv.pop("default-groups") if one not in GROUPS]
        if set(defaults) - {"dev"}:
            uv["default-groups"] = defaults
    workspace = uv.setdefault("workspace", {})
    workspace["members"] = [*workspace.get("members", ()), "ballast"]
    uv.setdefault("sources", {})[member] = {"workspace": True}
    wheel = found["tool"].get("hatch", {}).get("build", {}).get("targets", {}).get("wheel", {})
    included = wheel.get("force-include", {})
    for path in [path for path in included if STARTUP.fullmatch(path)]:
        del included[path]
    if not included:
        wheel.pop("force-include", None)
    return found


def compare(text: str, before: dict[str, Any], member: str) -> None:
    """Refuse a result that isn't what was meant, before anything is written."""
    try:
        after = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise steps.CannotMigrateError(f"{FILE} can't be rewritten ({error}): {ADVICE}") from None
    if after != meant(before, member):
        raise steps.CannotMigrateError(
            f"{FILE} is written in a way that isn't understood: {ADVICE}"
        )


if __name__ == "__main__":
    steps.run(plan)
