"""What is running here, for the person who has to know it at 2 a.m."""

import os
import platform
import time
from datetime import UTC, datetime
from typing import Any

from .. import roster
from ..capacity.sizing import Sizing
from ..service import Service

_started_at = time.time()
_sizing: list[Sizing] = []


def remember(sizing: Sizing) -> None:
    """Keep how the worker count came about. For the master, before it forks."""
    _sizing[:] = [sizing]


def worker_count() -> int | None:
    """How many workers the master decided on; None where there is no master."""
    return _sizing[0].workers if _sizing else None


def describe(service: Service) -> dict[str, Any]:
    """The service, its versions, and its workers with the reason for their number."""
    answers = service.settings.answers
    return {
        "service": answers.service_name,
        "version": service.version,
        "git_revision": os.environ.get("GIT_REVISION") or None,
        "template_version": answers.template_version,
        "python": platform.python_version(),
        "workers": {
            "alive": len(list(roster.current.workers())),
            "sizing": _sizing[0].log_fields() if _sizing else None,
        },
    }


def uptime() -> dict[str, Any]:
    """When the master started and how many seconds ago."""
    return {
        "started_at": datetime.fromtimestamp(_started_at, UTC).isoformat(timespec="milliseconds"),
        "uptime_s": round(time.time() - _started_at, 3),
    }


def workers() -> list[dict[str, Any]]:
    """One row for each worker."""
    return [
        {
            "slot": row.slot,
            "pid": row.pid,
            "state": row.state.name,
            "in_flight": row.in_flight,
            "requests": row.served,
            "event_loop_lag_s": row.lag,
        }
        for row in roster.current.workers()
    ]
