"""Spans of real workers, at a collector: made after the fork, flushed at the end (SPEC J4)."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import docs_code
import pytest
import support
from boot.fixtures import ANSWERS, LAB, booting
from boot.gateway import Gateway
from boot.harness import Ports, Service, eventually

pytestmark = pytest.mark.boot

HERE = Path(__file__).parent
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


class Collector:
    """The stand-in, in a process of its own."""

    def __init__(self, project: Path) -> None:
        self._process = subprocess.Popen(
            [project / ".venv/bin/python", HERE / "collector.py"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        self.spans: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self.spans.append(json.loads(line))

    def fall_silent(self) -> None:
        """Answer nothing from now on."""
        self._process.send_signal(signal.SIGUSR1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture(scope="module")
def traced(shared_folder: Path, render: Callable[..., Path]) -> Path:
    """The installed lab, with traces."""

    def build(folder: Path) -> None:
        render(folder, {**ANSWERS, "tracing": "yes"})
        shutil.copytree(LAB, folder / "src/boot_lab", dirs_exist_ok=True)
        # The lab's settings are those of a service without features.
        settings = folder / "src/boot_lab/settings.py"
        text = settings.read_text()
        text = text.replace(
            "from .answers import ANSWERS\n", "from .answers import AnsweredSettings\n"
        )
        text = text.replace("from .chassis import Answers, ChassisSettings\n", "")
        text = text.replace("class Settings(ChassisSettings)", "class Settings(AnsweredSettings)")
        text = text.replace("    answers: ClassVar[Answers] = ANSWERS\n\n", "")
        settings.write_text(text)
        support.sync(folder)

    return support.build_once(shared_folder / "traced-lab", build)


Start = Callable[..., Service]


@pytest.fixture
def start(traced: Path, ports: Ports) -> Iterator[Start]:
    """Start the lab with two workers."""
    with booting(traced, ports) as boot:
        yield lambda **settings: boot(WEB_CONCURRENCY="2", MAX_REQUESTS="0", **settings)


def exported(collector: Collector) -> dict[str, str]:
    """What the page has one export, with the address of this collector."""
    line = docs_code.shown(support.REPOSITORY / "docs/monitoring.md", "export OTEL").strip()
    (found,) = re.findall(r"^export (\w+)=(http://)[a-z-]+:\d+$", line)
    return {found[0]: found[1] + collector.url.removeprefix("http://")}


@contextmanager
def timed(at_most: float) -> Iterator[None]:
    """It may not take longer."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < at_most


def test_each_worker_sends_its_spans_and_none_is_left_at_the_end(
    traced: Path, start: Start
) -> None:
    """A span for each sampled request, the last ones too; the log and the called have its trace."""
    with Collector(traced) as collector, Gateway() as gateway:
        service = start(
            **exported(collector),
            OTEL_RESOURCE_ATTRIBUTES="k8s.pod.name=pod-1",
            GATEWAY_URL=gateway.url,
            TRACING_SAMPLE_RATIO="0",
        )
        replies = [service.ask("/work?ms=20", headers=SAMPLED) for _ in range(40)]
        assert {reply.status for reply in replies} == {200}
        assert service.ask("/charges/7", headers=SAMPLED).status == 200
        called_with = gateway.headers["traceparent"]
        service.ask("/livez", headers=SAMPLED)
        service.manage("/health", headers=SAMPLED)
        not_sampled = [service.ask("/pid") for _ in range(10)]
        assert len(not_sampled) == 10
        # At once: the batches are sent every five seconds.
        assert service.stop() == 0
        eventually(lambda: len(collector.spans) == 41, 5, what="41 spans")
    spans = collector.spans
    assert {span["trace_id"] for span in spans} == {TRACE}
    assert {span["parent"] for span in spans} == {PARENT}
    assert {span["name"] for span in spans} == {"GET /work", "GET /charges/{charge}"}
    assert len({span["resource"]["process.pid"] for span in spans}) == 2
    assert {span["resource"]["service.name"] for span in spans} == {"boot-lab"}
    assert {span["resource"]["k8s.pod.name"] for span in spans} == {"pod-1"}
    (charge,) = (span for span in spans if "charges" in span["name"])
    assert called_with == f"00-{TRACE}-{charge['span_id']}-01"
    lines = [line for line in service.find_logs(logger="access") if line["path"] == "/work"]
    assert {line["trace_id"] for line in lines} == {TRACE}
    ours = service.find_logs(logger="access", path="/pid")
    assert len({line["trace_id"] for line in ours}) == 10
    assert not service.complaints()


def test_a_collector_that_is_away_costs_no_request(start: Start, ports: Ports) -> None:
    """Nobody waits for it, neither a request nor the stop; the log says so in few lines."""
    service = start(
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{ports.take()}",
        OTEL_BSP_SCHEDULE_DELAY="200",
    )
    end = time.monotonic() + 3
    asked = 0
    while time.monotonic() < end:
        assert service.ask("/pid", headers=SAMPLED).status == 200
        asked += 1
    with timed(20):
        assert service.stop() == 0
    about_it = [line for line in service.logs() if line["logger"].startswith("opentelemetry")]
    assert len(about_it) < asked / 4


def test_a_collector_that_falls_silent_does_not_hold_up_the_stop(
    traced: Path, start: Start
) -> None:
    """The time for closing holds: drain, linger and that."""
    with Collector(traced) as collector:
        service = start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        collector.fall_silent()
        assert service.ask("/pid", headers=SAMPLED).status == 200
        with timed(15):
            assert service.stop() == 0
        assert service.find_logs(message="spans not exported in time")
        assert not service.find_logs(message="shutdown not finished in time")


def test_a_reload_loses_no_span(traced: Path, start: Start) -> None:
    """Workers that are replaced flush as well, and their successors begin anew."""
    with Collector(traced) as collector:
        service = start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        for _ in range(10):
            service.ask("/pid", headers=SAMPLED)
        before = service.workers()
        service.send(signal.SIGHUP)
        service.wait_workers(2, other_than=before)
        for _ in range(10):
            service.ask("/pid", headers=SAMPLED)
        assert service.stop() == 0
        eventually(lambda: len(collector.spans) == 20, 5, what="20 spans")


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "otel:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ],
)
def test_a_wrong_exporter_stops_the_boot(
    traced: Path, ports: Ports, settings: dict[str, str], complaint: str
) -> None:
    """With one line, and the status of a wrong configuration."""
    with booting(traced, ports) as boot:
        service = boot(ready=False, **settings)
        assert service.wait_exit() == 78
        (line,) = service.logs()
    assert complaint in line["message"]
