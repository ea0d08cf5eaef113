"""The page of settings says what the code says, and so do other pages of what is refused."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import support

SCRIPT = support.REPOSITORY / "scripts/settings_reference.py"
SETTINGS = (support.REPOSITORY / "docs/settings.md").read_text("utf-8")
SHUTDOWN = (support.REPOSITORY / "docs/shutdown.md").read_text("utf-8")
(LOGGED,) = re.findall(r"^\{\"level\":\"critical\".*\}$", SETTINGS, re.MULTILINE)

REFUSED = {
    "DRAIN_SECONDS=abc DOCS_ENABLED=maybe": json.loads(LOGGED.replace(", ...", ""))["message"],
    "DRAIN_SECONDS=60": SHUTDOWN.partition("`DRAIN_SECONDS=60`:\n\n```\n")[2].partition("\n")[0],
}
"""Settings, and the line that a page shows for them."""


def test_the_page_is_what_the_code_says(installed: Callable[..., Path]) -> None:
    """docs/settings.md lists every setting with its type, default and bounds, and no other."""
    project = installed(support.EVERY_FEATURE)

    done = support.run([".venv/bin/python", SCRIPT, "--check"], project, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("given", REFUSED)
def test_the_refusal_is_the_one_that_is_shown(given: str, installed: Callable[..., Path]) -> None:
    """Word for word, as the service ends with it: with 78."""
    command = ["env", *given.split(), "LOG_FORMAT=json", ".venv/bin/gunicorn"]

    done = support.run(command, installed(), check=False)

    assert done.returncode == 78, done.stdout + done.stderr
    assert json.loads(done.stdout)["message"] == REFUSED[given]
