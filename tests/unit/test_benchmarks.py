"""The page of benchmarks is what the kept results make of it, and its figures are ratios."""

import json
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.__main__ import MEASURES
from benchmarks.result import Spread
from benchmarks.rig import parse_wrk

WRK = """Running 1s test @ http://127.0.0.1:34743/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     9.27ms   11.60ms  96.96ms   88.53%
    Req/Sec     5.10k     1.14k    6.82k    70.00%
  Latency Distribution
     50%    5.01ms
     75%    9.71ms
     90%   23.10ms
     99%   57.27ms
  5101 requests in 1.02s, 0.93MB read
  Socket errors: connect 0, read 2, write 0, timeout 1
  Non-2xx or 3xx responses: 101
Requests/sec:   5001.00
Transfer/sec:      0.91MB
"""


def test_the_page_is_made_of_the_results() -> None:
    """Nobody has touched up a figure: `make bench` writes them."""
    page = report.PAGE.read_text()
    made, drawings = report.made(page)
    assert made == page
    assert {path.stem: path.read_text() for path in report.DRAWINGS.glob("*.svg")} == drawings


def test_every_measure_has_its_place() -> None:
    """A measure that the page doesn't show is measured for nothing."""
    page = report.PAGE.read_text()
    assert [name for name in MEASURES if f"<!-- measure: {name} -->" not in page] == []


@pytest.mark.parametrize("path", sorted(report.RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_no_absolute_figure_stands_without_what_it_is_compared_with(path: Path) -> None:
    """A ratio has both sides beside it; an absolute that is required has its rival."""
    document = json.loads(path.read_text())
    for figure in document.get("figures", []):
        assert figure["beside"], figure["name"]


def test_a_ratio_is_that_of_neighbouring_rounds() -> None:
    """Not of two medians, which may come from different rounds."""
    assert Spread.ratio([10, 200, 30], [20, 100, 30]) == Spread(1.0, 0.5, 2.0)


def test_what_wrk_says_is_read() -> None:
    """Replies that were refused don't count as served."""
    load = parse_wrk(WRK)
    assert load.requests == 5101
    assert load.good == pytest.approx(5000 / 1.02)
    assert load.refused == pytest.approx(101 / 1.02)
    assert (load.errors, load.p50, load.p99) == (3, 5.01, 57.27)
