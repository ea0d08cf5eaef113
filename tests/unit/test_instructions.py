"""What a request costs in instructions, over what it costs bare FastAPI: no more than it did."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import support

from benchmarks import instructions

_MARGIN = 0.05
"""Two counts differ by one or two hundredths on a busy machine, where the client is late and fewer
requests share a turn of the event loop; by a thousandth on an idle one."""


@pytest.mark.slow
def test_a_request_takes_no_more_instructions_than_it_did(
    installed: Callable[..., Path], tmp_path: Path
) -> None:
    """The time that a request takes can't be asserted; the instructions that it takes can.

    When this fails for a good reason, put the new ratio into `benchmarks/kept_ratios.json`.
    """
    support.require_engine("valgrind")
    project = installed({"archetype": "minimal"})
    service, bare = (
        instructions.count(project, side, tmp_path, instructions.REQUESTS)
        for side in ("service", "bare:app")
    )
    kept = json.loads(instructions.KEPT.read_text())
    version = instructions.python_of(project)
    assert service / bare <= kept.get(version, max(kept.values())) + _MARGIN, version
