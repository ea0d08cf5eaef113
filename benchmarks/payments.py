"""P5: a payment with all that it takes never to lose or double it, over one bare insert.

`POST /payments` writes three rows in a transaction (the key with its reply, the payment, the event)
and publishes the event afterwards; the others write one: in a route of the same service, and under
bare FastAPI. All over HTTP, on the same PostgreSQL, with one worker and as many connections.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import servers
from boot.test_payments import migrate

from .result import Bars, Figure, Result, Spread, at_least, at_most
from .rig import LABS, Load, Rig, Server

TITLE = "Payments"

_CLIENTS = 16
_CONNECTIONS = 5
_PAYMENT = "a payment"
_SAME_STACK, _BARE = "one insert in the same service", "one insert under bare FastAPI"
_A_MINUTE = 10_000
_PROCESSORS = 2
"""What a pod may use of them, by default."""

_ORDER = json.dumps({"amount": 1999, "currency": "EUR", "reference": "order 4711"})
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
    return wrk.format(nil, nil, headers, {_ORDER!r})
end
"""


def measure(rig: Rig) -> Result:
    """All are asked as often as they can answer, in turns."""
    project = _lab(rig)
    used: list[float] = []
    with servers.postgres(max_connections=100) as database:
        url = database.create("payments")
        migrate(project, url)
        database.run("CREATE TABLE bare_payments (LIKE payments INCLUDING ALL)", "payments")
        database.run("GRANT ALL ON bare_payments TO payments", "payments")
        connections = str(_CONNECTIONS)
        service = rig.service(project, DATABASE_URL=url, DATABASE_POOL_SIZE=connections)
        bare = rig.rival(project, "insert:app", DATABASE_URL=url, POOL_SIZE=connections)
        with service as ours, bare as theirs:
            loads = rig.interleave(
                {
                    _PAYMENT: _posts(rig, ours, "/payments", used),
                    _SAME_STACK: _posts(rig, ours, "/bare"),
                    _BARE: _posts(rig, theirs, "/payments"),
                }
            )
    refused = sum(load.refused + load.errors for of in loads.values() for load in of)
    if refused:
        raise RuntimeError(f"{refused:.0f} requests a second weren't served")
    rates = {side: [load.good for load in of] for side, of in loads.items()}
    over = {side: Spread.ratio(rates[_PAYMENT], rates[side]) for side in (_SAME_STACK, _BARE)}
    share = [_A_MINUTE / 60 * seconds / _PROCESSORS * 100 for seconds in used]
    return Result(
        [
            *(
                Figure(
                    f"`POST /payments` over {side}",
                    ratio,
                    at_least(0.5) if side == _SAME_STACK else None,
                    beside={
                        name: f"{Spread.of(rates[name]).median:,.0f}/s" for name in (_PAYMENT, side)
                    },
                )
                for side, ratio in over.items()
            ),
            Figure(
                f"what {_A_MINUTE:,} payments a minute take of a pod's {_PROCESSORS} processors",
                Spread.of(share),
                at_most(10.0),
                "percent",
                {"processor time of a payment": f"{Spread.of(used).median * 1e3:.2f} ms"},
            ),
        ],
        [Bars("payments", "Payments a second", "over", dict(over), at_least(0.5))],
        {
            "clients": str(_CLIENTS),
            "connections to PostgreSQL": str(_CONNECTIONS),
            "fsync": "on",
        },
    )


def _lab(rig: Rig) -> Path:
    """The service, with a route that inserts one row."""
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


def _posts(
    rig: Rig, server: Server, path: str, used: list[float] | None = None
) -> Callable[[], Load]:
    """Pay; `used` gets the seconds of processor time that the worker took for each payment."""

    def run() -> Load:
        before = server.cpu_seconds()
        load = rig.load(server, path, clients=_CLIENTS, script=_POST)
        if used is not None:
            # The second of warming up has its share in both.
            paid = load.requests * (1 + 1 / load.seconds)
            used.append((server.cpu_seconds() - before) / paid)
        return load

    return run
