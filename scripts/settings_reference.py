"""Keep the table in docs/settings.md true: it is made from the chassis' own settings.

Run it with the Python of a generated service, such as the one that `make demo` leaves behind:

    demo/.venv/bin/python scripts/settings_reference.py

With `--check` it changes nothing and fails if the page differs from the code.
"""

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
BEGIN, END = "<!-- made by scripts/settings_reference.py -->", "<!-- end -->"

PACKAGE = "payment_api"  # the default service's
chassis: Any = import_module(f"{PACKAGE}.chassis.settings")
types: Any = import_module(f"{PACKAGE}.chassis.settings.setting_types")

SECTIONS = {
    "bind_address": "Addresses, workers and logs",
    "drain_seconds": "Time",
    "max_requests": "Capacity and recycling",
    "max_body_bytes": "Requests and callers",
    "docs_enabled": "Documentation, probes and secrets",
}
"""The heading above each of these settings; the order is that of the code."""

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
    types.Maybe[Path]: "folder, or empty",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
}
"""What to call each type. One that is missing here is an error: the page has to learn it."""

COMPUTED_DEFAULTS = {"worker_tmp_dir": "`/dev/shm` where there is one"}


def rows() -> Iterator[str]:
    """The lines of the tables."""
    settings = import_module(f"{PACKAGE}.settings").Settings
    from_answers = chassis.defaults_from(settings.answers)
    for name, field in chassis.ChassisSettings.model_fields.items():
        if name in SECTIONS:
            yield from ("", f"## {SECTIONS[name]}", "")
            yield from ("| variable | type | default | bounds | meaning |", "|---|---|---|---|---|")
        kind = KINDS[chassis.ChassisSettings.__annotations__[name]]
        default = COMPUTED_DEFAULTS.get(name) or shown(from_answers.get(name, field.default))
        mark = " \\*" if name in from_answers else ""
        cells = (
            f"`{name.upper()}`",
            kind,
            default + mark,
            bounds(field.metadata),
            field.description,
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


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
