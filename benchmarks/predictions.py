"""Predictions a second, and what the probes notice of them.

    make setup && .venv/bin/python benchmarks/predictions.py

Renders and installs the archetype `inference` with its defaults, starts it, lets wrk POST
predictions, and meanwhile asks the probes of the management port in turn, each on a connection of
its own. Prints a table in Markdown. Nothing is asserted: the figures are this machine's, with load
and service on the same cores.
"""

import argparse
import json
import math
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

import support  # noqa: E402 - after the path to it
from boot.harness import Ports, Service  # noqa: E402

LOADS = {
    "iris": ({}, [(16, 1), (16, 32), (16, 256)]),
    "large": ({}, [(16, 1), (16, 32), (16, 256)]),
    "large, bounded": ({"WORKER_CONNECTIONS": "16"}, [(16, 256), (100, 256)]),
}
"""By model: its settings, and how many clients ask at once for batches of what size."""

PROBES = ("/health/live", "/health/ready", "/health/startup")
PROBE_SECONDS = 0.02
FLOWER = {
    "sepal_length_cm": 5.1,
    "sepal_width_cm": 3.5,
    "petal_length_cm": 1.4,
    "petal_width_cm": 0.2,
}

# A model that takes its time, by the exporter that the service has; its answers are nonsense.
LARGE_MODEL = """
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


@contextmanager
def running(project: Path, **settings: str) -> Iterator[Service]:
    """The service, all of its workers accepting."""
    ports = Ports()
    service = Service(project, ports.take(), ports.take(), settings)
    try:
        service.wait_ready()
        service.wait_all_accept()
        yield service
    finally:
        service.kill()
        ports.give_back()


def probe(service: Service, stop: threading.Event) -> list[float]:
    """Ask the probes in turn until told to stop; the milliseconds that each answer took."""
    took: list[float] = []
    while not stop.wait(PROBE_SECONDS):
        path = PROBES[len(took) % len(PROBES)]
        began = time.perf_counter()
        status = service.manage(path).status
        took.append((time.perf_counter() - began) * 1000)
        if status != 200:
            raise RuntimeError(f"{path} answered {status}")
    return took


def load(service: Service, clients: int, body: str, seconds: float, folder: Path) -> list[str]:
    """POST without a pause; good replies and others per second, and the 99th percentile of both."""
    script = folder / "post.lua"
    script.write_text(
        'wrk.method = "POST"\n'
        'wrk.headers["Content-Type"] = "application/json"\n'
        f"wrk.body = {json.dumps(body)}\n"
    )
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds:g}s", "--latency", "--timeout=20s"]
    url = f"http://127.0.0.1:{service.port}/predictions"
    done = subprocess.run(
        [*command, f"--script={script}", url], capture_output=True, text=True, check=True
    )
    if "Socket errors" in done.stdout:
        print(done.stdout, file=sys.stderr)
    total, lasted, latency = (
        re.search(pattern, done.stdout)
        for pattern in (r"(\d+) requests in", r"requests in (\S+)s", r"99% *(\S+)")
    )
    if total is None or lasted is None or latency is None:
        raise RuntimeError(done.stdout)
    found = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    refused = int(found[1]) if found else 0
    good = int(total[1]) - refused
    return [f"{good / float(lasted[1]):,.0f}", f"{refused / float(lasted[1]):,.0f}", latency[1]]


def measure(service: Service, clients: int, batch: int, seconds: float, folder: Path) -> list[str]:
    """One line of the table."""
    body = json.dumps({"inputs": [FLOWER] * batch})
    stop = threading.Event()
    took: list[float] = []
    asking = threading.Thread(target=lambda: took.extend(probe(service, stop)))
    asking.start()
    try:
        replies = load(service, clients, body, seconds, folder)
    finally:
        stop.set()
        asking.join()
    probes = (statistics.median(took), percentile(took, 0.99), max(took))
    return [str(clients), str(batch), *replies, *(f"{one:.1f}" for one in probes)]


def percentile(values: list[float], ratio: float) -> float:
    """The smallest value that so many of them don't exceed."""
    return sorted(values)[math.ceil(len(values) * ratio) - 1]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="Measure predictions and the probes meanwhile.")
    parser.add_argument("--seconds", type=float, default=10, help="of each load")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(prefix="ballast-benchmark-") as name:
        folder = Path(name)
        template = support.clone_template(folder / "template")
        project = support.render(template, folder / "service", {"archetype": "inference"})
        support.sync(project)
        support.run(["uv", "run", "--group", "train", "python", "-c", LARGE_MODEL], project)

        print("| model | clients | batch | 200/s | 503/s | p99 | probe p50, ms | p99 | max |")
        print("|---|---|---|---|---|---|---|---|---|")
        for model, (settings, loads) in LOADS.items():
            path = f"models/{model.partition(',')[0]}.onnx"
            with running(project, MODEL_PATH=path, **settings) as service:
                for clients, batch in loads:
                    row = measure(service, clients, batch, seconds, folder)
                    print(f"| {' | '.join([model, *row])} |", flush=True)


if __name__ == "__main__":
    main()
