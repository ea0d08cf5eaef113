"""Keep the tables in docs/settings.md true: they are made from the chassis' own settings.

Run it with the Python of a generated service that has every feature, in its folder:

    answers='-d database=postgresql -d events=redis -d auth=jwt -d tracing=yes'
    copier copy --defaults $answers . /tmp/full
    cd /tmp/full && uv sync && .venv/bin/python .../scripts/settings_reference.py

With `--check` it changes nothing and fails if the page differs from the code.
"""

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
BEGIN, END = "<!-- made by scripts/settings_reference.py -->", "<!-- end -->"

PACKAGE = "payment_api"  # the default service's
chassis: Any = import_module(f"{PACKAGE}.chassis.settings")
pydantic: Any = import_module("pydantic")
types: Any = import_module(f"{PACKAGE}.chassis.settings.setting_types")

SECTIONS = {
    "bind_address": "Addresses, workers and logs",
    "drain_seconds": "Time",
    "max_requests": "Capacity and recycling",
    "max_body_bytes": "Requests and callers",
    "docs_enabled": "Documentation, probes and secrets",
}
"""The heading above each of these settings; the order is that of the code."""

FEATURES = [
    ("database", "DatabaseSettings", "Database", "`database=sqlite` or `postgresql`"),
    ("idempotency", "IdempotencySettings", "Idempotency keys", "a database"),
    ("outbox", "OutboxSettings", "Outbox", "a database"),
    ("redis", "RedisSettings", "Redis", "`events=redis`"),
    ("jwt", "JwtSettings", "Tokens", "`auth=jwt`"),
    ("tracing", "TracingSettings", "Traces", "`tracing=yes`"),
]
"""Packages of the chassis that not every service has: their settings, and what brings them."""

KINDS = {
    types.Address: "address",
    types.Maybe[types.Address]: "address, or empty",
    types.LogLevel: ", ".join(f"`{level}`" for level in get_args(get_args(types.LogLevel)[0])),
    types.Maybe[types.LogFormat]: "`json`, `console` or empty",
    types.Networks: "list of addresses and networks",
    types.HostPatterns: "list of host names",
    types.Origins: "list of origins",
    types.Maybe[int]: "whole number, or empty",
    types.Maybe[chassis.DirectoryPath]: "existing folder, or empty",
    types.Maybe[Path]: "path, or empty",
    types.Maybe[float]: "number, or empty",
    types.Maybe[str]: "text, or empty",
    types.Maybe[pydantic.SecretStr]: "secret, or empty",
    types.Maybe[pydantic.HttpUrl]: "URL, or empty",
    pydantic.SecretStr: "secret",
    Literal["http/protobuf"]: "`http/protobuf`",
    tuple[str, ...]: "list of names",
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
}
"""What to call each type. One that is missing here is an error: the page has to learn it."""

COMPUTED_DEFAULTS = {
    "worker_tmp_dir": "`/dev/shm` where there is one",
    "database_url": "on SQLite `sqlite:///data/<service>.db`, else it has to be set",
    "jwt_algorithms": "`RS256`",
}


def rows() -> Iterator[str]:
    """The lines of the tables."""
    for name in chassis.ChassisSettings.model_fields:
        if name in SECTIONS:
            yield from heading(SECTIONS[name])
        yield row(chassis.ChassisSettings, name)
    for module, class_name, title, answer in FEATURES:
        feature = getattr(import_module(f"{PACKAGE}.chassis.{module}"), class_name)
        yield from heading(title, f"In services that were generated with {answer}.")
        for name in feature.model_fields:
            if name not in chassis.ChassisSettings.model_fields:
                yield row(feature, name)
    yield ""


def heading(title: str, text: str = "") -> Iterator[str]:
    """What stands above a table."""
    yield from ("", f"## {title}", "")
    if text:
        yield from (text, "")
    yield from ("| variable | type | default | bounds | meaning |", "|---|---|---|---|---|")


def row(settings: Any, name: str) -> str:
    """The line of one setting."""
    field = settings.model_fields[name]
    from_answers = chassis.defaults_from(import_module(f"{PACKAGE}.answers").ANSWERS)
    kind = kind_of(get_type_hints(settings, include_extras=True)[name])
    default = COMPUTED_DEFAULTS.get(name) or shown(from_answers.get(name, field.default))
    if field.is_required():
        default = "none: it has to be set"
    mark = " \\*" if name in from_answers else ""
    cells = (f"`{name.upper()}`", kind, default + mark, bounds(field.metadata), text_of(field))
    return f"| {' | '.join(cells)} |"


def kind_of(type_: Any) -> str:
    """What to call a type, with or without its constraints."""
    if type_ in KINDS:
        return KINDS[type_]
    if get_origin(type_) is Annotated:
        return kind_of(get_args(type_)[0])
    raise LookupError(f"{type_} has no name yet: add it to KINDS")


def text_of(field: Any) -> str:
    """The meaning of a setting, in Markdown."""
    text: str = field.description
    return text.replace("<", "&lt;")


def shown(value: object) -> str:
    """A default as one would write it in the environment."""
    if value is None or value == ():
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def bounds(constraints: Sequence[object]) -> str:
    """The lowest and the highest value, if there are any."""
    low, high = (
        next((getattr(one, end) for one in constraints if hasattr(one, end)), None)
        for end in ("ge", "le")
    )
    return "" if low is None else f"{low} to {high}"


def main() -> int:
    """Write the page, or check it."""
    old = PAGE.read_text("utf-8")
    before, _, rest = old.partition(BEGIN)
    _, _, after = rest.partition(END)
    new = "".join((before, BEGIN, "\n", "\n".join(rows()), "\n", END, after))
    if "--check" not in sys.argv:
        PAGE.write_text(new, "utf-8")
    elif new != old:
        print(f"{PAGE.name} isn't what the code says; {(__doc__ or '').partition('.')[2].strip()}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
