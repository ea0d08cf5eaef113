"""The arithmetic of a stop without loss: who may take how long, and who kills whom when.

A stopping pod drains (says "not ready" and still accepts), lingers (serves what it holds),
finishes its requests and closes its resources. Gunicorn kills a worker ``graceful`` seconds
after SIGTERM, Kubernetes the whole pod after ``terminationGracePeriodSeconds``. Each clock has
to outlast the one inside it, or requests are lost (SPEC B5).
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..answers import Answers

LINGER_SECONDS = 2
CLOSE_SECONDS = 3
HEALTH_CHECK_TIMEOUT_SECONDS = 3

STARTUP_BUDGET_SECONDS = 150
"""How long the platform's startup probe may fail: 30 times, 5 s apart (SPEC G2)."""

# The master needs time of its own, after the last worker, to reap and to exit.
GRACE_MARGIN_SECONDS = 10
GRACE_HEADROOM_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownBudget:
    """The durations that a stop is made of, in seconds."""

    drain: float
    """Not ready, but still accepting: the time for the platform to route elsewhere."""
    linger: float
    """Not accepting, but still serving the connections that are open."""
    request: float
    """The deadline of the last request."""
    close: float
    """The time to close resources."""
    graceful: float
    """After this Gunicorn kills the worker."""
    termination_grace: float
    """After this the platform kills the container; stands in its manifest as well."""
    readiness_period: float
    """The time between two readiness probes."""
    readiness_failures: int
    """Failed readiness probes until the platform stops routing here (a count)."""
    readiness_check_timeout: float
    """The timeout of the slowest readiness check."""
    probe_timeout: float
    """The platform's patience with one probe."""

    @classmethod
    def from_answers(cls, answers: Answers) -> "ShutdownBudget":
        """Derive a budget that is legal for every legal set of answers."""
        request, drain = answers.request_timeout_seconds, answers.drain_seconds
        graceful = drain + LINGER_SECONDS + request + CLOSE_SECONDS
        return cls(
            drain=drain,
            linger=LINGER_SECONDS,
            request=request,
            close=CLOSE_SECONDS,
            graceful=graceful,
            termination_grace=graceful + GRACE_MARGIN_SECONDS + GRACE_HEADROOM_SECONDS,
            readiness_period=max(1, min(3, drain // 3)),
            readiness_failures=3,
            readiness_check_timeout=HEALTH_CHECK_TIMEOUT_SECONDS,
            probe_timeout=HEALTH_CHECK_TIMEOUT_SECONDS + 1,
        )

    def violations(self) -> list[str]:
        """Return one sentence for each broken rule: the numbers, and what to set to what."""
        rules = (self._graceful, self._termination, self._readiness, self._probe)
        return [sentence for rule in rules for sentence in rule()]

    def _graceful(self) -> Iterator[str]:
        needed = self.drain + self.linger + self.request + self.close
        if needed > self.graceful:
            grace = needed + GRACE_MARGIN_SECONDS
            # Following the advice must not break the next rule.
            also = (
                f" and TERMINATION_GRACE_SECONDS to at least {_up(grace)}"
                if grace > self.termination_grace
                else ""
            )
            yield (
                f"DRAIN_SECONDS {self.drain:g} + LINGER_SECONDS {self.linger:g} + "
                f"REQUEST_TIMEOUT_SECONDS {self.request:g} + CLOSE_SECONDS {self.close:g} = "
                f"{needed:g} exceed "
                f"GRACEFUL_TIMEOUT_SECONDS {self.graceful:g}: set GRACEFUL_TIMEOUT_SECONDS to at "
                f"least {_up(needed)}{also}"
            )

    def _termination(self) -> Iterator[str]:
        needed = self.graceful + GRACE_MARGIN_SECONDS
        if needed > self.termination_grace:
            yield (
                f"GRACEFUL_TIMEOUT_SECONDS {self.graceful:g} + {GRACE_MARGIN_SECONDS} = {needed:g} "
                f"exceed TERMINATION_GRACE_SECONDS {self.termination_grace:g}: set "
                f"TERMINATION_GRACE_SECONDS, and the platform's period, to at least {_up(needed)}"
            )

    def _readiness(self) -> Iterator[str]:
        needed = self.readiness_period * self.readiness_failures
        if needed > self.drain:
            yield (
                f"the readiness probe's period {self.readiness_period:g} x "
                f"{self.readiness_failures} failures = {needed:g} exceed DRAIN_SECONDS "
                f"{self.drain:g}: set DRAIN_SECONDS to at least {_up(needed)}"
            )

    def _probe(self) -> Iterator[str]:
        if self.readiness_check_timeout >= self.probe_timeout:
            yield (
                f"the slowest readiness check may take {self.readiness_check_timeout:g} s, but the "
                f"probe gives up after {self.probe_timeout:g} s: set HEALTH_CHECK_TIMEOUT_SECONDS "
                f"below {self.probe_timeout:g}"
            )


def _up(seconds: float) -> int:
    return math.ceil(seconds)
