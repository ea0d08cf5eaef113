"""A Gunicorn configuration as it is under given limits and in a given environment.

It is evaluated in a process of its own, whose environment is that of the manifest and nothing of
the machine's, and on a host that has more cores than any container should believe to have.
"""

import ast
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .place import Place

HOST_CPUS = 64
"""Cores of the host that the configuration believes to be on."""

_TIMEOUT_SECONDS = 60
_PASSED_ON = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "SYSTEMROOT", "TMPDIR")
_PROBE = Path(__file__).parent / "probe" / "gunicorn_file.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a configuration is evaluated under."""

    environment: Mapping[str, str] = field(default_factory=dict)
    cpu: float | None = None
    memory_mib: int | None = None
    host_cpus: int = HOST_CPUS

    @property
    def key(self) -> str:
        """The same for the same conditions."""
        return json.dumps([sorted(self.environment.items()), self.cpu, self.memory_mib,
                           self.host_cpus])  # fmt: skip


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What came of it."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """The names that the file sets, Gunicorn's settings among them."""
    places: Mapping[str, Place] = field(default_factory=dict)
    """The line that sets each."""
    file: str = ""
    error: str | None = None
    """Why it can't be evaluated: one line."""
    worker_mro: list[str] | None = None
    service: Mapping[str, Any] | None = None
    """What a generated service says of itself."""
    assumed: list[str] = field(default_factory=list)
    """Settings that were made up, because only a Secret has them."""
    log: str = ""

    def place(self, name: str) -> Place:
        """The line that sets a name, or the beginning of the file."""
        return self.places.get(name, Place(self.file, 1))


def evaluate(
    path: Path, name: str, conditions: Conditions, *, package: str | None, python: str | None = None
) -> Evaluated:
    """Evaluate a file; `package` is that of a generated service, `python` another interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        answer, log = Path(folder, "answer"), Path(folder, "log")
        request = {
            "path": str(path.resolve()),
            "python_path": [one for one in sys.path if one] if python is None else [],
            "answer": str(answer),
            "log": str(log),
            "package": package,
            "cpu": conditions.cpu,
            "memory_mib": conditions.memory_mib,
            "host_cpus": conditions.host_cpus,
        }
        command = [python or sys.executable, str(_PROBE), json.dumps(request)]
        ended = _run(command, _environment(conditions, folder, own=package is not None))
        text = log.read_text("utf-8", "replace") if log.exists() else ""
        places = _places(path, name)
        if not answer.exists():
            why = ended.strip().splitlines()[-1:] or ["it can't be run"]
            return Evaluated(places=places, file=name, error=why[0], log=text)
        told = json.loads(answer.read_text("utf-8"))
    return Evaluated(
        settings=told["settings"],
        places=places,
        file=name,
        error=_why(told["error"], text),
        worker_mro=told.get("worker_mro"),
        service=told["service"],
        assumed=told.get("assumed", []),
        log=text,
    )


def _run(command: list[str], environment: dict[str, str]) -> str:
    try:
        return subprocess.run(  # noqa: S603 - our own program, under the interpreter that was asked for
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        ).stderr
    except subprocess.TimeoutExpired:
        return f"it isn't done after {_TIMEOUT_SECONDS} s"
    except OSError as error:
        return f"{command[0]}: {error.strerror}"


def _environment(conditions: Conditions, folder: str, *, own: bool) -> dict[str, str]:
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # Neither the machine's secrets nor its shared memory are any of this one's business.
    ours = {"SECRETS_DIR": "", "WORKER_TMP_DIR": folder}
    if not own:
        ours["PYTHONDONTWRITEBYTECODE"] = "1"  # nothing is left in somebody else's folder
    return {**passed_on, **conditions.environment, **ours}


def _why(error: str | None, log: str) -> str | None:
    """The last critical line of the log says it best, where the service refused to boot."""
    if error is None:
        return None
    for line in reversed(log.splitlines()):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("level") == "critical":
            return str(entry.get("message"))
    return error.splitlines()[0]


def _places(path: Path, name: str) -> dict[str, Place]:
    """The line of the last assignment to each name at the top of the file."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return {}
    return {
        target.id: Place(name, node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
