"""What nobody caught is one entry each too, not a plain-text traceback on stderr (SPEC E1)."""

from __future__ import annotations

import sys
import threading
from types import TracebackType

from .bound_logger import BoundLogger
from .redaction import safe_repr


class CrashReporter:
    """Python's three last resorts, pointed at a logger."""

    def __init__(self, log: BoundLogger) -> None:
        self._log = log

    def install(self) -> None:
        """Take the place of the hooks that print."""
        sys.excepthook = self.uncaught
        threading.excepthook = self.died
        sys.unraisablehook = self.unraisable

    def uncaught(
        self, kind: type[BaseException], error: BaseException, tb: TracebackType | None
    ) -> None:
        """The end of the process."""
        self._log.critical("uncaught exception", exc_info=error)

    def died(self, args: threading.ExceptHookArgs) -> None:
        """The end of a thread. `SystemExit` is how a thread may end on purpose."""
        if args.exc_type is not SystemExit:
            name = args.thread.name if args.thread else None
            self._log.error("uncaught exception in a thread", exc_info=args.exc_value, thread=name)

    def unraisable(self, args: sys.UnraisableHookArgs) -> None:
        """An error where none can be raised: in a finaliser, or while the interpreter ends."""
        self._log.error(
            args.err_msg or "exception ignored",
            exc_info=args.exc_value,
            object=safe_repr(args.object),
        )
