"""What the how-to pages have one write is accepted by what reads it."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import docs_code
import pytest
import sessions
import support

FOLDER = support.REPOSITORY / "docs/how-to"
ASSIGNMENT = re.compile(r"[A-Z_]+=\S+")


def settings() -> Iterator[tuple[str, list[str]]]:
    """The blocks of environment variables, by page and line."""
    for page in sorted(FOLDER.glob("*.md")):
        for block in docs_code.blocks(page.read_text("utf-8"), "sh"):
            lines = block.code.splitlines()
            if all(ASSIGNMENT.fullmatch(line) for line in lines):
                yield f"{page.name}:{block.line}", lines


@pytest.mark.parametrize(("place", "lines"), list(settings()), ids=lambda it: str(it)[:40])
def test_the_settings_are_accepted(
    place: str, lines: list[str], installed: Callable[..., Path]
) -> None:
    """Each of them is a setting that there is, and they fit together."""
    program = "from payment_api.settings import Settings; print(*Settings.model_fields)"
    command = ["env", *lines, ".venv/bin/python", "-c", f"{program}; Settings()"]

    known = support.run(command, installed()).stdout.upper().split()

    assert {line.partition("=")[0] for line in lines} <= set(known), place


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    """systemd-analyze finds nothing to complain of, with the programs that there are here."""
    if not shutil.which("systemd-analyze"):
        support.require_engine("systemd-analyze")
    page = (FOLDER / "deploy.md").read_text("utf-8")
    (unit,) = [step for step in sessions.steps(page) if isinstance(step, sessions.File)]
    text = re.sub(r"/srv/payment-api/\.venv/bin/\w+", "/bin/true", unit.content)
    assert text.count("/bin/true") == 2
    file = tmp_path / unit.name
    file.write_text(text.replace("/srv/payment-api", "/"), "utf-8")

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
