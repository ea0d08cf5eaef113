"""The thread behind `start_auto_refresh`: it looks at the models now and then."""

import threading
from collections.abc import Callable

from .. import logs

_STOP_SECONDS = 1.0

_log = logs.get_logger("chassis.models")


class AutoRefresh:
    """Calls `tick` every `interval` seconds while it runs. `tick` must not block."""

    def __init__(self, tick: Callable[[], None], interval: float) -> None:
        self._tick = tick
        self._interval = interval
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start, unless it runs already."""
        with self._lock:
            if self.is_running:
                return
            self._stopped = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(self._stopped,), name="model refresh", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for a tick under way."""
        with self._lock:
            self._stopped.set()
            if self._thread is not None and self._thread is not threading.current_thread():
                self._thread.join(_STOP_SECONDS)
            self._thread = None

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.wait(self._interval):
            try:
                self._tick()
            except Exception:
                _log.exception("looking after the models failed")
