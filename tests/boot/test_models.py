"""A service that predicts: warm-up, a model that is no good, and one that is replaced (SPEC G)."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import support
from boot.fixtures import Boot, Lossless, booting
from boot.harness import Ports, Service, eventually
from boot.load import PROBE, Client, Load, Reply, burst, request

pytestmark = pytest.mark.boot

ANSWERS = {"service_name": "model-lab", "archetype": "inference", "drain_seconds": "3"}
LAB = Path(__file__).parent / "model_lab"

SETOSA = {
    "sepal_length_cm": 5.1,
    "sepal_width_cm": 3.5,
    "petal_length_cm": 1.4,
    "petal_width_cm": 0.2,
}
BODY = json.dumps({"inputs": [SETOSA] * 3})
CLIENTS = [
    Client("keep-alive", keep_alive=True, think=0.05),
    Client("fresh", keep_alive=False, think=0.05),
] * 4


@pytest.fixture(scope="module")
def project(shared_folder: Path, render: Callable[..., Path]) -> Path:
    """The installed archetype; a file can hold up its model."""

    def build(folder: Path) -> None:
        package = render(folder, ANSWERS) / "src/model_lab"
        (package / "wiring.py").rename(package / "usual_wiring.py")
        shutil.copy(LAB / "wiring.py", package)
        support.sync(folder)

    return support.build_once(shared_folder / "model-lab", build)


class ModelFile:
    """The model's file, and the test's way to hold up who loads it."""

    def __init__(self, folder: Path, original: Path) -> None:
        self.folder = folder
        self.path = folder / "model.onnx"
        self._original = original.read_bytes()

    @property
    def settings(self) -> dict[str, str]:
        """What leads a service of two workers here."""
        return {
            "WEB_CONCURRENCY": "2",
            "MODEL_PATH": str(self.path),
            "LAB_FOLDER": str(self.folder),
        }

    def put(self, version: int = 0, *, content: bytes | None = None) -> None:
        """Put a model in place whose version ends with this number, and its first label too.

        Of the same length as the original's, so that the file stays a valid one.
        """
        if content is None:
            content = self._original
            for old, new in ((b"1.0.0", b"1.0.%d"), (b"setosa", b"setos%d")):
                assert content.count(old) == 1
                content = content.replace(old, new % version)
        beside = self.path.with_suffix(".new")
        beside.write_bytes(content)
        beside.replace(self.path)

    def hold(self) -> None:
        """Hold up everybody who loads it from now on."""
        (self.folder / "hold").touch()

    def release(self) -> None:
        """Let them go on."""
        (self.folder / "hold").unlink()


@pytest.fixture
def model(project: Path, tmp_path: Path) -> ModelFile:
    """A model in place, in a folder of this test's."""
    made = ModelFile(tmp_path, project / "models/iris.onnx")
    made.put()
    return made


@pytest.fixture
def boot(project: Path, ports: Ports) -> Iterator[Boot]:
    """Start the service."""
    with booting(project, ports) as start:
        yield start


def predict(service: Service) -> tuple[str, str]:
    """The version of the model that answers, and what it took the flower for."""
    reply = service.ask(
        "/predictions", "POST", headers={"Content-Type": "application/json"}, body=BODY.encode()
    )
    assert reply.status == 200, reply
    return told(reply.body)


def told(body: bytes) -> tuple[str, str]:
    """The version and the label in a reply; all inputs have the same one."""
    document = json.loads(body)
    (label,) = {prediction["label"] for prediction in document["predictions"]}
    return document["model"]["version"], label


def model_of(service: Service) -> dict[str, object]:
    """What `/health` says of the model, whatever its status."""
    found: dict[str, object] = service.manage("/health").json()["models"]["iris"]
    return found


def test_only_liveness_is_up_while_the_model_loads(boot: Boot, model: ModelFile) -> None:
    """Liveness says 200 from its first answer on; startup and readiness wait, and say for what."""
    model.hold()
    service = boot(ready=False, **model.settings)
    live: list[int] = []

    def loading() -> bool:
        live.append(service.manage("/health/live").status)
        return model_of(service)["workers"] == {"loading": 2}

    eventually(loading)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        live.append(service.manage("/health/live").status)
        for path in ("/health/startup", "/health/ready"):
            answer = service.manage(path)
            assert (answer.status, answer.json()["reason"]) == (503, "model 'iris': loading")
        time.sleep(0.05)
    assert set(live) == {200}
    assert (service.ask("/livez").status, service.ask("/readyz").status) == (200, 503)

    model.release()
    service.wait_ready()
    assert service.manage("/health/startup").status == 200
    assert model_of(service) == {"state": "warm", "required": True, "workers": {"warm": 2}}
    assert predict(service) == ("1.0.0", "setos0")
    assert service.complaints() == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "FileNotFoundError"), (b"nonsense", "INVALID_PROTOBUF")],
    ids=["missing", "corrupt"],
)
def test_a_model_that_is_no_good_keeps_the_pod_unready(
    content: bytes | None, reason: str, boot: Boot, model: ModelFile
) -> None:
    """Alive, not ready, with the reason, told once by each worker; ready once it is mended."""
    if content is None:
        model.path.unlink()
    else:
        model.put(content=content)
    service = boot(ready=False, **model.settings)
    service.wait_log(message="model failed", count=2)
    workers = service.workers()

    end = time.monotonic() + 6
    while time.monotonic() < end:
        assert service.manage("/health/live").status == 200
        for path in ("/health/startup", "/health/ready"):
            assert service.manage(path).status == 503
        time.sleep(0.2)
    why = service.manage("/health/ready").json()["reason"]
    assert "model 'iris'" in why
    about = model_of(service)
    assert reason in str(about["error"])
    assert len(service.complaints()) == 2, "once by each worker, however often it is tried"
    assert all(record["exception"]["traceback"] for record in service.complaints())
    assert service.find_logs(message="model failed, as before")

    model.put()
    service.wait_ready()
    assert predict(service) == ("1.0.0", "setos0")
    assert service.workers() == workers
    assert service.exit_code is None


@pytest.mark.load
def test_a_model_that_is_replaced_under_load(
    boot: Boot, model: ModelFile, lossless: Lossless
) -> None:
    """Each reply is all of one version, a worker never goes back, and no request is lost.

    One of the files in between is no model at all: the one in use stays.
    """
    service = boot(MAX_REQUESTS="0", **model.settings)
    heard: dict[int, list[bytes]] = defaultdict(list)
    workers = service.workers()

    def in_use_everywhere(version: int) -> None:
        service.wait_log(message="model refreshed", count=2 * version)
        assert {told(reply.body) for reply in ask_many(service)} == {
            (f"1.0.{version}", f"setos{version}")
        }

    with (
        Load(service.management_port, "/health/ready", [PROBE] * 2) as probes,
        Load(
            service.port,
            "/predictions",
            CLIENTS,
            body=BODY,
            observe=lambda connection, body: heard[connection].append(body),
        ) as load,
    ):
        load.reach(100)
        model.put(1)
        in_use_everywhere(1)
        model.put(content=b"nonsense")
        service.wait_log(message="model refresh failed, the old one stays", count=2)
        assert model_of(service)["workers"] == {"stale": 2}
        load.pass_by(100)
        model.put(2)
        in_use_everywhere(2)
        load.pass_by(100)
    lossless(load, at_least=300)
    assert probes.tally.lost == 0, str(probes.tally)
    whole = {(f"1.0.{number}", f"setos{number}") for number in range(3)}
    assert {told(body) for body in load.tally.replies} == whole
    for replies in heard.values():
        versions = [told(body)[0] for body in replies]
        assert versions == sorted(versions), "a connection is one worker's"
    assert service.workers() == workers


def ask_many(service: Service) -> list[Reply]:
    """Predictions on connections enough to meet every worker."""
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))]
    sent = request("/predictions", "POST", [*headers, ("Connection", "close")], BODY.encode())
    return burst(service.port, 32, sent)


@pytest.mark.load
@pytest.mark.parametrize("trouble", ["slow", "corrupt"])
def test_a_replacement_accepts_when_it_is_warm(
    trouble: str, boot: Boot, model: ModelFile, lossless: Lossless
) -> None:
    """A reload while no model can be had: the old workers serve on until the new ones are warm."""
    service = boot(**model.settings)
    old = service.workers()
    with (
        Load(service.management_port, "/health/ready", [PROBE] * 2) as probes,
        Load(service.port, "/predictions", CLIENTS, body=BODY) as load,
    ):
        load.reach(100)
        model.hold() if trouble == "slow" else model.put(content=b"nonsense")
        service.send(signal.SIGHUP)
        eventually(lambda: len(service.workers()) == 4, what="successors beside the old workers")
        time.sleep(3)
        load.pass_by(100)
        assert len(service.find_logs(message="accepting")) == 2, "only the old ones"
        assert set(old) < set(service.workers())
        model.release() if trouble == "slow" else model.put(1)
        service.wait_workers(2, other_than=old)
        load.pass_by(100)
    lossless(load, at_least=300)
    assert probes.tally.lost == 0, str(probes.tally)
    assert predict(service) == (("1.0.0", "setos0") if trouble == "slow" else ("1.0.1", "setos1"))


@pytest.mark.load
def test_recycling_while_predicting(boot: Boot, model: ModelFile, lossless: Lossless) -> None:
    """Workers that go after 100 predictions lose none; each successor is warm before it accepts."""
    service = boot(MAX_REQUESTS="100", MAX_REQUESTS_JITTER="10", **model.settings)
    with (
        Load(service.management_port, "/health/ready", [PROBE] * 2) as probes,
        Load(service.port, "/predictions", CLIENTS, body=BODY) as load,
    ):
        load.reach(1500)
    lossless(load, at_least=1500)
    assert probes.tally.lost == 0, str(probes.tally)
    assert service.complaints() == []
    accepted = [record["pid"] for record in service.find_logs(message="accepting")]
    assert len(accepted) > 6, "workers have been replaced"
    for pid in accepted[2:]:  # the first two accept while they load, and the pod isn't ready
        steps = [record["message"] for record in service.find_logs(pid=pid)]
        assert steps.index("model warmed") < steps.index("accepting")
    assert service.stop() == 0


@pytest.mark.parametrize("when", ["first start", "reload"])
def test_sigterm_while_a_model_loads(when: str, boot: Boot, model: ModelFile) -> None:
    """A pod that is deleted meanwhile doesn't wait for its model: exit code 0, nothing left."""
    if when == "first start":
        model.hold()
    service = boot(ready=when != "first start", **model.settings)
    if when == "reload":
        model.hold()
        service.send(signal.SIGHUP)
    eventually(lambda: "loading" in str(model_of(service)["workers"]), what="a model that loads")
    assert service.stop(within=15) == 0
    assert service.workers_left() == []
    assert not [record for record in service.logs() if "SIGKILL" in record["message"]]


def test_the_master_holds_no_model(boot: Boot, model: ModelFile) -> None:
    """The runtime and its threads are the workers' own: nothing of them exists before the fork."""
    service = boot(**model.settings)
    assert predict(service) == ("1.0.0", "setos0")
    assert [in_memory(pid, "onnxruntime") for pid in service.workers()] == [True, True]
    assert not in_memory(service.pid, "onnxruntime")
    assert not in_memory(service.pid, "numpy")
    assert len(list(Path(f"/proc/{service.pid}/task").iterdir())) == 1


def in_memory(pid: int, library: str) -> bool:
    """Whether the process has mapped files of that name."""
    return library in Path(f"/proc/{pid}/maps").read_text()
