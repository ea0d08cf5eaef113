"""The page of benchmarks is what the kept results make of it, and those hold what was measured."""

import json
import random
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from benchmarks import open_loop, probing, report
from benchmarks.__main__ import MEASURES
from benchmarks.drawing import draw
from benchmarks.result import Bars, Figure, Lines, Result, Side, Spread, at_least, at_most
from benchmarks.rig import Rig
from benchmarks.server import Server
from benchmarks.wrk import parse_wrk

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

BODY = "{}"
NINE = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
RATES = {"service": [90.0, 80.0, 30.0], "bare": [100.0, 160.0, 40.0]}
RESULT = Result(
    [
        Figure.of("service over bare", "/s", RATES, ("service", "bare"), at_least(0.7)),
        Figure.of("service by itself", "/s", RATES, ("service", "bare"), None, "itself"),
        Figure.of("bare adds", "/s", RATES, ("bare", "service"), at_most(1.0), "difference"),
    ],
    [
        Bars("bars", "Bars", "over", {"service": Spread.of(NINE)}, {"service": at_most(7)}),
        Lines("lines", "Lines", "workers", "over", ["1"], {"service": [Spread.of(NINE)]}),
    ],
    {"clients": "32"},
    {"Python": "3.13.0"},
    5.0,
    [Side("one more", "ms", (1.0,))],
)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """One that leaves the environment of other tests alone."""
    monkeypatch.setenv("UV_PYTHON", sys.executable)
    return Rig(tmp_path)


def test_the_page_is_made_of_the_results() -> None:
    """Nobody has touched up a table: `make bench` writes them."""
    page = report.PAGE.read_text()
    made, drawings = report.made(page)
    assert made == page
    assert {path.stem: path.read_text() for path in report.DRAWINGS.glob("*.svg")} == drawings


def test_every_measure_has_its_place() -> None:
    """A measure that the page doesn't show is measured for nothing."""
    page = report.PAGE.read_text()
    assert [name for name in MEASURES if f"<!-- measure: {name} -->" not in page] == []


def test_what_people_wrote_into_the_page_has_no_figures_of_results() -> None:
    """Prose is not measured anew with the tables, which then refute it."""
    prose, _ = report.PLACE.subn("", report.PAGE.read_text())
    assert re.findall(r"\d ?(?:ms|us|milliseconds|microseconds|percent|%|/s|times)\b", prose) == []


def test_what_is_kept_comes_of_its_rounds() -> None:
    """Medians, intervals and ends can be computed anew of what each side did in each round."""
    for path in report.RESULTS.glob("*.json"):
        document = json.loads(path.read_text())
        _comes_of_its_rounds(document)
        told = {"commit", "edited", "machine", "load_average", "versions"}
        assert told <= document.keys(), path.stem


def test_a_result_is_read_as_it_was_kept() -> None:
    """With every round; what is computed of them is the same afterwards."""
    document = json.loads(json.dumps(report.document_of(RESULT)))
    _comes_of_its_rounds(document)
    assert report.read(document) == RESULT


def test_no_figure_stands_without_what_it_is_compared_with() -> None:
    """Another side, of the same unit and as many rounds: an absolute has one too."""
    rows = report.table(RESULT).splitlines()[2:]
    assert len(rows) == len(RESULT.figures)
    assert all("service" in row and "bare" in row for row in rows)
    with pytest.raises(ValueError, match="same way"):
        Figure("x", Side("a", "ms", (1.0,)), Side("b", "/s", (1.0,)))
    with pytest.raises(ValueError, match="same way"):
        Figure("x", Side("a", "ms", (1.0,)), Side("b", "ms", (1.0, 2.0)))


def test_a_ratio_is_that_of_neighbouring_rounds() -> None:
    """Not of two medians, which may come from different rounds."""
    spread = Spread.ratio([10, 200, 30], [20, 100, 30])
    assert (spread.median, spread.low, spread.high) == (1.0, 0.5, 2.0)


def test_what_stands_beside_a_ratio_comes_to_it() -> None:
    """The sides are shown as they were in the round that the median is of."""
    row = report.table(RESULT).splitlines()[2]
    assert "**0.75**" in row
    assert "service 30.00/s; bare 40.00/s" in row


@pytest.mark.parametrize(
    ("count", "interval"),
    [(1, (1, 1)), (3, (1, 3)), (5, (1, 5)), (6, (1, 6)), (8, (1, 8)), (9, (2, 8)), (18, (5, 14))],
)
def test_an_interval_is_between_two_ordered_rounds(count: int, interval: tuple[int, int]) -> None:
    """As tables of order statistics have them, for 95 percent."""
    values = [float(number + 1) for number in range(count)]
    random.Random(1).shuffle(values)  # noqa: S311
    assert Spread.of(values).interval == interval


def test_nineteen_intervals_of_twenty_hold_the_median() -> None:
    """As often as it says, whatever the distribution: here a very lopsided one."""
    source = random.Random(7)  # noqa: S311
    tries, held = 4000, 0
    for _ in range(tries):
        low, high = Spread.of([source.expovariate(1) for _ in NINE]).interval
        held += low <= 0.693147 <= high
    assert held / tries == pytest.approx(Spread.of(NINE).sureness, abs=0.015)
    assert Spread.of(NINE).sureness == pytest.approx(0.961, abs=0.001)


@pytest.mark.parametrize(
    ("bound", "at_most_that", "at_least_that"),
    [(1.5, "missed", "met"), (5.0, "undecided", "undecided"), (8.5, "met", "missed")],
)
def test_a_verdict_needs_the_whole_interval(
    bound: float, at_most_that: str, at_least_that: str
) -> None:
    """A median on the right side isn't enough where the rounds lie on both."""
    assert at_most(bound).verdict(Spread.of(NINE)) == at_most_that
    assert at_least(bound).verdict(Spread.of(NINE)) == at_least_that


def test_a_goal_is_drawn_at_its_own_bar() -> None:
    """A line across all of them would judge what has no goal."""
    bars = {"service": Spread.of([1.0]), "bare": Spread.of([2.0])}
    text = draw(Bars("bars", "Bars", "over", bars, {"service": at_least(0.5)}))
    assert text.count("stroke-dasharray") == 1
    assert text.count("at least 0.5") == 1


def test_what_wrk_says_is_read() -> None:
    """Replies that were refused don't count as served."""
    load = parse_wrk(WRK)
    assert load.requests == 5101
    assert load.good == pytest.approx(5000 / 1.02)
    assert load.refused == pytest.approx(101 / 1.02)
    assert (load.errors, load.p50, load.p99) == (3, 5.01, 57.27)


def test_sides_take_turns(rig: Rig) -> None:
    """None is always the first, to meet what the one before has left behind."""
    order = list[str]()
    rig.interleave({name: partial(order.append, name) for name in "AB"}, rounds=3)
    assert "".join(order) == "ABBAAB"


@pytest.mark.parametrize(("refusals", "errors"), [(False, 0), (True, 3)])
def test_a_load_that_was_not_served_ends_the_measure(
    refusals: bool, errors: int, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refusals count only where they may be, and broken connections nowhere."""
    load = replace(parse_wrk(WRK), errors=errors)
    monkeypatch.setattr(Rig, "_wrk", lambda *_: load)
    with pytest.raises(RuntimeError, match="wasn't served"):
        rig.load(_server(rig.folder), "/payments", refusals=refusals)
    if refusals:
        load = replace(load, errors=0)
        assert rig.load(_server(rig.folder), "/payments", refusals=True) == load


def test_a_side_that_answers_something_else_is_not_loaded(rig: Rig) -> None:
    """All sides have to answer the same, or they aren't compared."""
    with _stalling() as port, pytest.raises(RuntimeError, match="not what all sides answer"):
        rig.load(_server(rig.folder, port))


def test_an_open_loop_counts_all_who_waited_for_a_stall() -> None:
    """Half a second in which nothing is answered is seen by every request that was due in it."""
    with _stalling(after=150, seconds=0.5) as port:
        told = json.loads(_offer(port, seconds=1.0).stdout)
    # Twenty of a hundred requests were due in the first fifth of a second of it.
    assert told["p99"] > 300


def test_an_open_loop_refuses_a_reply_that_is_another() -> None:
    """What isn't served must not make a side faster."""
    with _stalling(status=503) as port:
        done = _offer(port, seconds=0.1)
    assert done.returncode
    assert "not the reply" in done.stderr


def test_probes_see_a_stall_as_often_as_they_were_due() -> None:
    """By the clock: a prober that waited for each reply would see a stall once."""
    with _stalling(after=30, seconds=0.5) as port, probing.probing(port) as took:
        threading.Event().wait(1.0)
    assert sum(milliseconds > 200 for milliseconds in took) > 20


def _server(folder: Path, port: int = 0) -> Server:
    output, errors = folder / "output", folder / "errors"
    output.touch()
    errors.touch()
    process = cast("subprocess.Popen[bytes]", None)
    return Server(folder, port, None, process, output, errors, 0.0)


def _offer(port: int, seconds: float) -> subprocess.CompletedProcess[str]:
    """A hundred requests a second."""
    arguments = [str(port), "100", str(seconds), "1", BODY]
    command = [sys.executable, open_loop.__file__, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def _stalling(*, after: int = 0, seconds: float = 0.0, status: int = 200) -> Iterator[int]:
    """A server on loopback that stands still once; yields its port."""
    turn, served = threading.Lock(), [0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with turn:
                served[0] += 1
                if served[0] == after:
                    threading.Event().wait(seconds)
            head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}"
            self.wfile.write(head.encode())

        def log_message(self, *arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that is done closes its connections

    server = Server(("127.0.0.1", 0), Handler)
    running = threading.Thread(target=server.serve_forever)
    running.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        running.join()
        server.server_close()


def _comes_of_its_rounds(document: dict[str, Any]) -> None:
    for figure in document["figures"]:
        rounds = list(zip(figure["side"]["rounds"], figure["beside"]["rounds"], strict=True))
        found = {
            "ratio": [side / beside for side, beside in rounds],
            "difference": [side - beside for side, beside in rounds],
            "itself": [side for side, _ in rounds],
        }[figure["way"]]
        assert figure["value"] == _recomputed(found), figure["name"]
    for drawing in document["drawings"]:
        lines = drawing.get("bars") or drawing["lines"]
        spreads = [
            spread for of in lines.values() for spread in (of if isinstance(of, list) else [of])
        ]
        assert spreads
        for spread in spreads:
            assert spread == _recomputed(spread["rounds"]), drawing["name"]


def _recomputed(rounds: list[float]) -> dict[str, Any]:
    """Apart from `benchmarks.result`: by a table of ranks, for 95 percent."""
    left_out = {9: 1, 10: 1, 11: 1, 12: 2, 13: 2, 14: 2, 15: 3, 16: 3, 17: 4, 18: 4, 27: 7}
    ordered = sorted(float(f"{value:.6g}") for value in rounds)
    rank = left_out.get(len(ordered), 0)
    return {
        "median": ordered[(len(ordered) - 1) // 2],
        "interval": [ordered[rank], ordered[-1 - rank]],
        "lowest": ordered[0],
        "highest": ordered[-1],
        "rounds": [float(f"{value:.6g}") for value in rounds],
    }
