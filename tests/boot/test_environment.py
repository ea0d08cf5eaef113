"""A wrong environment stops the boot with one clear line (SPEC A5, H1)."""

from __future__ import annotations

import json

import pytest
from boot.fixtures import Boot

pytestmark = pytest.mark.boot


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEB_CONCURRENCY", "abc"),
        ("WEB_CONCURRENCY", "0"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("DRAIN_SECONDS", "60"),
        ("DRAIN_SECONDS", "nan"),
        ("BIND_ADDRESS", "nonsense"),
        ("MANAGEMENT_BIND_ADDRESS", "127.0.0.1:99999"),
        ("MAX_REQUESTS", "-1"),
        ("REQUEST_TIMEOUT_SECONDS", "inf"),
        ("GRACEFUL_TIMEOUT_SECONDS", "5"),
        ("FORWARDED_ALLOW_IPS", "the proxy"),
    ],
)
def test_a_wrong_value_stops_the_boot(name: str, value: str, boot: Boot) -> None:
    """One line of JSON that names the variable, a non-zero exit, and no traceback."""
    service = boot(ready=False, **{name: value})
    assert service.wait_exit(20) == 78
    assert len(service.lines) == 1, service.tail()
    record = json.loads(service.lines[0].text)
    assert record["level"] == "critical"
    assert record["logger"] == "chassis.boot"
    assert name in str(record)
    assert "Traceback" not in service.lines[0].text


def test_a_port_that_is_taken_stops_the_boot(boot: Boot) -> None:
    """A second service on the same port ends, in JSON, and leaves the first one alone."""
    first = boot(WEB_CONCURRENCY="1")
    second = boot(ready=False, port=first.port, WEB_CONCURRENCY="1")
    assert second.wait_exit(30) != 0
    assert second.logs()
    assert str(first.port) in second.tail()
    assert first.ready()


def test_a_worker_count_that_memory_does_not_hold_is_warned_about(boot: Boot) -> None:
    """WEB_CONCURRENCY wins over memory, and a warning tells the arithmetic."""
    service = boot(WEB_CONCURRENCY="7")
    assert len(service.workers()) == 7
    warning = service.wait_log(logger="chassis.boot", level="warning")
    assert "memory" in warning["message"]
    assert service.wait_log(message="workers sized")["bound"] == "override"


def test_settings_are_read_in_any_case(boot: Boot) -> None:
    """`web_concurrency` is as good as `WEB_CONCURRENCY`."""
    service = boot(web_concurrency="1")
    assert service.wait_log(message="workers sized")["workers"] == 1


def test_no_management_port(boot: Boot) -> None:
    """With an empty MANAGEMENT_BIND_ADDRESS the probes on the traffic port remain."""
    service = boot(ready=False, MANAGEMENT_BIND_ADDRESS="", WEB_CONCURRENCY="1")
    service.wait_log(message="accepting")
    assert service.ask("/readyz").status == 200
    assert service.ask("/pid").status == 200
    assert not service.ready(), "nothing listens on the management port"


def test_probes_can_be_switched_off(boot: Boot) -> None:
    """PROBES_ENABLED=false takes them away on both ports."""
    service = boot(ready=False, PROBES_ENABLED="false", WEB_CONCURRENCY="1")
    service.wait_log(message="accepting")
    assert service.manage("/health/ready").status == 404
    assert service.ask("/readyz").status == 404
    assert service.manage("/metrics").status == 200
