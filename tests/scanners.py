"""Programs of other people's that look at what is rendered: those of `requirements-scan.txt`."""

import os
import subprocess
from pathlib import Path

import support

FOLDER = support.REPOSITORY / ".venv-scan/bin"


def scan(
    program: str, *arguments: str | Path, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run one of them, without a network, for so many seconds at most."""
    path = FOLDER / program
    if not path.exists():
        support.require_engine(f"{path} (make .venv-scan/ready)")
    return subprocess.run(
        [path, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LOG_LEVEL": "ERROR"},
    )
