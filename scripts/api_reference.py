"""Make docs/reference.md from the data that the generated service's conformance test walks.

    python3 scripts/api_reference.py

With `--check` it changes nothing and fails if the page differs from the data.
"""

import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = REPOSITORY / "template/tests/chassis/reference.toml"
PAGE = REPOSITORY / "docs/reference.md"
BEGIN, END = "<!-- made by scripts/api_reference.py -->", "<!-- end -->"

PACKAGE = "payment_api"  # the default service's

Described = dict[str, Any]


def lines(data: Described) -> Iterator[str]:
    """What stands between the marks."""
    for one in data["classes"]:
        yield from class_lines(one)
        for enum in data["enums"]:
            if enum["section"] == one["section"]:
                yield from enum_lines(enum)
        for error in data["errors"]:
            if error["section"] == one["section"]:
                yield from ("", f"### {error['name']}", "")
                yield f"{named(error, error['base'])} {error['about']}"
    yield from ("", "## Availability", "", "The states of Spring Boot Actuator, and its endpoints.")
    yield from ("", f"`from {PACKAGE}.chassis import availability`")
    functions = ((call(one), code(one["source"]), meaning(one)) for one in data["functions"])
    yield from table(("function", "source", "meaning"), functions)
    for enum in data["enums"]:
        if enum["section"] == data["functions"][0]["section"]:
            yield from enum_lines(enum)
    yield from ("", "### Endpoints", "", "On the management port; see [Health](health.md#probes).")
    endpoints = (
        (code(one["path"]), code(one["source"]), statuses(one), one["meaning"])
        for one in data["endpoints"]
    )
    yield from table(("path", "source", "status", "meaning"), endpoints)
    switches = (
        (code(one["name"]), code(one["source"]), code(one["default"]), one["meaning"])
        for one in data["settings"]
    )
    yield from table(("setting", "source", "default", "meaning"), switches)
    yield ""


def statuses(endpoint: Described) -> str:
    """What an endpoint may say, those that the source has as well first."""
    said = (endpoint["up"], endpoint["down"], *endpoint.get("others", ()))
    return ", ".join(code(status) for status in said)


def class_lines(one: Described) -> Iterator[str]:
    """A class: what it takes, its members, and what these return."""
    yield from ("", f"## {one['name']}", "", one["about"])
    if "page" in one:
        yield f"More on the page [{title(one['page'].partition('#')[0])}]({one['page']})."
    yield from ("", f"`from {PACKAGE}.chassis import {one['name']}`; {named(one)}")
    parameters = (
        (code(p["name"]), shown(p["default"]), allowed(p) + p["meaning"], code(p["source"]))
        for p in one["parameters"]
    )
    yield from table(("parameter", "default", "meaning", "source"), parameters)
    heads = ["member", "returns", "meaning", "over workers", "source"]
    rows = [
        [call(m), returned(m), meaning(m), m.get("over_workers", ""), source_call(m)]
        for m in one["members"]
    ]
    if not any(row[3] for row in rows):
        heads.remove("over workers")
        rows = [row[:3] + row[4:] for row in rows]
    yield from table(heads, rows)
    for member in one["members"]:
        if "fields_of" in member:
            alike = f"what `{member['fields_of']}()` returns, under each {member['keyed_by']}"
            yield from ("", f"`{member['name']}()` returns {alike}.")
        if "fields" in member:
            kind = "a list of objects" if "listed" in member else f"a {member['returns']}"
            kind = kind.replace("a object", "an object")
            yield from ("", f"`{member['name']}()` returns {kind} with:")
            heads_of_field = ("field", "value", "meaning", "source")
            yield from table(heads_of_field, field_rows(member["fields"]))


def field_rows(fields: Sequence[Described], path: str = "{}") -> Iterator[Sequence[str]]:
    """A row for each field, those inside of others below them."""
    for one in fields:
        name = path.format(one["name"])
        source = code(one.get("source", ""))
        if "source_values" in one:
            source += f": {quoted(one['source_values'])}"
        yield code(name), value(one), one.get("meaning", ""), source
        each = f"[{one['keyed_by']}]" if "keyed_by" in one else ""
        inside = ".{}" if one.get("of") == "object" else '["{}"]'
        yield from field_rows(one.get("fields", ()), f"{name}{each}{inside}")


def enum_lines(one: Described) -> Iterator[str]:
    """An enumeration and its values."""
    yield from ("", f"### {one['name']}", "", f"{named(one)} {one['about']}")
    rows = (
        (code(m["name"]), code(f'"{m["value"]}"'), code(m["source"]), m["meaning"])
        for m in one["members"]
    )
    yield from table(("name", "value", "source", "meaning"), rows)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table, after an empty line."""
    yield ""
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "|" + "|".join(f" {cell} " if cell else " " for cell in row) + "|"


def code(text: str) -> str:
    """Text as code, if there is any."""
    return f"`{text}`" if text else ""


def title(page: str) -> str:
    """The heading of another page."""
    return (PAGE.parent / page).read_text("utf-8").partition("\n")[0].removeprefix("# ")


def shown(default: str) -> str:
    """A default as one would write it."""
    return "the service's name" if default == "<service>" else code(default)


def named(one: Described, instead: str = "") -> str:
    """What the source calls it."""
    return f"`{instead or one['source']}` in the source."


def call(one: Described) -> str:
    """How it is called."""
    if "special" in one:
        return f"`{one['name']}`"
    written, keyword_only = [], False
    for parameter in one.get("parameters", ()):
        if parameter.get("keyword_only") and not keyword_only:
            keyword_only = True
            written.append("*")
        default = f"={parameter['default']}" if "default" in parameter else ""
        written.append(f"{parameter['name']}{default}")
    wait = "await " if one.get("awaitable") else ""
    return f"`{wait}{one['name']}({', '.join(written)})`"


def source_call(one: Described) -> str:
    """How the source calls it."""
    if "special" in one:
        return code(one["source"])
    names = [
        parameter["source"] for parameter in one.get("parameters", ()) if "source" in parameter
    ]
    return f"`{one['source']}({', '.join(names)})`"


def meaning(one: Described) -> str:
    """What a member does, and what those of its parameters mean that need it."""
    about = [one["meaning"]] if "meaning" in one else []
    about += [f"`{p['name']}`: {p['meaning']}" for p in one.get("parameters", ()) if "meaning" in p]
    return "; ".join(about)


def returned(one: Described) -> str:
    """What a member returns."""
    if one["returns"] == "None":
        return ""
    text: str = "anything" if one["returns"] == "Any" else one["returns"]
    return text + bounds(one) + (" or None" if one.get("optional") else "")


def value(one: Described) -> str:
    """What a field may be."""
    if "values" in one:
        return quoted(one["values"])
    kind: str = one["type"]
    return kind + bounds(one) + (" or None" if one.get("optional") else "")


def quoted(values: Iterable[str]) -> str:
    """Texts that may stand there."""
    return ", ".join(f'`"{each}"`' for each in values)


def allowed(parameter: Described) -> str:
    """What may be given for a parameter, where that is a few texts."""
    return f"{quoted(parameter['values'])}; " if "values" in parameter else ""


def bounds(one: Described) -> str:
    """Between what a number is, if that says something."""
    if "at_most" not in one:
        return ""
    return f", {one['at_least']} to {one['at_most']}"


def main() -> int:
    """Write the page, or check it."""
    old = PAGE.read_text("utf-8")
    before, _, rest = old.partition(BEGIN)
    _, _, after = rest.partition(END)
    data = tomllib.loads(DATA.read_text("utf-8"))
    new = "".join((before, BEGIN, "\n", "\n".join(lines(data)), "\n", END, after))
    if "--check" not in sys.argv:
        PAGE.write_text(new, "utf-8")
    elif new != old:
        print(f"{PAGE.name} isn't what the data says: run scripts/{Path(__file__).name}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
