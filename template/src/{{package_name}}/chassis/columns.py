"""Names that have a column each, the same in every worker: the head of a table in shared memory.

What is known before the fork would not need this. But parts may be declared while workers run, in
any order and in several at once, and whoever reads a row must know what stands where.
"""

from .shared import Memory


class Columns:
    """Up to `count` names. A name keeps its column for as long as the service runs."""

    def __init__(self, memory: Memory, count: int) -> None:
        self._names = memory.cell()
        self._count = count
        self._known: dict[str, int | None] = {}

    def place(self, name: str) -> int | None:
        """The column of a name, taken for it if need be; None when there is no room."""
        if name not in self._known:
            self._known[name] = self._take(name)
        return self._known[name]

    def names(self) -> list[str]:
        """The names, in the order of their columns."""
        return _names(self._names.read())

    def _take(self, name: str) -> int | None:
        def add(document: object) -> object | None:
            names = _names(document)
            return None if name in names or len(names) == self._count else [*names, name]

        try:
            self._names.update(add)
        except ValueError:  # names of many kilobytes
            return None
        names = self.names()
        return names.index(name) if name in names else None


def _names(document: object) -> list[str]:
    return document if isinstance(document, list) else []
