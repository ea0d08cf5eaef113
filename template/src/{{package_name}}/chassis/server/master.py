"""What runs in the Gunicorn master: reading the settings, and the hooks around the workers.

Hooks: https://docs.gunicorn.org/en/stable/settings.html#server-hooks
"""

import gc
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from gunicorn.workers.base import Worker

from .. import logs, metrics, roster, settings
from ..breaker import breaker_board, breakers
from ..capacity import cgroup
from ..capacity.sizing import Sizing, size
from ..logs import stdio
from ..logs.pipeline import pipeline
from ..roster import WorkerState
from ..service import Service
from ..settings import ChassisSettings, SettingsError, load_settings
from . import dump, info, listening

LATE_IMPORTS = ("anyio._backends._asyncio", "uvicorn.lifespan.on", "encodings.idna")
"""What each worker would import by itself, into memory of its own and while it starts."""

_EX_CONFIG = 78
"""The exit status for a configuration error (sysexits.h)."""

_log = logs.get_logger("chassis.boot")


def load(settings_class: type[ChassisSettings]) -> ChassisSettings:
    """Read the settings and prepare what has to be ready before the application is imported.

    A wrong value at boot ends the process with status 78 and one line that says what to mend. On a
    reload (SIGHUP) the same line is logged and the service goes on with the settings it has.
    """
    _take_back_hidden_variables()
    try:
        read = load_settings(settings_class)
        list(read.boot_lines(_size(read).workers))
    except SettingsError as error:
        return _keep_or_exit(settings_class, str(error))
    settings.use(read)
    service = read.answers.service_name
    logs.configure(service=service, level=read.log_level, fmt=_format(read))
    if _format(read) == "json":
        stdio.capture()
    try:
        metrics.share_over_workers(read.worker_tmp_dir, service)
    except OSError as error:
        given, why = str(read.worker_tmp_dir), error.strerror or error
        _refuse(f"WORKER_TMP_DIR={given!r} can't be used ({why}): name a folder it may write to")
    return read


def _take_back_hidden_variables() -> None:
    """Undo what `startup.pth` did: Gunicorn is imported, so it can't be hurt any more."""
    for name in ("WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS"):
        value = os.environ.pop(f"{name}_GIVEN", None)
        if value is not None:
            os.environ[name] = value


def sizing(read: ChassisSettings) -> Sizing:
    """Decide on the number of workers, and log how it came about."""
    decided = _size(read)
    info.remember(decided)
    _log.info("workers sized", **decided.log_fields())
    if decided.warning:
        _log.warning(decided.warning)
    for level, message, fields in read.boot_lines(decided.workers):
        getattr(_log, level)(message, **fields)
    return decided


def _size(read: ChassisSettings) -> Sizing:
    return size(read.answers, cgroup.read_limits(), cgroup.read_affinity(), read.web_concurrency)


def addresses(read: ChassisSettings) -> list[str]:
    """The addresses to listen on: traffic first, then management."""
    return list(_addresses_by_setting(read).values())


def _addresses_by_setting(read: ChassisSettings) -> dict[str, str]:
    named = {"BIND_ADDRESS": read.bind_address}
    if read.management_bind_address:
        named["MANAGEMENT_BIND_ADDRESS"] = read.management_bind_address
    return named


def logging_config(read: ChassisSettings) -> dict[str, Any]:
    """What keeps Gunicorn from giving its loggers handlers of its own."""
    return logs.logging_dict(read.log_level)


def _format(read: ChassisSettings) -> Any:
    return read.log_format or ("console" if sys.stdout.isatty() else "json")


def _keep_or_exit(settings_class: type[ChassisSettings], why: str) -> ChassisSettings:
    if not settings.are_set():
        asked = os.environ.get("LOG_FORMAT", "").lower()
        console = asked == "console" or (not asked and sys.stdout.isatty())
        logs.configure(
            service=settings_class.answers.service_name,
            level="INFO",
            fmt="console" if console else "json",
        )
        _refuse(why)
    _log.error("reload refused, the old settings stay", reason=why)
    return settings.current()


def _refuse(why: str, status: int = _EX_CONFIG) -> NoReturn:
    _log.critical(why)
    pipeline.sink.flush()
    raise SystemExit(status)


def dump_path(slot: int) -> Path:
    """Where the worker in `slot` leaves its dump when the master takes it for hung."""
    return Path(os.environ[metrics.DIRECTORY_VARIABLE], f"{slot}.dump")


def on_starting(arbiter: Arbiter) -> None:
    """Refuse addresses that can't be listened on, before Gunicorn tries them.

    With status 1, as Gunicorn does: the setting may be right, and another start may find the port
    free.
    """
    if why := listening.refusal(_addresses_by_setting(settings.current()), time.sleep):
        _refuse(why, status=1)


def when_ready(arbiter: Arbiter) -> None:
    """Freeze the heap that the workers will share, and prepare for the end of the service."""
    _refuse_slow_checks(arbiter.app.wsgi())
    _announce_the_end(arbiter)
    metrics.worker_exits()
    for name in LATE_IMPORTS:
        with suppress(ImportError):  # then they are somewhere else by now
            import_module(name)
    gc.collect()
    gc.freeze()


def _refuse_slow_checks(service: Service) -> None:
    """A readiness check that outlasts the platform's probe would fail it even when all is well."""
    service.configure()
    patience = service.settings.budget.probe_timeout
    for name in service.health.probed:
        seconds = service.health.timeout_of(name)
        if seconds >= patience:
            _refuse(
                f"the health check {name!r} may take {seconds:g} s, but the platform's readiness "
                f"probe gives up after {patience:g} s: register it with a shorter timeout, or "
                f"as neither critical nor probed"
            )


def _announce_the_end(arbiter: Arbiter) -> None:
    """Tell the workers first when the whole service is to stop.

    The SIGTERM that Gunicorn sends them looks the same when they are only replaced. Every end goes
    through `Arbiter.stop`: signals, and workers that can't boot.
    """
    stop, reap = arbiter.stop, arbiter.reap_workers

    def announce_and_stop(graceful: bool = True) -> None:
        roster.current.terminate()
        arbiter.cfg.set("graceful_timeout", settings.current().graceful_timeout_seconds)
        # A worker that can't boot must not break the stop off half-way.
        arbiter.reap_workers = lambda: _reap(reap)
        stop(graceful)

    arbiter.stop = announce_and_stop


def _reap(reap: Callable[[], None]) -> None:
    with suppress(HaltServer):
        reap()


def on_reload(arbiter: Arbiter) -> None:
    """Don't let the master sleep until the old workers are gone.

    It would wait as long as `graceful_timeout` inside its reload, deaf to SIGTERM and to hung
    workers. Its reason for waiting is that workers could get a second SIGTERM, which does nothing
    here. The value is put back before it is used to stop.
    """
    arbiter.cfg.set("graceful_timeout", 0)


def pre_fork(arbiter: Arbiter, worker: Worker) -> None:
    """Give the worker its slot."""
    worker.slot = roster.current.claim(worker.age)


def post_fork(arbiter: Arbiter, worker: Worker) -> None:
    """Write the metrics and the breakers' states of that slot from now on."""
    metrics.become(worker.slot)
    breakers.current.start(worker.slot)


def child_exit(arbiter: Arbiter, worker: Worker) -> None:
    """Take the slot back, and log what a hung worker left."""
    text = dump.collect(dump_path(worker.slot))
    reason = _exit_reason(worker)
    breaker_board.current.clear(worker.slot)
    roster.current.release(worker.slot)
    metrics.forget_gauges(worker.slot)
    metrics.worker_exits().labels(reason).inc()
    if text:
        _log.error("worker dump", reason=reason, worker_pid=worker.pid, slot=worker.slot, dump=text)


def _exit_reason(worker: Worker) -> str:
    if worker.aborted:
        return "hung"
    left = roster.current.state_of(worker.slot) is WorkerState.STOPPING
    return "left" if left else "died"


def on_exit(arbiter: Arbiter) -> None:
    """Leave nothing behind."""
    metrics.remove()
