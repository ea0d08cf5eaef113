"""Predictions a second, and what the probes notice of them (SPEC G3).

The archetype `inference` with its defaults and two workers. `iris` is the sample model, `large` a
network of 12 MiB with four layers of 1024; "bounded" is how many requests a worker takes on
(`WORKER_CONNECTIONS=16`), so that most of a hundred clients are refused.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import support
from boot.harness import ask

from .probing import probing
from .result import Figure, Result, at_most
from .rig import Rig, percentile
from .server import Server
from .surroundings import versions
from .wrk import Load

TITLE = "Predictions"

_BATCHES = (1, 32, 256)
_BOUNDED = "large, bounded, 100 clients"
_CASES = {
    **{
        f"{model}, batches of {batch}": (model, 16, batch, {})
        for model in ("iris", "large")
        for batch in _BATCHES
    },
    _BOUNDED: ("large", 100, 256, {"WORKER_CONNECTIONS": "16"}),
}
"""By name: the model, how many clients ask at once for batches of what size, the settings."""

_IDLE = "no predictions"
_ROUNDS = 7
_SECONDS = 3.0
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
    """Each case in turn, and one without a prediction, with the probes asked meanwhile."""
    project = rig.project(archetype="inference")
    support.run(["uv", "run", "--group", "train", "python", "-c", _LARGE_MODEL], project)
    cases = {name: _case(rig, project, *case) for name, case in _CASES.items()}
    idle = {_IDLE: _idle(rig, project)}
    found = rig.interleave({**idle, **cases}, rig.rounds if rig.quick else _ROUNDS)
    probes = {
        part: {name: [percentile(took, part) for _, took in of] for name, of in found.items()}
        for part in (0.5, 0.99)
    }
    flowers = {
        name: [load.good * _CASES[name][2] for load, _ in found[name] if load] for name in cases
    }
    larger = [
        (f"{model}, batches of {batch}", f"{model}, batches of {_BATCHES[0]}")
        for model in ("iris", "large")
        for batch in _BATCHES[1:]
    ]
    return Result(
        [
            *(
                Figure.of(
                    f"probes, {name}, {case}", "ms", probes[part], (case, _IDLE), goal, "itself"
                )
                for name, part, goal in (
                    ("99th percentile", 0.99, _PROBE_MS),
                    ("median", 0.5, None),
                )
                for case in cases
            ),
            *(
                Figure.of(f"flowers a second, {case}, over {base}", "/s", flowers, (case, base))
                for case, base in (*larger, (_BOUNDED, f"large, batches of {_BATCHES[-1]}"))
            ),
        ],
        [],
        {"workers": "2", "clients": "16", "probes": "100 a second"},
        versions(project, "onnxruntime", "wrk"),
        _seconds(rig),
    )


def _seconds(rig: Rig) -> float:
    return min(rig.seconds, _SECONDS)


def _case(
    rig: Rig, project: Path, model: str, clients: int, batch: int, settings: dict[str, str]
) -> Callable[[], tuple[Load | None, list[float]]]:
    """What the clients and the probes saw."""
    body = json.dumps({"inputs": [_FLOWER] * batch})
    script = (
        'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
        f"wrk.body = {json.dumps(body)}\n"
    )
    path = f"models/{model}.onnx"

    def run() -> tuple[Load, list[float]]:
        with rig.service(project, workers=2, MODEL_PATH=path, **settings) as server:
            _predicts(server, body, batch)
            with probing(server.managed_by) as took:
                load = rig.load(
                    server,
                    "/predictions",
                    clients=clients,
                    seconds=_seconds(rig),
                    script=script,
                    refusals=bool(settings),
                )
        return load, took

    return run


def _idle(rig: Rig, project: Path) -> Callable[[], tuple[Load | None, list[float]]]:
    """What the probes see of a service that has nothing to do."""

    def run() -> tuple[None, list[float]]:
        with rig.service(project, workers=2) as server, probing(server.managed_by) as took:
            time.sleep(_seconds(rig) + 1)
        return None, took

    return run


def _predicts(server: Server, body: str, batch: int) -> None:
    """Raises RuntimeError when a batch isn't answered with as many predictions."""
    headers = {"Content-Type": "application/json"}
    reply = ask(server.port, "/predictions", "POST", headers=headers, body=body.encode())
    found = len(reply.json()["predictions"]) if reply.status == 200 else 0
    if found != batch:
        raise RuntimeError(f"{found} predictions instead of {batch}: {reply.status}")
