"""stamina tells of each retry by hooks of its own: a log line and a metric.

The retries of an upstream have both already, with the upstream's name; the user's own ones don't.
"""

from contextlib import AbstractContextManager
from functools import cache

from stamina.instrumentation import (
    RetryDetails,
    RetryHook,
    get_on_retry_hooks,
    set_on_retry_hooks,
)

from .call import AttemptFailedError


@cache
def leave_out_upstreams() -> None:
    """Keep the hooks that there are from being called for the retries of upstreams. Once."""
    set_on_retry_hooks([_for_others(hook) for hook in get_on_retry_hooks()])


def _for_others(hook: RetryHook) -> RetryHook:
    def call(details: RetryDetails) -> AbstractContextManager[None] | None:
        if isinstance(details.caused_by, AttemptFailedError):
            return None
        return hook(details)

    return call
