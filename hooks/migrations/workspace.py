"""0.5.0: `pyproject.toml` is the user's alone; what the chassis runs on stands in `ballast/`.

The dependency groups `chassis` and `tools` move to a member of the workspace, which the template
keeps. What the user has added to them stays, in the user's own lists.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import steps

FILE = "pyproject.toml"

# All that ever stood in these groups, by its name: nothing of it is the user's.
OF_THE_CHASSIS = frozenset(
    """
    aiosqlite alembic asyncpg fastapi gunicorn httptools httpx2 orjson prometheus-client pydantic
    pydantic-settings pyjwt redis sqlalchemy stamina structlog uvicorn uvicorn-worker uvloop
    websockets
    """.split()  # noqa: SIM905 - it is read more easily so
)
OF_THE_TOOLS = frozenset(["aiosqlite", "httpx2", "hypothesis", "mypy", "pytest", "ruff"])

COMMENTS = (
    "# Yours, and never changed by an update: the version, and what your own code needs"
    " (`uv add`).",
    "# Yours as well (`uv add --dev`).",
    "# What the chassis runs on: kept by the template, installed with the service (see tool.uv).",
    "# What it is checked with: kept by the template.",
)


def plan(project: Path) -> steps.Plan:
    """Rewrite the lists of `pyproject.toml`, and leave everything else in it as it is."""
    text = steps.text_of(project, FILE)
    answers = steps.text_of(project, steps.ANSWERS)
    try:
        before = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise steps.CannotMigrateError(f"{FILE} can't be read: {error}") from None
    package = re.search(r"^package_name: (\w+)$", answers, re.MULTILINE)
    if package is None:
        raise steps.CannotMigrateError(f"{steps.ANSWERS} doesn't say the package_name")
    member = f"{package[1].replace('_', '-')}-ballast"
    groups = before.get("dependency-groups", {})
    if "chassis" not in groups:
        return steps.Plan()

    own = not_of(groups["chassis"], OF_THE_CHASSIS)
    tools = not_of(groups.get("tools", ()), OF_THE_TOOLS)
    dev = [one for one in groups.get("dev", ()) if one != {"include-group": "tools"}]
    written = as_written(text)
    for group in ("chassis", "tools"):
        text = without_array(text, "dependency-groups", group)
    dependencies = [*depends_on(before), *own, member]
    text = with_array(text, "project", "dependencies", map(written, dependencies))
    dev = [*dev, *tools, f"{member}[tools]"]
    text = with_array(text, "dependency-groups", "dev", map(written, dev))
    text = without_array(text, "tool.uv", "default-groups")
    text = without_line(text, r'^"src/[^"]*startup\.pth" = "[^"]*_startup\.pth"$')
    for table in ("tool.uv", "tool.hatch.build.targets.wheel.force-include"):
        text = without_empty_table(text, table)
    text = with_lines(text, "tool.uv.workspace", ['members = ["ballast"]'])
    text = with_lines(text, "tool.uv.sources", [f"{member} = {{ workspace = true }}"])
    for comment in COMMENTS:
        text = without_line(text, f"^{re.escape(comment)}$")
    text = re.sub(r"\n{3,}", "\n\n", text)

    check(text, before, member)
    return steps.Plan(write={FILE: text})


def depends_on(document: Mapping[str, Any]) -> list[str]:
    """The user's own dependencies."""
    found: list[str] = document["project"].get("dependencies", [])
    return found


def not_of(requirements: Iterable[Any], known: frozenset[str]) -> list[Any]:
    """Those that the user has added."""
    return [one for one in requirements if not (isinstance(one, str) and named(one) in known)]


def named(requirement: str) -> str:
    """The package that a requirement is about."""
    return re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0].lower()


def body_of(text: str, table: str) -> tuple[int, int]:
    """Where a table's lines begin and end; both are the file's end where there is none."""
    head = re.search(rf"^\[{re.escape(table)}\][^\n]*\n", text, re.MULTILINE)
    if head is None:
        return len(text), len(text)
    following = re.compile(r"^\[", re.MULTILINE).search(text, head.end())
    # Within an array a line may begin with a bracket as well; ours never do, and a formatter's
    # neither: `check` would find out.
    return head.end(), following.start() if following else len(text)


def array_in(text: str, table: str, key: str) -> tuple[int, int] | None:
    """Where the line or lines of an array stand."""
    begin, end = body_of(text, table)
    found = re.compile(
        rf"^{re.escape(key)}[ \t]*=[ \t]*\["
        r"(?:[^\[\]\"'#]|\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*)*"
        r"\][^\n]*\n",
        re.MULTILINE,
    ).search(text, begin, end)
    return found.span() if found else None


def as_written(text: str) -> Callable[[Any], str]:
    """How a value stands in a list of the file: on a line of its own it keeps its comment."""
    lines = re.findall(r"^[ \t]+([\"'{].*)$", text, re.MULTILINE)

    def line(value: Any) -> str:
        for found in lines:
            end = re.match(r"(\{[^{}]*\}|\"[^\"]*\"|'[^']*')[ \t]*,?(.*)", found)
            with suppress(tomllib.TOMLDecodeError):
                if end and tomllib.loads(f"value = {end[1]}")["value"] == value:
                    return f"{end[1]},{end[2]}"
        return f"{literal(value)},"

    return line


def with_array(text: str, table: str, key: str, lines: Iterable[str]) -> str:
    """The text with this array, one value a line."""
    array = "".join((f"{key} = [\n", *(f"    {line}\n" for line in lines), "]\n"))
    span = array_in(text, table, key)
    if span is not None:
        return text[: span[0]] + array + text[span[1] :]
    if body_of(text, table)[0] == len(text):
        return f"{text.rstrip()}\n\n[{table}]\n{array}"
    begin = body_of(text, table)[0]
    return text[:begin] + array + text[begin:]


def without_array(text: str, table: str, key: str) -> str:
    """The text without this array."""
    span = array_in(text, table, key)
    return text if span is None else text[: span[0]] + text[span[1] :]


def without_line(text: str, pattern: str) -> str:
    """The text without the lines that match."""
    return re.sub(f"{pattern}\n", "", text, flags=re.MULTILINE)


def without_empty_table(text: str, table: str) -> str:
    """The text without a table that has nothing in it any more."""
    begin, end = body_of(text, table)
    if begin == len(text) or text[begin:end].strip():
        return text
    head = text.rindex(f"[{table}]", 0, begin)
    return text[:head] + text[end:]


def with_lines(text: str, table: str, lines: list[str]) -> str:
    """The text with these lines in a table."""
    added = "".join(f"{line}\n" for line in lines)
    begin, _ = body_of(text, table)
    if begin < len(text):
        return text[:begin] + added + text[begin:]
    # Beside what builds the service, as in a new one; at the end where that is missing.
    build = re.search(r"^\[build-system\]", text, re.MULTILINE)
    at = build.start() if build else len(text)
    return f"{text[:at].rstrip()}\n\n[{table}]\n{added}\n{text[at:]}"


def literal(value: Any) -> str:
    """A requirement, or a group that is included, as TOML writes it."""
    if isinstance(value, dict):
        inner = ", ".join(f"{key} = {literal(one)}" for key, one in value.items())
        return f"{{ {inner} }}"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def check(text: str, before: Mapping[str, Any], member: str) -> None:
    """Refuse a result that isn't what was meant, before anything is written."""
    try:
        after = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise cannot(str(error)) from None
    if not set(depends_on(before)) | {member} <= set(depends_on(after)):
        raise cannot("dependencies would be lost")
    groups = after["dependency-groups"]
    if {"chassis", "tools"} & set(groups):
        raise cannot("a group can't be found in its text")
    lost = set(before["dependency-groups"]) - set(groups) - {"chassis", "tools"}
    if lost or after["tool"]["uv"]["sources"].get(member) != {"workspace": True}:
        raise cannot("it is written in a way that isn't understood")


def cannot(reason: str) -> steps.CannotMigrateError:
    """The same advice for each reason."""
    return steps.CannotMigrateError(
        f"{FILE} can't be rewritten ({reason}): make it by hand like the one of a new service, with"
        " what you have added, and without the groups `chassis` and `tools`"
    )


if __name__ == "__main__":
    steps.run(plan)
