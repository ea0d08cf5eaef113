"""The page of settings says what the code says."""

from collections.abc import Callable
from pathlib import Path

import support

SCRIPT = support.REPOSITORY / "scripts/settings_reference.py"


def test_the_page_is_what_the_code_says(installed: Callable[..., Path]) -> None:
    """docs/settings.md lists every setting with its type, default and bounds, and no other."""
    project = installed(support.EVERY_FEATURE)

    done = support.run([".venv/bin/python", SCRIPT, "--check"], project, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
