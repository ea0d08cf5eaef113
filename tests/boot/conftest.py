"""Fixtures and the summary of this tier."""

from __future__ import annotations

import pytest
from boot.fixtures import boot, boot_once, lossless, ports, project

__all__ = ["boot", "boot_once", "lossless", "ports", "project"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what a test counted or measured."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            if name in ("load", "size") and report.when == "call":
                terminalreporter.write_line(f"{value:>20}  {report.nodeid}")
