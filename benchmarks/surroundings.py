"""What figures depend on besides the code that is measured: machine, versions, and who else works.

All of it is kept with each result.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import support

PACKAGES = ("fastapi", "starlette", "pydantic", "uvicorn", "gunicorn", "uvloop", "httptools")
"""What all services and rivals are made of."""

_PROGRAMS = {
    "wrk": ("wrk", "-v"),
    "Valgrind": ("valgrind", "--version"),
    "git": ("git", "--version"),
}
_MADE = ("docs/benchmarks.md", "docs/benchmarks", "benchmarks/results")
"""What a run of the benchmarks writes itself."""


def machine() -> dict[str, str]:
    """Processor, memory and kernel."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    memory = re.search(r"^MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text(), re.M)
    count = len(os.sched_getaffinity(0))
    return {
        "processor": f"{count} cores of {model[1] if model else platform.machine()}",
        "memory": f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "?",
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
    }


def versions(project: Path, *more: str) -> dict[str, str]:
    """Python, the packages of all sides, and what else takes part: a program, or a package."""
    packages = [*PACKAGES, *(name for name in more if name not in _PROGRAMS)]
    code = (
        "import json, platform, sqlite3; from importlib.metadata import version\n"
        "special = {'SQLite': sqlite3.sqlite_version, 'Python': platform.python_version()}\n"
        f"names = ['Python', *{packages!r}]\n"
        "print(json.dumps({name: special.get(name) or version(name) for name in names}))"
    )
    python = project / ".venv/bin/python"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found | {name: program(name) for name in more if name in _PROGRAMS}


def program(name: str) -> str:
    """The version of a program: `git`, for instance."""
    # wrk says it with an exit status of 1.
    done = subprocess.run(_PROGRAMS[name], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else "?"


def commit() -> tuple[str, bool]:
    """The commit of this repository, and whether files differ from it (other than results)."""
    changed = support.git(
        support.REPOSITORY, "status", "--porcelain", "--", ".", *(f":!{path}" for path in _MADE)
    )
    return support.git(support.REPOSITORY, "rev-parse", "HEAD"), bool(changed)


def load_average() -> str:
    """How many processes wanted a processor, over 1, 5 and 15 minutes (proc_loadavg(5))."""
    return " ".join(Path("/proc/loadavg").read_text().split()[:3])


@contextmanager
def on(processors: list[int]) -> Iterator[None]:
    """Run on these processors, and start others there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
