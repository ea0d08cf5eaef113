"""Make UPGRADING.md of releases.toml.

    python3 scripts/upgrading.py

With `--check` it changes nothing and fails if the page differs from the data.
"""

import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = REPOSITORY / "releases.toml"
PAGE = REPOSITORY / "UPGRADING.md"

HEAD = """\
# Upgrading

What each release asks of a service that is updated to it, newest first. `make update` there says
the same of the releases that it takes you over; what else is new in them is in the
[changelog](CHANGELOG.md). How an update goes is told in [Updates](docs/updates.md), also that of a
service [from before 0.5.0](docs/updates.md#a-service-from-before-050), which has no `make update`.

Made by `make upgrading` from releases.toml.
"""
KEYS = {"version", "date", "commit", "breaking", "manual", "migrations", "renames"}


def releases() -> list[dict[str, Any]]:
    """All releases, the newest first."""
    found: list[dict[str, Any]] = tomllib.loads(DATA.read_text("utf-8"))["release"]
    return found


def page(known: Sequence[Mapping[str, Any]]) -> str:
    """The whole page."""
    return "\n".join([HEAD, *(line for release in known for line in section(release))])


def section(release: Mapping[str, Any]) -> Iterator[str]:
    """What one release asks; ValueError where it says something that nobody reads."""
    unknown = release.keys() - KEYS
    if unknown:
        raise ValueError(f"{DATA.name}: {release['version']} says {', '.join(sorted(unknown))}")
    yield from (f"## {release['version']}", "")
    asks = False
    for title, lines in (
        ("Different from before", [*release.get("breaking", ())]),
        ("To do by hand", [*release.get("manual", ())]),
        (
            "Renamed",
            [f"`{old}` is `{new}`" for old, new in release.get("renames", {}).items()],
        ),
        (
            "Run by the update, if you trust it with that (`make update TRUST=1`)",
            [
                f"[{name}](hooks/migrations/{name}) {what}"
                for name, what in release.get("migrations", {}).items()
            ],
        ),
    ):
        if lines:
            asks = True
            yield from (f"{title}:", "", *(f"- {line}" for line in lines), "")
    if not asks:
        yield from ("It asks nothing.", "")


def main(arguments: Sequence[str]) -> int:
    """Write the page, or compare it."""
    text = page(releases())
    if "--check" not in arguments:
        PAGE.write_text(text, "utf-8")
        return 0
    if not PAGE.is_file() or PAGE.read_text("utf-8") != text:
        print(f"{PAGE.name} isn't what {DATA.name} says: make upgrading", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
