"""Where something stands, so that a finding can name it."""

from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """A line of a file; the path is relative to the project, with `/`."""

    path: str
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class Files:
    """The files of a project. What is read is told by its path below the project."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def name(self, path: Path) -> str:
        """The path as it is shown."""
        resolved = path.resolve()
        inside = resolved.is_relative_to(self.root)
        return (resolved.relative_to(self.root) if inside else resolved).as_posix()

    def read(self, path: Path) -> str:
        """The text of a file. UnusableError when it can't be read."""
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UnusableError(f"{self.name(path)}: there is no such file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise UnusableError(f"{self.name(path)}: can't be read: {error}") from None


class UnusableError(Exception):
    """The input can't be examined at all; the message is one line."""
