"""The files in which the workers keep their metrics, each those of its slot (:mod:`.metrics`)."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

from prometheus_client.mmap_dict import MmapedDict

from .. import metrics

Owner = int | str


def directory() -> Path | None:
    """Where the files are; None in single-process mode, where there are none."""
    path = os.environ.get(metrics.DIRECTORY_VARIABLE)
    return Path(path) if path else None


def owner() -> Owner:
    """Whose files this process writes: a worker's slot, or the master's. It changes by a fork."""
    return metrics.identity()


def entries(path: Path) -> list[tuple[str, float, float]]:
    """What a file holds: keys with two numbers each. Of a file that isn't there, nothing."""
    values: Any = MmapedDict.read_all_values_from_file
    try:
        return [(key, first, second) for key, first, second, _ in values(path)]
    except (FileNotFoundError, struct.error):  # its owner is just about to make it
        return []


def writable(path: Path) -> Any:
    """The same as a mapping that its owner writes, with `read_value` and `write_value`."""
    untyped: Any = MmapedDict
    return untyped(str(path))
