"""Predictions a second, and what the probes notice of them (SPEC G3).

The archetype `inference` with its defaults and two workers. `iris` is the sample model, `large` a
network of 12 MiB with four layers of 1024; "bounded" is how many requests a worker takes on
(`WORKER_CONNECTIONS=16`), so that most of a hundred clients are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import support

from .probing import probing
from .result import Figure, Result, Spread, at_most
from .rig import Load, Rig, percentile

TITLE = "Predictions"

_BATCHES = (1, 32, 256)
_CASES = {
    **{
        f"{model}, batches of {batch}": (model, 16, batch, {})
        for model in ("iris", "large")
        for batch in _BATCHES
    },
    "large, bounded, 100 clients": ("large", 100, 256, {"WORKER_CONNECTIONS": "16"}),
}
"""By name: the model, how many clients ask at once for batches of what size, the settings."""

_PROBE_MS = at_most(100)
_FLOWER = {
    "sepal_length_cm": 5.1,
    "sepal_width_cm": 3.5,
    "petal_length_cm": 1.4,
    "petal_width_cm": 0.2,
}

# A model that takes its time, by the exporter that the service has; its answers are nonsense.
_LARGE_MODEL = """
import runpy, warnings
from pathlib import Path
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier

warnings.simplefilter("ignore")  # that it doesn't converge in one step
data = load_iris()
model = MLPClassifier((1024,) * 4, max_iter=1, random_state=0)
model.fit(data.data, data.target_names[data.target])
training = runpy.run_path("training/train.py")
training["write"](training["export"](model, "1.0.0"), Path("models/large.onnx"))
"""


def measure(rig: Rig) -> Result:
    """Each case in turn, with the probes asked meanwhile."""
    project = rig.project(archetype="inference")
    support.run(["uv", "run", "--group", "train", "python", "-c", _LARGE_MODEL], project)
    cases = {name: _case(rig, project, *case) for name, case in _CASES.items()}
    found = rig.interleave(cases, 1 if rig.quick else 3)
    figures = []
    for name, rounds in found.items():
        loads, probes = [load for load, _ in rounds], [took for _, took in rounds]
        medians = [percentile(took, 0.5) for took in probes]
        rate = Spread.of([load.good for load in loads]).median
        figures.append(
            Figure(
                f"probes, 99th percentile, {name}",
                Spread.of([percentile(took, 0.99) for took in probes]),
                _PROBE_MS,
                "ms",
                {
                    "predictions": f"{rate:,.0f}/s",
                    "flowers": f"{rate * _CASES[name][2]:,.0f}/s",
                    "refused": f"{Spread.of([load.refused for load in loads]).median:,.0f}/s",
                    "probes, median": f"{Spread.of(medians).median:.1f} ms",
                },
            )
        )
    return Result(figures, [], {"workers": "2"})


def _case(
    rig: Rig, project: Path, model: str, clients: int, batch: int, settings: dict[str, str]
) -> Callable[[], tuple[Load, list[float]]]:
    """What the clients and the probes saw."""
    body = json.dumps({"inputs": [_FLOWER] * batch})
    script = (
        'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
        f"wrk.body = {json.dumps(body)}\n"
    )
    path = f"models/{model}.onnx"

    def run() -> tuple[Load, list[float]]:
        with rig.service(project, workers=2, MODEL_PATH=path, **settings) as server:
            rig.wait_for(lambda: server.accepting() == 2)
            with probing(server.managed_by) as took:
                load = rig.load(server, "/predictions", clients=clients, script=script)
        return load, took

    return run
