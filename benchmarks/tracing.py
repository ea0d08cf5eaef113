"""P8: what traces cost, by the part of requests that is traced."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from .instructions import TURNS, count
from .result import Bars, Figure, Result, Spread, at_most
from .rig import Rig
from .surroundings import versions
from .wrk import Load

TITLE = "Tracing"

_CLIENTS = 32
_OFF, _INSTALLED = "tracing: no", "tracing: yes, sent nowhere"
_RATIOS = {"no request traced": "0", "10 percent traced": "0.1", "100 percent traced": "1"}


def measure(rig: Rig) -> Result:
    """A service without traces, and one with, whose collector throws them away."""
    without = rig.project(archetype="minimal")
    traced = rig.project(archetype="minimal", tracing="yes")
    with rig.rival(without, "floor:app") as collector:
        endpoint = f"http://127.0.0.1:{collector.port}"
        sides = {_OFF: _peak(rig, without), _INSTALLED: _peak(rig, traced)}
        for name, ratio in _RATIOS.items():
            sides[name] = _peak(rig, traced, endpoint, ratio)
        loads = rig.interleave(sides)
    rates = {side: [load.good for load in of] for side, of in loads.items()}
    requests = 400 if rig.quick else 1600
    # Not of the throughput: a hundredth can't be told from the noise there.
    counts = rig.interleave(
        {
            side: partial(count, project, "service", rig.folder, requests)
            for side, project in ((_INSTALLED, traced), (_OFF, without))
        },
        TURNS,
    )
    return Result(
        [
            Figure.of(
                f"instructions a request, {_INSTALLED}",
                "instructions",
                counts,
                (_INSTALLED, _OFF),
                at_most(1.01),
            ),
            *(
                Figure.of(f"throughput, {side}", "/s", rates, (side, _OFF))
                for side in rates
                if side != _OFF
            ),
        ],
        [
            Bars(
                "tracing",
                "Throughput with traces",
                f"over `{_OFF}`",
                {side: Spread.ratio(of, rates[_OFF]) for side, of in rates.items()},
            )
        ],
        {"clients": str(_CLIENTS), "requests counted": f"{requests:,}"},
        versions(traced, "opentelemetry-sdk", "wrk", "Valgrind"),
        rig.seconds,
    )


def _peak(rig: Rig, project: Path, endpoint: str = "", ratio: str = "0") -> Callable[[], Load]:
    def run() -> Load:
        with rig.service(
            project, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, TRACING_SAMPLE_RATIO=ratio
        ) as server:
            return rig.load(server, clients=_CLIENTS)

    return run
