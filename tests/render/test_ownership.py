"""Each file of a service has one owner; copier leaves alone what isn't the template's (SPEC L2)."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import jinja2
import pytest
import support
from render.test_variants import flags, rendered_path, variants

sys.path.insert(0, str(support.REPOSITORY / "scripts"))
import ownership

ENTRIES = ownership.entries()


def places(answers: Mapping[str, str], template: Path) -> set[str]:
    """Where the files of a variant stand, as ownership.yml has them."""
    files = (path.relative_to(template) for path in template.rglob("*") if path.is_file())
    found = (rendered_path(path, answers) for path in files)
    return {f"/{path.as_posix()}" for path in found if path is not None}


def holds(entry: ownership.Entry, answers: Mapping[str, str]) -> bool:
    """Whether an entry is about these answers."""
    condition = f"{{{{ ({entry.when or 'true'}) | string }}}}"
    told: str = jinja2.Template(condition, autoescape=False).render(flags(answers))
    return told == "True"


@pytest.mark.parametrize("answers", list(variants()))
def test_each_file_has_an_owner(answers: dict[str, str], template_source: Path) -> None:
    """A file has one; and an entry that counts for the answers is about files that are there."""
    files = places(answers, template_source / "template")

    owners = {path: ownership.owner_of(path, ENTRIES) for path in sorted(files)}
    assert [path for path, owner in owners.items() if owner is None] == []
    used = set(owners.values())
    for entry in ENTRIES:
        if entry in used:
            assert holds(entry, answers), f"{entry.path} is there, and its condition doesn't hold"
        elif holds(entry, answers):
            assert entry.owner == "seed", f"{entry.path} isn't there, but its condition holds"


def test_each_entry_is_about_something(template_source: Path) -> None:
    """No entry is left over from a file that is gone."""
    chosen: list[Any] = [cast("Any", parameters).values[0] for parameters in variants()]
    files = set().union(*(places(answers, template_source / "template") for answers in chosen))
    used = {ownership.owner_of(path, ENTRIES) for path in files}

    assert [entry.path for entry in ENTRIES if entry not in used] == []


@pytest.mark.parametrize("entry", [one for one in ENTRIES if one.owner == "template"])
def test_what_the_template_keeps_has_a_place_for_what_is_yours(entry: ownership.Entry) -> None:
    """Nobody has to edit it for an ordinary thing, or there is nothing in it to change."""
    closed = {"/OWNERSHIP.md", "/tests/chassis/"}

    assert bool(entry.mine) != (entry.path in closed), entry.path


def test_the_page_is_for_these_answers(tmp_path: Path, render: Callable[..., Path]) -> None:
    """It lists what the service has, and says no word of what it hasn't."""
    default = (render(tmp_path / "default") / "OWNERSHIP.md").read_text("utf-8")
    answers = {"archetype": "minimal", "deploy": "[kubernetes]"}
    minimal = (render(tmp_path / "minimal", answers) / "OWNERSHIP.md").read_text("utf-8")

    assert "`src/payment_api/payments/`" in default
    assert "`migrations/versions/`" in default
    assert "kubernetes" not in default
    assert "`deploy/kubernetes/overlays/`" in minimal
    for word in ("payments/", "migrations", "alembic", "compose"):
        assert word not in minimal


def test_what_copier_reads_is_made_of_the_data() -> None:
    """The same holds for the page: `make ownership` has been run."""
    script = support.REPOSITORY / "scripts/ownership.py"

    support.run([sys.executable, script, "--check"], support.REPOSITORY)
