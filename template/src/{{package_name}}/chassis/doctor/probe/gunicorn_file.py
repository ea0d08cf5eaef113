"""Evaluate a `gunicorn.conf.py` as Gunicorn does, and tell what it sets.

A program of its own: `python gunicorn_file.py <request>`, on the standard library alone, so that
any service's own interpreter can run it, from Python 3.8 on. The request is a JSON document; so is
the answer, which goes to a file, since the configuration may write to stdout.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import multiprocessing
import os
import sys
from pathlib import Path
from typing import Any


def main(request: dict[str, Any]) -> None:
    """Evaluate, and write the answer."""
    answer: dict[str, Any] = {"settings": {}, "error": None, "service": None}
    path = Path(request["path"])
    os.chdir(path.parent)
    # In the place of this file's own folder, whose modules are nobody else's business.
    sys.path[:1] = [str(path.parent), *request["python_path"]]
    # The log of what is evaluated: whatever it writes to stdout.
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    _pretend_cpus(request["host_cpus"])
    try:
        service = None
        if request["package"]:
            service = importlib.import_module(f"{request['package']}.chassis.doctor.probe.service")
            answer["assumed"] = service.before(request)
        namespace = _execute(path)
        answer["settings"] = {
            name: _plain(value) for name, value in namespace.items() if not name.startswith("_")
        }
        answer["worker_mro"] = _mro(namespace.get("worker_class"))
        if service is not None:
            answer["service"] = service.after(namespace)
    except SystemExit as error:
        answer["error"] = f"it ends with exit status {error.code}"
    except BaseException as error:  # whatever it does, somebody has to say so
        answer["error"] = f"{type(error).__name__}: {error}"
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")
    sys.stdout.flush()
    os._exit(0)  # threads and exit handlers of what was evaluated have no say


def _execute(path: Path) -> dict[str, Any]:
    """The names that are there in the end. As Gunicorn's own get_config_from_filename does it."""
    spec = importlib.util.spec_from_file_location("__config__", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["__config__"] = module
    spec.loader.exec_module(module)
    return vars(module)


def _pretend_cpus(count: int) -> None:
    """Be on a host with so many cores: a container sees all of them, whatever its limit."""

    def cores(*_: object) -> int:
        return count

    os.cpu_count = multiprocessing.cpu_count = cores
    if hasattr(os, "sched_getaffinity"):
        os.sched_getaffinity = lambda _pid: set(range(count))
    if hasattr(os, "process_cpu_count"):
        os.process_cpu_count = cores


def _plain(value: Any) -> Any:
    """What JSON can carry; of a function or a class its name."""
    if isinstance(value, (list, tuple, set)):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    module, name = getattr(value, "__module__", ""), getattr(value, "__qualname__", None)
    return f"{module}:{name}" if name else f"<{type(value).__name__}>"


def _mro(worker_class: Any) -> list[str] | None:
    """The names of a worker class and of all that it inherits from; None if it can't be had."""
    if isinstance(worker_class, str):
        module, _, name = worker_class.replace(":", ".").rpartition(".")
        try:
            worker_class = getattr(importlib.import_module(module), name) if module else None
        except Exception:
            return None
    if not isinstance(worker_class, type):
        return None
    return [f"{one.__module__}.{one.__qualname__}" for one in worker_class.__mro__]


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
