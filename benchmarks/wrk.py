"""What wrk says of a load."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MICROSECONDS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}


@dataclass(frozen=True)
class Load:
    """What wrk saw: replies a second, and latencies in milliseconds."""

    requests: int
    seconds: float
    good: float
    """Replies a second with a status below 400."""
    refused: float
    """Other replies a second."""
    errors: int
    """Connections that failed, broke or timed out."""
    p50: float
    p99: float


def parse_wrk(text: str) -> Load:
    """What wrk printed. Raises RuntimeError when it is something else."""
    total = re.search(r"(\d+) requests in (\S+?)(m|s|ms|us),", text)
    latencies = dict(re.findall(r"(\d+)% +(\S+)", text))
    if total is None or not {"50", "99"} <= set(latencies):
        raise RuntimeError(f"wrk said something else:\n{text}")
    requests = int(total[1])
    seconds = float(total[2]) * _MICROSECONDS[total[3]] / 1e6
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    refused = int(other[1]) if other else 0
    broken = re.search(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return Load(
        requests=requests,
        seconds=seconds,
        good=(requests - refused) / seconds,
        refused=refused / seconds,
        errors=sum(map(int, broken.groups())) if broken else 0,
        p50=_milliseconds(latencies["50"]),
        p99=_milliseconds(latencies["99"]),
    )


def _milliseconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if found is None:
        raise RuntimeError(f"not a time of wrk's: {text!r}")
    return float(found[1]) * _MICROSECONDS[found[2]] / 1e3
