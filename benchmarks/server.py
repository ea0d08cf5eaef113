"""A service or a rival that runs, and what its processes use."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from boot.harness import children

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Server:
    """A Gunicorn master with its workers that answers on `port`."""

    project: Path
    port: int
    management_port: int | None
    process: subprocess.Popen[bytes]
    output: Path
    """The file that its standard output goes to."""
    errors: Path
    """The file that its standard error goes to."""
    began: float
    """When it was started, by `perf_counter`."""
    started_in: float = 0.0
    """Seconds from `exec` to the first reply, a service's to the first that says it is ready."""

    @property
    def pid(self) -> int:
        """The pid of the master."""
        return self.process.pid

    @property
    def managed_by(self) -> int:
        """The port of a service's management listener; RuntimeError for a rival's."""
        if self.management_port is None:
            raise RuntimeError("a rival has no management port")
        return self.management_port

    def accepting(self) -> int:
        """How many workers have said that they accept: the first of them makes a service ready."""
        if self.management_port is None:
            return self.errors.read_bytes().count(b"Application startup complete")
        return self.output.read_bytes().count(b'"message":"accepting"')

    def said(self) -> str:
        """The end of what it printed, for a person."""
        texts = (file.read_bytes()[-2000:] for file in (self.output, self.errors))
        return "\n".join(text.decode(errors="replace") for text in texts)

    def workers(self) -> list[int]:
        """The pids of the workers, oldest first."""
        return children(self.pid)

    def cpu_seconds(self) -> float:
        """What the live workers have used so far."""
        return sum(map(cpu_seconds, self.workers()))

    def pss_kib(self) -> list[int]:
        """The proportional memory of each worker: its own, and its share of what others share."""
        return [pss_kib(pid) for pid in self.workers()]


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, of the kernel's time too."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def pss_kib(pid: int) -> int:
    """The proportional set size of a process (proc_pid_smaps(5))."""
    found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    if found is None:
        raise RuntimeError(f"the kernel doesn't tell the memory of {pid}")
    return int(found[1])
