"""Fixtures of this tier: those of the boot tier."""

from boot.fixtures import boot, ports, project

__all__ = ["boot", "ports", "project"]
