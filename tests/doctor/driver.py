"""Examines a service over and over, each time with other edits. Run by the service's own Python.

    python driver.py <package> <folder> < edits.json > results.json

`edits` is a list; each has `files`, the new text by path, or null for a file that is deleted. After
each the files are put back. What an edit can't have changed isn't read again: Gunicorn's
configuration is evaluated anew when a Python file is edited, and under conditions that weren't
there before; a module is parsed anew when some of it is edited.
"""

import functools
import importlib
import json
import sys
from pathlib import Path
from typing import Any


def main(package: str, folder: Path) -> list[dict[str, Any]]:
    """What the doctor finds after each edit."""
    doctor = importlib.import_module(f"{package}.chassis.doctor.examination")
    project_module: Any = importlib.import_module(f"{package}.chassis.doctor.project")
    document = importlib.import_module(f"{package}.chassis.doctor.json_output").document

    # Of the many modules an edit changes one.
    project_module.parse = functools.cache(project_module.parse)

    def examine(edited: set[str] | None = None) -> tuple[Any, dict[str, Any]]:
        project = project_module.Project(folder, package=package)
        if edited is not None and not any(name.endswith(".py") for name in edited):
            project._evaluated.update(untouched._evaluated)
        results = doctor.examine(project, doctor.ALL)
        return project, json.loads(document(results, project.service_name))

    untouched, _ = examine()
    found = []
    for edit in json.load(sys.stdin):
        before = {name: _read(folder / name) for name in edit["files"]}
        try:
            for name, text in edit["files"].items():
                _write(folder / name, text)
            found.append(examine(set(edit["files"]))[1])
        finally:
            for name, text in before.items():
                _write(folder / name, text)
    return found


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.exists() else None


def _write(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink(missing_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    json.dump(main(sys.argv[1], Path(sys.argv[2]).resolve()), sys.stdout)
