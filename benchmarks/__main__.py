"""Run the measures: `python -m benchmarks [--quick] [name ...]`, or `make bench`."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import pytest

from . import report, surroundings
from .rig import Rig

MEASURES = (
    "throughput",
    "scaling",
    "memory",
    "startup",
    "instructions",
    "payments",
    "scraping",
    "breaker",
    "outbound",
    "tracing",
    "copying",
    "image",
    "overload",
    "predictions",
)
"""The modules, in the order of the page."""


def main() -> None:
    """Measure what was asked for, keep the results, and write them into the documentation."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure, side by side.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(MEASURES)}")
    parser.add_argument("--quick", action="store_true", help="to see that it works; keeps nothing")
    given = parser.parse_args()
    unknown = set(given.names) - set(MEASURES)
    if unknown:
        parser.error(f"no such measure: {', '.join(sorted(unknown))}")
    # Ended from outside, as by `timeout`, it still stops the services that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    failed = []
    commit, machine = surroundings.commit(), surroundings.machine()
    with tempfile.TemporaryDirectory(prefix="ballast-bench-") as folder:
        rig = Rig(Path(folder), quick=given.quick)
        for name in given.names or MEASURES:
            began, before = time.monotonic(), surroundings.load_average()
            print(f"{name} ...", flush=True)
            try:
                result = importlib.import_module(f"benchmarks.{name}").measure(rig)
            except (Exception, pytest.skip.Exception, pytest.fail.Exception):
                # The others are worth having. What the tests share says by pytest that it can't.
                traceback.print_exc()
                failed.append(name)
                continue
            print(report.table(result))
            print(f"({time.monotonic() - began:.0f} s)\n", flush=True)
            if not given.quick:
                after = surroundings.load_average()
                when = report.Circumstances.of(commit, machine, before, after)
                report.keep(name, result, when)
                report.write_page()
    if failed:
        sys.exit(f"Not measured: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
