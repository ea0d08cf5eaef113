"""UPGRADING.md and copier's migrations say what releases.toml says."""

from __future__ import annotations

import sys

import pytest
import support
import yaml

sys.path.insert(0, str(support.REPOSITORY / "scripts"))
import upgrading


def test_the_page_is_what_the_data_say() -> None:
    """`make upgrading` has been run."""
    script = support.REPOSITORY / "scripts/upgrading.py"

    support.run([sys.executable, script, "--check"], support.REPOSITORY)


def test_a_release_says_all_that_it_asks() -> None:
    """Each kind has its heading; where nothing is asked, the page says so."""
    release = {
        "version": "1.2.0",
        "breaking": ["The sky is green."],
        "manual": ["Paint it."],
        "renames": {"DAY": "NIGHT"},
        "migrations": {"sky.py": "moves the sun"},
    }

    said = upgrading.page([release, {"version": "1.1.0"}])

    assert said.startswith("# Upgrading\n")
    first, second = said.partition("## 1.2.0\n")[2].split("## 1.1.0\n")
    assert "- The sky is green.\n" in first
    assert "- Paint it.\n" in first
    assert "- `DAY` is `NIGHT`\n" in first
    assert "- [sky.py](hooks/migrations/sky.py) moves the sun\n" in first
    assert second == "\nIt asks nothing.\n"


def test_what_nobody_reads_is_refused() -> None:
    """A misspelt key would be lost silently."""
    with pytest.raises(ValueError, match=r"1\.2\.0 says manuel"):
        upgrading.page([{"version": "1.2.0", "manuel": []}])


def test_copier_runs_what_the_releases_announce() -> None:
    """The same migrations at the same versions, each of them there, and none without a version."""
    options = next(yaml.load_all((support.REPOSITORY / "copier.yml").read_text(), Includes))
    declared = {
        (one["version"].removeprefix("v"), one["command"][-1].rpartition("/")[2])
        for one in options["_migrations"]
    }

    announced = {
        (release["version"], name)
        for release in upgrading.releases()
        for name in release.get("migrations", {})
    }
    assert declared == announced
    for _, name in announced:
        assert (support.REPOSITORY / "hooks/migrations" / name).is_file()


class Includes(yaml.SafeLoader):
    """Reads copier.yml, in which other files are included."""


Includes.add_constructor("!include", lambda *_: None)
