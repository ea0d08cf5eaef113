"""One JSON object a line, for everything (SPEC E1, E3, E4)."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from datetime import UTC, datetime

import docs_code
import pytest
import support
from boot.fixtures import Boot
from boot.harness import Record, Service
from boot.load import Load, converse

pytestmark = pytest.mark.boot

EVERY_LINE = {"timestamp", "level", "logger", "message", "pid"}
CODE = {"module", "function", "line"}
LEVELS = {"debug", "info", "warning", "error", "critical"}


@pytest.fixture(scope="module")
def service(boot_once: Boot) -> Service:
    """Two workers that have done all there is to be logged about."""
    service = boot_once(WEB_CONCURRENCY="2")
    for path in ("/crash", "/print", "/warn", "/log", "/v1/items/7", "/nowhere"):
        service.ask(path, headers={"X-Request-ID": f"asked{path.replace('/', '-')}"})
    return service


def lines_of(service: Service, path: str) -> list[Record]:
    """The records of the request that asked for this path."""
    request_id = f"asked{path.replace('/', '-')}"
    service.wait_log(request_id=request_id, logger="access")
    return service.find_logs(request_id=request_id)


def only(records: list[Record], **fields: object) -> Record:
    """The one record with these fields."""
    found = [
        record
        for record in records
        if all(record.get(name) == value for name, value in fields.items())
    ]
    assert len(found) == 1, f"{len(found)} records with {fields} in {records}"
    return found[0]


def test_every_line_has_the_fields(boot: Boot) -> None:
    """From boot over load, reload and crash to exit: all lines have the fields, none is twice."""
    service = boot(WEB_CONCURRENCY="2")
    pids = service.workers()
    with Load(service.port, "/log") as load:
        load.reach(200)
        for path in ("/crash", "/print", "/warn"):
            service.ask(path)
        service.send(signal.SIGHUP)
        load.pass_by(500)
    pids += service.wait_workers(2, other_than=pids)
    assert service.stop() == 0

    sized = only(service.logs()[:1], logger="chassis.boot", message="workers sized")
    assert sized["workers"] == 2
    assert {"bound", "cpu", "memory_mib"} <= set(sized)
    for step in ("accepting", "stopped"):
        assert {record["pid"] for record in service.find_logs(message=step)} == set(pids)

    records = service.logs()
    assert {line.stream for line in service.lines} == {"stdout"}
    for record in records:
        assert set(record) >= EVERY_LINE, record
        assert record["level"] in LEVELS, record
        assert datetime.fromisoformat(record["timestamp"]).tzinfo == UTC, record
        if record["logger"] == "access":
            assert not CODE & set(record), record
            assert set(record) >= {
                "request_id", "method", "path", "status_code", "duration_ms", "client", "route",
            }, record  # fmt: skip
        else:
            assert set(record) >= CODE, record
    twice = Counter(line.text for line in service.lines)
    assert [text for text, count in twice.items() if count > 1] == []
    access = Counter(record["request_id"] for record in records if record["logger"] == "access")
    assert set(access.values()) == {1}
    assert len(access) == load.tally.requests + 3
    said = Counter((record["message"], record.get("request_id")) for record in records)
    assert {
        count for (text, request_id), count in said.items()
        if request_id and text.startswith("from ")
    } == {1}  # fmt: skip


def test_an_access_line(service: Service) -> None:
    """The access line has the request, its route template and its duration."""
    line = only(lines_of(service, "/v1/items/7"))
    assert line["message"] == "request completed"
    assert line["level"] == "info"
    assert (line["method"], line["path"], line["route"]) == (
        "GET", "/v1/items/7", "/v1/items/{item_id}",
    )  # fmt: skip
    assert line["status_code"] == 200
    assert 0 < line["duration_ms"] < 5000
    assert line["client"] == "127.0.0.1"


def test_an_exception_is_one_entry(service: Service) -> None:
    """A crash is a 500 problem with the request's id, and one log entry with both tracebacks."""
    page = support.REPOSITORY / "docs/limits.md"
    shown = json.loads(docs_code.shown(page, "Internal Server Error"))
    reply = service.ask("/crash", headers={"X-Request-ID": shown["request_id"]})
    assert reply.status == 500
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json() == shown
    assert "lab" not in reply.body.decode(), "what went wrong inside stays inside"

    records = lines_of(service, "/crash")
    assert len(records) == 2, "the exception and the access line"
    entry = only(records, level="error")
    exception = entry["exception"]
    assert exception["type"].endswith("RuntimeError")
    assert exception["message"] == "the lab has crashed: żółć ☃"
    assert "KeyError" in exception["traceback"]
    assert "in crash" in exception["traceback"]
    assert entry["method"] == "GET"
    assert entry["path"] == "/crash"
    assert only(records, logger="access")["status_code"] == 500


def test_non_ascii_stays_readable(service: Service) -> None:
    """The bytes on stdout are the characters themselves, not escapes."""
    lines_of(service, "/log")
    assert any("żółć ☃" in line.text for line in service.lines)


def test_print_and_warnings_are_caught(service: Service) -> None:
    """What code prints or warns about is a JSON line as well."""
    printed = lines_of(service, "/print")
    assert only(printed, message="printed to stdout")
    assert only(printed, message="printed to stderr")
    warned = [record for record in service.logs() if "the lab warns" in record["message"]]
    assert warned
    assert warned[0]["level"] == "warning"


def test_both_ways_of_logging(service: Service) -> None:
    """structlog and the standard library give the same fields, and neither shows the password."""
    records = lines_of(service, "/log")
    native = only(records, message="from structlog")
    foreign = only(records, message="from the standard library 0")
    for record in (native, foreign):
        assert record["logger"] == "lab"
        assert (record["module"], record["function"]) == ("lab", "log")
        assert record["line"] > 1
        assert (record["method"], record["path"]) == ("GET", "/log")
        assert record["password"] not in ("hunter2", None)
    assert not any("hunter2" in line.text for line in service.lines)


HOSTILE = {
    "ten kilobytes": b"a" * 10_000,
    "newline": b'x\n{"level":"critical","message":"forged"}',
    "carriage return": b"x\rforged: yes",
    "tab": b"x\ty",
    "escape": b"x\x1b[31mred",
    "null": b"x\x00y",
    "delete": b"x\x7fy",
    "latin": "żółć".encode(),
    "not utf-8": b"x\xff\xfey",
    "quotes": b'x","level":"critical',
    "backslash": b"x\\u000ay",
    "spaces": b"x forged y",
    "empty": b"",
    "angle brackets": b"<script>forged</script>",
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_request_id_is_replaced(value: bytes, service: Service) -> None:
    """Whatever a client sends as its id, neither a log line nor a header repeats it."""
    sent = b"GET /pid HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-ID: " + value
    began = len(service.lines)
    heard, _ = converse(service.port, [sent + b"\r\n\r\n"], timeout=10)
    head = heard.partition(b"\r\n\r\n")[0]
    status = int(head.split()[1])
    assert status in (200, 400, 431), "taken without the id, or refused as no HTTP"
    assert b"forged" not in heard
    if status == 200:
        ids = [line for line in head.split(b"\r\n") if line.lower().startswith(b"x-request-id:")]
        assert len(ids) == 1
        own = ids[0].split(b":", 1)[1].strip().decode()
        assert own.isalnum()
        assert len(own) == 32
        service.wait_log(request_id=own, logger="access")
    for line in service.lines[began:]:
        assert "forged" not in line.text
        assert "aaaaaaaaaa" not in line.text
        assert "\x1b" not in line.text


def test_a_valid_request_id_is_kept(service: Service) -> None:
    """A caller's own id goes through to the reply, the application and the log."""
    own = "0190d2c4-a1:b.c_d/e+f=g@h-1"
    reply = service.ask("/whoami", headers={"X-Request-ID": own})
    assert reply.headers["x-request-id"] == own
    assert reply.json()["request_id"] == own
    assert service.wait_log(request_id=own, logger="access")


def test_a_trace_id_is_logged(service: Service) -> None:
    """The trace id of `traceparent` is on the request's lines, without tracing."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    service.ask("/pid", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    assert service.wait_log(trace_id=trace, logger="access")


def test_hostile_paths_stay_on_one_line(service: Service) -> None:
    """A path with encoded newlines and controls is data in one field of one line."""
    service.ask("/nowhere/%0a%7b%22level%22%3a%22critical%22%7d%1b%00%ff", timeout=5)
    found = service.wait_log(logger="access", status_code=404, route="unmatched", count=2)
    assert found["level"] == "info"
    assert service.find_logs(level="critical") == []


def test_secrets_in_the_query_stay_out(service: Service) -> None:
    """The query string, where careless clients put tokens, is on no line."""
    service.ask("/pid?token=abracadabra", headers={"Authorization": "Bearer opensesame"})
    time.sleep(0.2)
    assert not any(
        secret in line.text for line in service.lines for secret in ("abracadabra", "opensesame")
    )


def test_a_stalled_collector_tears_no_line(boot: Boot) -> None:
    """When nobody reads the pipe for a while, lines of four workers wait, and all arrive whole."""
    service = boot(WEB_CONCURRENCY="4")
    service.stall_output(True)
    with Load(service.port, "/log?n=20", timeout=60, limit=60) as load:
        time.sleep(2)  # by now the pipe is full and the workers wait
        service.stall_output(False)
        load.pass_by(100)
    assert load.tally.lost == 0, str(load.tally)
    access = service.wait_log(logger="access", route="/log", count=load.tally.requests)
    assert access
    said = [record for record in service.logs() if record["message"] == "from structlog"]
    assert len(said) == 20 * load.tally.requests


def test_console_format(boot: Boot) -> None:
    """With LOG_FORMAT=console a person reads lines that are not JSON, and no secret either."""
    service = boot(LOG_FORMAT="console", WEB_CONCURRENCY="1")
    service.ask("/log")
    service.stop(signal.SIGINT)
    text = "\n".join(line.text for line in service.lines)
    assert "from structlog" in text
    assert "hunter2" not in text
    assert not text.startswith("{")


def test_debug_shows_the_start_of_a_request(boot: Boot) -> None:
    """At LOG_LEVEL=DEBUG the start of each request is logged too; at INFO it isn't."""
    service = boot(LOG_LEVEL="debug", WEB_CONCURRENCY="1")
    service.ask("/pid", headers={"X-Request-ID": "one"})
    service.wait_log(logger="access", request_id="one")
    levels = [record["level"] for record in service.find_logs(request_id="one")]
    assert levels == ["debug", "info"]
