"""Probes' answers as `application/health+json`, for tools that know that and not this service.

The vocabulary is that of draft-inadarei-api-health-check-06
(https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06): pass, warn, fail. What
it has no word for, such as workers and breakers, stands in the default form only.
"""

from collections.abc import Mapping
from typing import Any

from .health_check import CheckResult
from .probes import DEGRADED, UP, Answer

MEDIA_TYPE = "application/health+json"

_STATUSES = {UP: "pass", DEGRADED: "warn"}
_FAIL = "fail"


def document(answer: Answer, service: Mapping[str, str]) -> dict[str, Any]:
    """The document of one answer. `service` has what is said of the service itself.

    `notes` tells what the draft's three words can't, such as that the pod is out of service rather
    than down; `output` why.
    """
    status = _STATUSES.get(answer.status, _FAIL)
    found: dict[str, Any] = {"status": status, **service}
    if status != "pass":
        found["notes"] = [answer.status]
    if answer.reason:
        found["output"] = answer.reason
    found["checks"] = {name: [_component(check)] for name, check in answer.checks.items()}
    return found


def _component(check: CheckResult) -> dict[str, Any]:
    failing = _FAIL if check.critical else "warn"
    found: dict[str, Any] = {
        "status": "pass" if check.status == "ok" else failing,
        "observedValue": check.duration_ms,
        "observedUnit": "ms",
    }
    if check.at is not None:
        found["time"] = check.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if check.status != "ok":
        found["output"] = check.error or "the check answered no"
    return found
