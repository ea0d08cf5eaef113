"""Whether everything agrees: each request's reply, its payment and its events, side by side.

Run it as `make reconcile day=2026-11-22`, or with `request=` and a request's id. It reads one state
of the database beside a running service, and exits with 0 when all agrees, with 1 when something
differs, and with 2 when it can't tell.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy.exc import DBAPIError

from ..chassis.database.snapshot import snapshot
from ..chassis.settings import SettingsError, load_settings
from ..settings import Settings
from . import traces
from .traces import Kept, Trace

SHOWN = 20
"""How many payments of a day are shown; those that differ are shown in any case."""

COLUMNS = ("payment", "request", "reply", "row", "events", "agree")


@dataclass
class Report:
    """What was found."""

    shown: list[dict[str, Any]] = field(default_factory=list)
    payments: int = 0
    replies: int = 0
    events: int = 0
    differences: int = 0

    def add(self, trace: Trace, differences: list[str]) -> None:
        """Count a payment, and show it if it differs or there is room."""
        self.payments += trace.row is not None
        self.replies += trace.reply is not None
        self.events += len(trace.events)
        self.differences += len(differences)
        if differences or len(self.shown) < SHOWN:
            self.shown.append(_shown(trace, differences))


async def reconcile(settings: Settings, day: date | None, request_id: str | None) -> Report:
    """Compare what a day, or a request, has left."""
    now = datetime.now(UTC)
    kept = Kept(
        now - timedelta(days=settings.idempotency_retention_days),
        now - timedelta(days=settings.outbox_retention_days),
    )
    report = Report()
    async with snapshot(settings, "reconciliation") as connection:
        if request_id is not None:
            for trace in await traces.of_request(connection, request_id):
                report.add(trace, list(traces.differences(trace, now, kept)))
        if day is not None:
            async for trace in traces.of_day(connection, day):
                report.add(trace, list(traces.differences(trace, now, kept)))
    return report


def _shown(trace: Trace, differences: list[str]) -> dict[str, Any]:
    row, reply = trace.row, trace.reply
    return {
        "payment": trace.payment_id,
        "request": row["request_id"] if row else None,
        "reply": reply["status"] if reply else None,
        "row": {name: row[name] for name in ("status", "amount", "currency")} if row else None,
        "events": [
            {"type": event["type"], "published": event["published_at"] is not None}
            for event in trace.events
        ],
        "differences": differences,
    }


def _table(report: Report) -> str:
    """The payments as lines of a table, each difference below its payment."""
    lines = [COLUMNS, *(_cells(shown) for shown in report.shown)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    for number, shown in reversed(list(enumerate(report.shown, start=1))):
        text[number + 1 : number + 1] = [f"    {told}" for told in shown["differences"]]
    if report.payments > len(report.shown):
        text.append("...")
    names = ("payments", "replies", "events", "differences")
    return "\n".join([*text, ", ".join(f"{name}: {getattr(report, name)}" for name in names)])


def _cells(shown: dict[str, Any]) -> tuple[str, ...]:
    row = shown["row"]
    told = [
        event["type"].removeprefix("payment.") + ("" if event["published"] else " (waits)")
        for event in shown["events"]
    ]
    return (
        shown["payment"],
        shown["request"] or "-",
        str(shown["reply"] or "-"),
        f"{row['status']} {row['amount']} {row['currency']}" if row else "-",
        ", ".join(told) or "-",
        "no" if shown["differences"] else "yes",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description="Compare requests, payments and events.")
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--day", type=date.fromisoformat, help="2026-11-22, in UTC")
    chosen.add_argument("--request", help="a request's id, as in X-Request-ID and in the log")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    try:
        settings = load_settings(Settings)
        report = asyncio.run(reconcile(settings, given.day, given.request))
    except (SettingsError, DBAPIError, OSError) as error:
        told = error if isinstance(error, SettingsError) else f"the database is away: {error}"
        print(f"reconcile: {told}", file=sys.stderr)
        return 2
    if given.request is not None and not report.shown:
        print(f"reconcile: no payment was made by the request {given.request}", file=sys.stderr)
        return 2
    document = {"agree": not report.differences, **vars(report)}
    print(json.dumps(document, indent=2) if given.json else _table(report))
    return 1 if report.differences else 0


if __name__ == "__main__":
    sys.exit(main())
