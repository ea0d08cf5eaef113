"""For the person at 2 a.m. (SPEC C8)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import support
from boot.fixtures import Boot
from boot.harness import Service, eventually
from boot.load import burst, request

pytestmark = pytest.mark.boot


@pytest.fixture(scope="module")
def service(boot_once: Boot) -> Service:
    """Four workers."""
    return boot_once(WEB_CONCURRENCY="4")


def test_info(service: Service) -> None:
    """/info says what is running, and why with so many workers."""
    info = service.manage("/info").json()
    assert info["service"] == "boot-lab"
    assert info["version"]
    assert f"v{info['template_version']}" == support.FIRST_TAG
    assert info["python"].startswith("3.")
    assert info["workers"]["alive"] == 4
    sizing = info["workers"]["sizing"]
    assert (sizing["workers"], sizing["bound"]) == (4, "override")
    assert sizing["cpu"] <= 2
    assert sizing["memory_mib"] <= 1024


def test_a_log_level_is_changed_in_all_workers(service: Service) -> None:
    """PUT /loggers/lab reaches each of four workers, and null takes it back."""

    def speak() -> set[int]:
        began = len(service.logs())
        burst(service.port, 64, request("/debug"))
        return {record["pid"] for record in service.logs()[began:] if record["logger"] == "lab"}

    assert speak() == set()
    put = service.manage("/loggers/lab", "PUT", body=b'{"level": "DEBUG"}')
    assert put.status == 200
    spoken: set[int] = set()

    def all_have_spoken() -> bool:
        spoken.update(speak())
        return spoken == set(service.workers())

    eventually(all_have_spoken, 10)
    assert service.manage("/loggers/lab").json()["effective"] == "DEBUG"
    texts = {record["message"] for record in service.logs() if record["logger"] == "lab"}
    assert texts == {"a detail from structlog", "a detail from the standard library"}

    assert service.manage("/loggers/lab", "PUT", body=b'{"level": null}').status == 200
    eventually(lambda: speak() == set(), 10)


def test_a_new_worker_has_the_changed_level(boot: Boot) -> None:
    """A level that was set at runtime holds for workers that start later."""
    service = boot(WEB_CONCURRENCY="1")
    service.manage("/loggers/lab", "PUT", body=b'{"level": "DEBUG"}')
    old = service.workers()
    os.kill(old[0], signal.SIGKILL)
    service.wait_workers(1, other_than=old)
    service.ask("/debug")
    service.wait_log(logger="lab", level="debug")


def test_nonsense_levels_are_refused(service: Service) -> None:
    """A level that doesn't exist, or no JSON, is a problem and changes nothing."""
    for body in (b'{"level": "LOUD"}', b"DEBUG", b"[]", b"{}", b'{"level": 7}'):
        answer = service.manage("/loggers/lab", "PUT", body=body)
        assert (body, answer.status) == (body, 422)
        assert answer.headers["content-type"] == "application/problem+json"
    assert service.manage("/loggers/root").json()["effective"] == "INFO"
    assert service.manage("/loggers").json()["loggers"]


def test_a_name_that_is_none_harms_nobody(boot: Boot) -> None:
    """Nonsense in the name of a logger, and too many of them, are refused and kill no worker."""
    service = boot(WEB_CONCURRENCY="2")
    before = service.workers()
    for name in ("%20", "1", "a%0ab", "a" * 3000, "%ff", "%00"):
        answer = service.manage(f"/loggers/{name}", "PUT", body=b'{"level": "DEBUG"}')
        assert (name, answer.status) == (name, 422)
    statuses = [
        service.manage(f"/loggers/name{number}", "PUT", body=b'{"level": "DEBUG"}').status
        for number in range(400)
    ]
    assert set(statuses) <= {200, 422}
    assert service.manage("/loggers/lab", "PUT", body=b'{"level": null}').status in (200, 422)
    service.ask("/pid")
    service.wait_log(logger="access")
    assert service.workers() == before
    assert service.complaints() == []


def test_thread_dump(service: Service) -> None:
    """/threaddump shows the stacks and the tasks of a worker."""
    text = service.manage("/threaddump").body.decode()
    assert "MainThread" in text
    assert "heartbeat" in text


def test_dump_by_signal(service: Service) -> None:
    """SIGUSR1 to the master has every worker write its stacks and tasks to the log."""
    service.send(signal.SIGUSR1)
    service.wait_log(message="thread dump", count=4)
    dumps = service.find_logs(message="thread dump")
    assert {record["pid"] for record in dumps} == set(service.workers())
    assert all("heartbeat" in record["tasks"] for record in dumps)


def test_the_process_is_named_after_the_service(service: Service) -> None:
    """The heartbeat file is on tmpfs, and no control socket is open."""
    unix = Path(f"/proc/{service.pid}/net/unix").read_text()
    assert "gunicorn.ctl" not in unix


def test_a_reload_reads_settings_and_secrets_again(boot: Boot, tmp_path: Path) -> None:
    """A changed secret file takes effect on SIGHUP; a wrong one is refused, and service goes on."""
    (tmp_path / "log_level").write_text("INFO")
    service = boot(WEB_CONCURRENCY="1", SECRETS_DIR=str(tmp_path))
    service.ask("/debug")
    assert service.find_logs(logger="lab") == []

    (tmp_path / "log_level").write_text("DEBUG")
    old = service.workers()
    service.send(signal.SIGHUP)
    service.wait_workers(1, other_than=old)
    service.ask("/debug")
    service.wait_log(logger="lab", level="debug")

    (tmp_path / "log_level").write_text("LOUD")
    old = service.workers()
    service.send(signal.SIGHUP)
    refused = service.wait_log(level="error")
    assert "LOG_LEVEL" in str(refused)
    service.wait_workers(1, other_than=old)
    assert service.ask("/pid").status == 200
    assert service.ready()
