"""P8: what traces cost, by the part of requests that is traced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .instructions import count
from .result import Bars, Figure, Result, Spread, at_most
from .rig import Load, Rig

TITLE = "Tracing"

_CLIENTS = 32
_OFF, _INSTALLED = "tracing: no", "tracing: yes, sent nowhere"
_RATIOS = {"no request": "0", "10 percent": "0.1", "100 percent": "1"}


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
    ratios = {side: Spread.ratio(of, rates[_OFF]) for side, of in rates.items() if side != _OFF}
    requests = 400 if rig.quick else 1600
    # Not of the throughput: a hundredth can't be told from the noise there.
    counts = [count(project, "service", rig.folder, requests) for project in (traced, without)]
    return Result(
        [
            Figure(
                f"instructions a request, {_INSTALLED}",
                Spread.of([counts[0] / counts[1]]),
                at_most(1.01),
                beside={
                    side: f"{instructions / 1000:,.0f} thousand"
                    for side, instructions in zip((_INSTALLED, _OFF), counts, strict=True)
                },
            ),
            *(
                Figure(
                    f"throughput, {side}" if side == _INSTALLED else f"throughput, {side} traced",
                    ratio,
                    beside={
                        name: f"{Spread.of(rates[name]).median:,.0f}/s" for name in (side, _OFF)
                    },
                )
                for side, ratio in ratios.items()
            ),
        ],
        [Bars("tracing", "Throughput with traces", f"over `{_OFF}`", ratios)],
        {"clients": str(_CLIENTS)},
    )


def _peak(rig: Rig, project: Path, endpoint: str = "", ratio: str = "0") -> Callable[[], Load]:
    def run() -> Load:
        with rig.service(
            project, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, TRACING_SAMPLE_RATIO=ratio
        ) as server:
            return rig.load(server, clients=_CLIENTS)

    return run
