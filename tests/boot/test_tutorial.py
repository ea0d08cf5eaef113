"""The tutorial is followed as it is written, from the clone to the last line of the log."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import support
from boot.harness import Ports
from sessions import Session

pytestmark = [pytest.mark.boot, pytest.mark.load]

PAGE = support.REPOSITORY / "docs/tutorial.md"


def test_the_tutorial(
    tmp_path: Path, ports: Ports, record_property: Callable[[str, object], None]
) -> None:
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
    answered, different, again = numbers(session.seen, "answered: ")
    record_property("load", f"{answered} answered, {again} again")
    payments, replies, events, _ = numbers(session.seen, "payments: ")
    assert answered == different > 0
    assert payments == replies == events == answered + 1  # the first one was paid by hand


def numbers(seen: Mapping[str, str], first: str) -> list[int]:
    """The numbers that were printed where the page has a line that begins so."""
    (line,) = (printed for shown, printed in seen.items() if shown.startswith(first))
    return [int(each) for each in re.findall(r"\d+", line)]
