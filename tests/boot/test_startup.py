"""Starts that fail or hang: the first one ends the service, later ones don't (SPEC B4, B6)."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest
from boot.fixtures import Boot, Lossless
from boot.harness import Service, eventually
from boot.load import FRESH, KEEP_ALIVE, PROBE, Load, Reply, burst, request

pytestmark = [pytest.mark.boot, pytest.mark.load]


def boots(service: Service) -> int:
    """How many workers were forked so far."""
    return sum(record["message"].startswith("Booting worker") for record in service.logs())


def sigkilled(service: Service) -> bool:
    """Whether the master had to kill."""
    return any("SIGKILL" in record["message"] for record in service.logs())


def test_a_first_start_that_fails_ends_the_service(boot: Boot, tmp_path: Path) -> None:
    """Three services of three workers: exit code 3, the exception in its field, nothing left."""
    services = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        services.append(
            boot(
                ready=False,
                WEB_CONCURRENCY="3",
                LAB_FAIL="open second",
                WORKER_TMP_DIR=str(folder),
            )
        )
    for service in services:
        assert service.wait_exit(20) == 3
        told = [record for record in service.complaints() if "exception" in record]
        assert 1 <= len(told) <= 3, "each worker that came so far says it once"
        assert len({record["pid"] for record in told}) == len(told)
        assert {record["exception"]["message"] for record in told} == {"can't open second"}
        assert not any("Traceback" in record["message"] for record in service.logs())
        assert not service.find_logs(message="accepting")
        assert not sigkilled(service)
        assert list(Path(service.settings["WORKER_TMP_DIR"]).iterdir()) == []


@pytest.mark.parametrize("replaced_by", ["reload", "recycling"])
def test_a_replacement_that_cannot_start_is_tried_again(
    replaced_by: str, boot: Boot, lossless: Lossless, tmp_path: Path
) -> None:
    """The old workers go on serving, and the new ones come once their resource is back: 0 lost."""
    most = {"MAX_REQUESTS": "300", "MAX_REQUESTS_JITTER": "0"} if replaced_by == "recycling" else {}
    service = boot(WEB_CONCURRENCY="2", LAB_EXTRA="needy", LAB_FOLDER=str(tmp_path), **most)
    (tmp_path / "away").touch()
    with (
        Load(service.management_port, "/health/ready", [PROBE] * 2) as probes,
        Load(service.port, clients=[KEEP_ALIVE, FRESH] * 4) as load,
    ):
        if replaced_by == "reload":
            service.send(signal.SIGHUP)
        service.wait_log(message="start-up or closing failed")
        before, began = boots(service), time.monotonic()
        time.sleep(3)
        load.pass_by(50)
        assert boots(service) - before <= 2 * (1 + (time.monotonic() - began) / 2)
        (tmp_path / "away").unlink()
        accepted = len(service.find_logs(message="accepting"))
        service.wait_log(message="accepting", count=accepted + 2)
        service.wait_workers(2)
    lossless(load)
    assert probes.tally.lost == 0, str(probes.tally)
    failed = [record for record in service.complaints() if "exception" in record]
    assert {record["exception"]["type"] for record in failed} == {"ConnectionError"}
    assert not sigkilled(service)


def test_sigterm_while_a_replacement_cannot_start(boot: Boot, tmp_path: Path) -> None:
    """The others drain and finish their requests; exit code 0, and nothing is left behind."""
    lab, temporary = tmp_path / "lab", tmp_path / "temporary"
    lab.mkdir()
    temporary.mkdir()
    service = boot(
        WEB_CONCURRENCY="2",
        LAB_EXTRA="needy",
        LAB_FOLDER=str(lab),
        WORKER_TMP_DIR=str(temporary),
    )
    (lab / "away").touch()
    service.send(signal.SIGHUP)
    service.wait_log(message="start-up or closing failed", count=2)
    replies: list[Reply] = []
    waiting = threading.Thread(
        target=lambda: replies.extend(burst(service.port, 4, request("/work?ms=4000")))
    )
    waiting.start()
    time.sleep(0.3)
    began = time.monotonic()
    service.send(signal.SIGTERM)
    while time.monotonic() - began < 2.5:
        assert service.ask("/pid").status == 200
        time.sleep(0.1)
    assert service.wait_exit(15) == 0
    waiting.join()
    assert [reply.status for reply in replies] == [200] * 4
    assert list(temporary.iterdir()) == []
    assert service.workers_left() == []
    assert not sigkilled(service)


@pytest.mark.parametrize(
    ("number", "seconds"), [(signal.SIGINT, 3), (signal.SIGTERM, 3 + 3)], ids=["int", "term"]
)
def test_a_signal_while_workers_hang_in_their_start(
    number: signal.Signals, seconds: float, boot: Boot, tmp_path: Path
) -> None:
    """Nothing waits for a resource that takes a minute to open."""
    service = boot(
        ready=False, WEB_CONCURRENCY="2", LAB_HANG="open second", LAB_FOLDER=str(tmp_path)
    )
    steps = tmp_path / "steps"
    eventually(lambda: steps.read_text().count("open second") == 2, what="both workers' hang")
    began = time.monotonic()
    assert service.stop(number) == 0
    assert time.monotonic() - began < seconds
    assert service.workers_left() == []
    assert not sigkilled(service)


def test_a_folder_that_cannot_be_used_is_refused(boot: Boot) -> None:
    """A WORKER_TMP_DIR where nothing can be written ends the boot with one line and code 78."""
    service = boot(ready=False, WORKER_TMP_DIR="/proc")
    assert service.wait_exit(20) == 78
    (record,) = service.logs()
    assert record["level"] == "critical"
    assert record["message"].startswith("WORKER_TMP_DIR='/proc' can't be used (")
    assert record["message"].endswith("): name a folder it may write to")
