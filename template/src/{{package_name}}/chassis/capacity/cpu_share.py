"""How many threads one worker may compute with, so that all of them together fit the CPUs.

A runtime that sizes its thread pool by the host's cores oversubscribes a container twice: it sees
too many cores, and every worker starts that many threads.
"""

from ..settings import ChassisSettings
from . import cgroup
from .sizing import Sizing, size


def threads_per_worker(sizing: Sizing) -> int:
    """The whole CPUs of a worker's share, and 1 where several workers share one.

    Workers x threads is then at most the CPUs, or the number of workers if that is larger.
    """
    return max(1, int(sizing.cpu // sizing.workers))


def for_this_service(settings: ChassisSettings) -> int:
    """Threads per worker by the settings and the container's limits, as at boot."""
    sizing = size(
        settings.answers, cgroup.read_limits(), cgroup.read_affinity(), settings.web_concurrency
    )
    return threads_per_worker(sizing)
