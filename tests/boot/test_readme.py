"""What the generated README shows is what one sees: its commands are run, its output compared."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import support
from boot.fixtures import booting
from boot.harness import Ports

pytestmark = pytest.mark.boot

BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)

CHANGING = {
    r"01[0-9a-f]{6}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": "<id>",
    r"\b[0-9a-f]{32}\b": "<request id>",
    r"\d{4}-\d\d-\d\dT[\d:.]+Z": "<moment>",
}
"""What is another one each time, and what stands for it."""


def plain(text: str) -> str:
    """Output without what changes from one run to the next, and without the width of columns."""
    for pattern, name in CHANGING.items():
        text = re.sub(pattern, name, text)
    return "\n".join(re.sub(" {2,}", "  ", line).strip() for line in text.splitlines())


def commands(readme: str) -> Iterator[tuple[str, str]]:
    """Each command of the section on payments, and what it is to print."""
    section = readme.partition("\n## Payments\n")[2].partition("\n## ")[0]
    for block in BLOCK.findall(section):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            yield command, printed


def test_the_commands_print_what_is_shown(
    installed: Callable[..., Path], ports: Ports, tmp_path: Path
) -> None:
    """From the first payment to the reconciliation, on a database that was just made."""
    project = installed()
    database = {"DATABASE_URL": f"sqlite:///{tmp_path}/payments.db"}
    environment = support.clean_environment() | database
    migrated = subprocess.run(
        [".venv/bin/alembic", "upgrade", "heads"], cwd=project, env=environment, check=False
    )
    assert migrated.returncode == 0
    shown = list(commands((project / "README.md").read_text("utf-8")))
    assert len(shown) == 6

    made = day = ""
    with booting(project, ports) as boot:
        service = boot(WEB_CONCURRENCY="2", **database)
        for command, printed in shown:
            there = command.replace("localhost:8000", f"127.0.0.1:{service.port}")
            there = re.sub(r"01[0-9a-f-]{34}", made or "no payment yet", there)
            there = re.sub(r"day=\S+", f"day={day}", there)
            done = subprocess.run(
                ["bash", "-c", there],
                cwd=project,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert plain(done.stdout) == plain(printed), f"{command}\n{done.stdout}{done.stderr}"
            if not made:
                made = re.findall(r'"id":"([^"]+)"', done.stdout)[0]
                day = re.findall(r'"created_at":"([^T]+)T', done.stdout)[0]
