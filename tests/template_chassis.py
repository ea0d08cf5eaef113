"""Modules of the chassis as they stand in the template, to compare numbers with, not rendered."""

import importlib
import sys
import types
from typing import Any

import support

_SOURCES = "src/{{package_name}}/chassis"


def chassis(module: str) -> Any:
    """A module of the chassis, by its name below it; one that needs no library of a service's."""
    if "chassis" not in sys.modules:
        template = support.REPOSITORY / "template"
        folders = [str(template / _SOURCES), str(template / "{% if sql %}.{% endif %}" / _SOURCES)]
        # Packages without their `__init__`, which needs what only a service has installed.
        for name, path in {"": folders, ".database": [f"{folders[1]}/database"]}.items():
            package = types.ModuleType(f"chassis{name}")
            package.__path__ = path
            sys.modules[package.__name__] = package
    return importlib.import_module(f"chassis.{module}")
