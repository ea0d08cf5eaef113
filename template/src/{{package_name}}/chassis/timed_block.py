"""A block of code that is timed, whatever comes of it."""

from time import perf_counter
from types import TracebackType
from typing import Self


class TimedBlock:
    """A plain `with`, in coroutines too; what is awaited in the block counts.

    `seconds` is known when the block is over. `ended` is then called with the kind of exception
    that the block raised, or None.
    """

    __slots__ = ("_began", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._began = perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.seconds = perf_counter() - self._began
        self.ended(kind)

    def ended(self, error: type[BaseException] | None) -> None:
        """Do what is to be done with the time. What it raises leaves the block."""
        raise NotImplementedError
