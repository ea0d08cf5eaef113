"""The tutorial is followed as it is written, from the clone to the last line of the log."""

import re
from pathlib import Path

import pytest
import support
from boot.harness import Ports
from sessions import Session

pytestmark = [pytest.mark.boot, pytest.mark.load]

PAGE = support.REPOSITORY / "docs/tutorial.md"
BILL = "answered: ..., different: ..., asked again: ..."
BOOKS = "payments: ..., replies: ..., events: ..., differences: 0"


def test_the_tutorial(tmp_path: Path, ports: Ports) -> None:
    """Each command does what is said, prints what is shown, and nothing is lost."""
    support.clone_template(tmp_path / "template")
    traffic, management = ports.take(), ports.take()
    session = Session(
        tmp_path,
        {
            "<this repository>": "template",
            "localhost:8000": f"localhost:{traffic}",
            '"localhost", 8000': f'"localhost", {traffic}',
            "0.0.0.0:8000": f"0.0.0.0:{traffic}",
            "localhost:9000": f"localhost:{management}",
            "0.0.0.0:9000": f"0.0.0.0:{management}",
        },
    )
    session.environment |= {
        "BIND_ADDRESS": f"0.0.0.0:{traffic}",
        "MANAGEMENT_BIND_ADDRESS": f"0.0.0.0:{management}",
        "PIP_QUIET": "2",  # of what pip warns depends on the machine's indexes
    }
    try:
        typed = session.follow(PAGE.read_text("utf-8"))
    finally:
        session.close()

    assert typed == PAGE.read_text("utf-8").count("\n$ ")
    answered, different, _ = numbers(session.seen[BILL])
    payments, replies, events, _ = numbers(session.seen[BOOKS])
    assert answered == different > 0
    assert payments == replies == events == answered + 1  # the first one was paid by hand


def numbers(line: str) -> list[int]:
    """The numbers in a line."""
    return [int(each) for each in re.findall(r"\d+", line)]
