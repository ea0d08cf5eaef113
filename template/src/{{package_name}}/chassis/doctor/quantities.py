"""CPUs, bytes and durations as Kubernetes, Compose and people write them.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
https://docs.docker.com/reference/compose-file/extension/#specifying-durations
"""

import re

_MIB = 2**20
_UNITS = {
    "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18, "m": 1e-3,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
}  # fmt: skip
_DURATION = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE]([0-9]+))?([A-Za-z]*)")


def quantity(text: object) -> float | None:
    """A Kubernetes quantity such as `500m` or `1Gi`; None for what isn't one."""
    match = _QUANTITY.fullmatch(str(text).strip())
    if match is None or match[3] not in _UNITS:
        return None
    return float(match[1]) * 10.0 ** int(match[2] or 0) * _UNITS[match[3]]


def mebibytes(text: object) -> int | None:
    """A Kubernetes quantity of memory, in MiB, rounded down."""
    size = quantity(text)
    return None if size is None else int(size // _MIB)


def compose_mebibytes(text: object) -> int | None:
    """Memory as Compose writes it, in MiB: `512m` is 512 MiB, a bare number is bytes."""
    match = re.fullmatch(r"([0-9.]+) ?([bkmgBKMG]?)[bB]?", str(text).strip())
    if match is None:
        return None
    factor = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30}[match[2].lower()]
    return int(float(match[1]) * factor // _MIB)


def memory_argument(text: str) -> int | None:
    """Memory as a person writes it on a command line, in MiB: `2GiB`, `2Gi`, `2G`, `2048`."""
    match = re.fullmatch(
        r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]?)(?:i?[bB]?)", text.strip(), re.IGNORECASE
    )
    if match is None:
        return None
    exponent = "KMGT".index(match[2].upper()) - 1 if match[2] else 0
    return int(float(match[1]) * 1024**exponent)


def seconds(text: object) -> float | None:
    """A duration as Compose and Docker write it: `45s`, `1m30s`, or a bare number of seconds."""
    told = str(text).strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", told):
        return float(told)
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(us|ms|s|m|h)", told)
    if not parts or "".join(number + unit for number, unit in parts) != told:
        return None
    return sum(float(number) * _DURATION[unit] for number, unit in parts)
