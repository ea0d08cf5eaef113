"""Make of ownership.yml what copier reads, and the page that a generated service has.

    python3 scripts/ownership.py

With `--check` it changes nothing and fails if a file differs from the data.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = REPOSITORY / "ownership.yml"
COPIER = REPOSITORY / "questions/ownership.yml"
PAGE = REPOSITORY / "template/OWNERSHIP.md.jinja"

PACKAGE = "{{ package_name }}"
OWNERS = {
    "template": (
        "Kept by the template",
        "An update replaces these. What you want otherwise has a place of its own.",
    ),
    "seam": (
        "Yours, and needed",
        "An update never changes these, and makes them again where they are missing.",
    ),
    "seed": (
        "Yours, from the first day",
        "Change them, move them, delete them: an update neither changes them nor brings them back.",
    ),
}


class Entry(NamedTuple):
    """Who keeps the files below a path, or one file."""

    path: str
    owner: str
    what: str
    when: str = ""
    mine: str = ""

    @property
    def pattern(self) -> re.Pattern[str]:
        """What it matches, with the package's name left open."""
        names = re.escape(self.path).replace(re.escape(PACKAGE), "[a-z][a-z0-9_]*")
        end = ".*" if self.path.endswith("/") else ""
        return re.compile(names.replace(r"\*", "[^/]*") + end)


def entries() -> list[Entry]:
    """All entries, in their order."""
    return [Entry(**entry) for entry in yaml.safe_load(DATA.read_text("utf-8"))]


def owner_of(path: str, known: Sequence[Entry]) -> Entry | None:
    """The entry for a path of a service, such as `/Makefile`."""
    return next((entry for entry in known if entry.pattern.fullmatch(path)), None)


def for_copier(known: Sequence[Entry]) -> str:
    """What copier leaves alone: `_exclude` and `_skip_if_exists`."""
    seeds = [entry.path for entry in known if entry.owner == "seed"]
    # Where a file was deleted, copier reads these before it has the answers: without the name.
    seams = [entry.path.replace(PACKAGE, "*") for entry in known if entry.owner == "seam"]
    only = "{% if _copier_operation == 'update' %}"
    lines = [
        "# Made by `make ownership` from ownership.yml.",
        "_exclude:",
        *(f'  - "{only}{path}{{% endif %}}"' for path in seeds),
        "_skip_if_exists:",
        *(f'  - "{path}"' for path in seams),
    ]
    return "\n".join([*lines, ""])


def page(known: Sequence[Entry]) -> str:
    """The page of a generated service, with the rows that its answers leave."""
    return "\n".join([*_page(known), ""])


def _page(known: Sequence[Entry]) -> Iterator[str]:
    yield from ("# Who keeps which file", "")
    yield "Made for the answers of this service. The first row that names a file, or a folder that"
    yield "it is in, counts; what isn't named here is yours. `make update` brings what is new."
    for owner, (title, meaning) in OWNERS.items():
        own = [entry for entry in known if entry.owner == owner]
        with_mine = owner == "template"
        yield from ("", f"## {title}", "", meaning, "")
        yield "| file | what | instead of editing it |" if with_mine else "| file | what |"
        yield "|---|---|---|" if with_mine else "|---|---|"
        for entry in own:
            cells = [f"`{entry.path.removeprefix('/')}`", entry.what]
            cells += [entry.mine] if with_mine else []
            row = f"| {' | '.join(cells)} |".replace("|  |", "| |")
            if entry.when:
                row = f"{{%- if {entry.when} %}}\n{row}\n{{%- endif %}}"
            yield row


def main(arguments: Sequence[str]) -> int:
    """Write the files, or compare them."""
    known = entries()
    made = {COPIER: for_copier(known), PAGE: page(known)}
    if "--check" not in arguments:
        for path, text in made.items():
            path.write_text(text, "utf-8")
        return 0
    for path, text in made.items():
        if not path.is_file() or path.read_text("utf-8") != text:
            print(f"{path.name} isn't what ownership.yml says: make ownership", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
