"""P5: a payment with all that it takes never to lose or double it, over one bare insert.

`POST /payments` writes three rows in a transaction (the key with its reply, the payment, the event)
and publishes the event afterwards; the others write one: in a route of the same service, and under
bare FastAPI. Two more routes of the service, which write three such rows and none, show where the
processor time goes. All over HTTP, on the same PostgreSQL, with one worker and as many connections,
into tables that are empty when a round begins.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import servers
from boot.harness import ask
from boot.test_payments import migrate

from .result import Bars, Figure, Result, Spread, at_least, at_most
from .rig import LABS, Rig
from .server import Server
from .surroundings import versions

TITLE = "Payments"

_CLIENTS = 16
_CONNECTIONS = 5
_PAYMENT = "a payment"
_SAME_STACK, _BARE = "one insert in the same service", "one insert under bare FastAPI"
_INSERTS, _NOTHING = "three inserts in the same service", "no insert in the same service"
_A_MINUTE = 10_000
_PROCESSORS = 2
"""What a pod may use of them, by default."""
_GOAL = at_least(0.5)

_BARE_TABLES = ("bare_payments_service", "bare_payments_rival")
_EMPTIED = ", ".join((*_BARE_TABLES, "payments", "idempotency_keys", "outbox_events"))
_WAITING = "SELECT count(*) FROM outbox_events WHERE published_at IS NULL AND parked_at IS NULL"

_ORDER = {"amount": 1999, "currency": "EUR", "reference": "order 4711"}
# Keys of which none comes twice in a run: the process's time and a counter.
_POST = f"""
wrk.method = "POST"
local began = os.time() .. "-" .. tostring({{}}):sub(8)
local count = 0
function request()
    count = count + 1
    local headers = {{
        ["Content-Type"] = "application/json",
        ["Idempotency-Key"] = began .. "-" .. count,
    }}
    return wrk.format(nil, nil, headers, {json.dumps(_ORDER)!r})
end
"""


@dataclass(frozen=True)
class _Paid:
    """What one load came to."""

    rate: float
    cpu_seconds: float
    """Of the worker, for each request, until the last event was published."""
    waiting: int
    """Events that weren't published yet when the load ended."""


def measure(rig: Rig) -> Result:
    """All are asked as often as they can answer, in turns."""
    project = _lab(rig)
    with servers.postgres(max_connections=100) as database:
        url = database.create("payments")
        migrate(project, url)
        for table in _BARE_TABLES:
            database.run(f"CREATE TABLE {table} (LIKE payments INCLUDING ALL)", "payments")
            database.run(f"GRANT ALL ON {table} TO payments", "payments")
        connections = str(_CONNECTIONS)
        service = rig.service(project, DATABASE_URL=url, DATABASE_POOL_SIZE=connections)
        bare = rig.rival(project, "insert:app", DATABASE_URL=url, POOL_SIZE=connections)
        with service as ours, bare as theirs:
            found = rig.interleave(
                {
                    _PAYMENT: _posts(rig, database, ours, "/payments"),
                    _SAME_STACK: _posts(rig, database, ours, "/bare"),
                    _INSERTS: _posts(rig, database, ours, "/bare/three"),
                    _NOTHING: _posts(rig, database, ours, "/bare/none"),
                    _BARE: _posts(rig, database, theirs, "/payments"),
                }
            )
        asked = {name: database.run(f"SHOW {name}") for name in ("fsync", "server_version")}
    rates = {side: [paid.rate for paid in of] for side, of in found.items()}
    share = {
        side: [_A_MINUTE / 60 * paid.cpu_seconds / _PROCESSORS * 100 for paid in of]
        for side, of in found.items()
    }
    waiting = Spread.of([paid.waiting for paid in found[_PAYMENT]])
    return Result(
        [
            *(
                Figure.of(
                    f"`POST /payments` over {side}",
                    "/s",
                    rates,
                    (_PAYMENT, side),
                    _GOAL if side == _SAME_STACK else None,
                )
                for side in (_SAME_STACK, _BARE)
            ),
            *(
                Figure.of(
                    f"{_A_MINUTE:,} a minute of {side}: of a pod's {_PROCESSORS} processors",
                    "percent",
                    share,
                    (side, beside),
                    goal,
                    "itself",
                )
                for side, beside, goal in (
                    (_PAYMENT, _SAME_STACK, at_most(10.0)),
                    (_INSERTS, _PAYMENT, None),
                    (_SAME_STACK, _PAYMENT, None),
                    (_NOTHING, _PAYMENT, None),
                )
            ),
        ],
        [
            Bars(
                "payments",
                "Requests a second, one worker",
                f"over {_SAME_STACK}",
                {
                    "service, a payment": Spread.ratio(rates[_PAYMENT], rates[_SAME_STACK]),
                    "service, one insert": Spread.ratio(rates[_SAME_STACK], rates[_SAME_STACK]),
                    "bare FastAPI, one insert": Spread.ratio(rates[_BARE], rates[_SAME_STACK]),
                },
                {"service, a payment": _GOAL},
            )
        ],
        {
            "clients": str(_CLIENTS),
            "connections to PostgreSQL": str(_CONNECTIONS),
            "fsync": asked["fsync"],
            "events still to publish when a load ended": f"{waiting.low:g} to {waiting.high:g}",
        },
        versions(project, "sqlalchemy", "asyncpg", "wrk")
        | {"PostgreSQL": asked["server_version"].split()[0]},
        rig.seconds,
    )


def _lab(rig: Rig) -> Path:
    """The service, with routes that insert one row, three, or none."""
    project = rig.project(archetype="payments", database="postgresql", service_name="payments-lab")
    package = project / "src/payments_lab"
    shutil.copy(LABS / "bare_insert.py", package)
    wiring = package / "wiring.py"
    text = wiring.read_text("utf-8")
    if "bare_insert" not in text:
        text = text.replace(
            "from .payments import", "from . import bare_insert\nfrom .payments import"
        )
        call = "    service.include_router(routes.router)\n"
        text = text.replace(call, call + call.replace("routes", "bare_insert"))
        wiring.write_text(text, "utf-8")
    return project


def _posts(rig: Rig, database: servers.Postgres, server: Server, path: str) -> Callable[[], _Paid]:
    """Pay, into empty tables."""
    keys = count()

    def waiting() -> int:
        return int(database.run(_WAITING, "payments"))

    def run() -> _Paid:
        database.run(f"TRUNCATE {_EMPTIED}", "payments")
        _takes(server, path, f"first-{next(keys)}")
        before: list[float] = []

        def warm() -> None:
            rig.wait_for(lambda: waiting() == 0)
            before.append(server.cpu_seconds())

        load = rig.load(server, path, clients=_CLIENTS, script=_POST, warm=warm)
        left = waiting()
        rig.wait_for(lambda: waiting() == 0)
        return _Paid(load.good, (server.cpu_seconds() - before[0]) / load.requests, left)

    return run


def _takes(server: Server, path: str, key: str) -> None:
    """Compare what a side answers to a payment. Raises RuntimeError when it is something else."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    body = json.dumps(_ORDER).encode()
    reply = ask(server.port, path, "POST", headers=headers, body=body)
    fields = reply.json() if reply.status == 201 else {}
    expected = _ORDER | {"status": "accepted"}
    if {name: fields.get(name) for name in expected} != expected or len(fields) != 6:
        raise RuntimeError(f"{path}: not the payment that was asked for: {reply}")
