"""What a page has one type into terminals, typed into terminals, and what is printed, compared.

A page's blocks of `console` are one session, in their order: a line that begins with `$ ` is typed,
the lines below it are what is printed then. Comments before a block, unseen by readers, say more:

    <!-- terminal: service -->  it belongs to another terminal, where a command may go on for ever;
                                a block there without a command waits for what is printed later on
    <!-- file: customers.py --> it is a file, in the folder that the session is in

In what is printed, `...` stands for anything, on a line of its own for any lines; in another
terminal other lines may come between.
Ids, moments, process ids, counts and the like are compared by their form; an id that a page shows
is put into the commands as the one that was printed in its place.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import support

_BLOCK = re.compile(
    r"(?:^<!-- (?P<what>terminal|file): (?P<name>\S+) -->\n\n)?"
    r"^```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")
_PROMPT = re.compile(r"^@(\d+)@ ", re.MULTILINE)
_ID = re.compile(r"01[0-9a-f]{6}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_COUNTS = ("answered", "different", "asked again", "payments", "replies", "events")
_CHANGING = {
    **{rf"\b{count}: \d+": rf"{count}: \d+" for count in _COUNTS},
    _ID.pattern: _ID.pattern,
    r"\b[0-9a-f]{32}\b": r"[0-9a-f]{32}",
    r"\d{4}-\d\d-\d\dT[\d:.]+Z": r"\d{4}-\d\d-\d\dT[\d:.]+Z",
    r"\b\d\d:\d\d:\d\d\.\d{3}\b": r"\d\d:\d\d:\d\d\.\d{3}",
    r"\(\d+\)|\bpid:\d+|\bslot=\d+|\brequests=\d+": r"\S+",
}


@dataclass(frozen=True)
class Step:
    """A command for a terminal, or nothing to type, and the lines that it prints."""

    terminal: str
    command: str | None
    printed: tuple[str, ...]


@dataclass(frozen=True)
class File:
    """A file that the page has one write."""

    name: str
    content: str


def steps(page: str) -> Iterator[Step | File]:
    """What a page has one do, in its order."""
    for block in _BLOCK.finditer(page):
        if block["what"] == "file":
            yield File(block["name"], block["code"])
        elif block["language"] == "console":
            terminal = block["name"] or ""
            before, *commands = re.split(r"^\$ ", block["code"], flags=re.MULTILINE)
            if before.strip():
                yield Step(terminal, None, tuple(before.splitlines()))
            for each in commands:
                command, *printed = each.splitlines()
                yield Step(terminal, command, tuple(printed))


def typed(page: Path, part: str) -> tuple[str, list[str]]:
    """The one command of a page that has this in it, and the lines that it prints."""
    found = [step for step in steps(page.read_text("utf-8")) if isinstance(step, Step)]
    (here,) = ((it.command, it.printed) for it in found if it.command and part in it.command)
    return here[0], list(here[1])


def pattern(line: str) -> re.Pattern[str]:
    """What a printed line has to look like; of blanks, there may be more or fewer."""
    found = ""
    for part in re.split(f"({'|'.join(_CHANGING)})|( +|\\.\\.\\.)", line.strip()):
        if not part:
            continue
        if part == "...":
            found += ".*"
        elif part.isspace():
            found += r"\s+"
        else:
            form = (form for known, form in _CHANGING.items() if re.fullmatch(known, part))
            found += next(form, re.escape(part))
    return re.compile(found)


def aligned(shown: Sequence[str], printed: Sequence[str]) -> list[tuple[str, str]]:
    """Each line that is shown, and the printed one that looks so; nothing else is printed.

    A line of `...` alone stands for any number of lines.
    """
    found = []
    rest = iter(printed)
    skipping = False
    for each in shown:
        if each.strip() == "...":
            skipping = True
            continue
        for line in rest:
            if pattern(each).fullmatch(line.strip()):
                found.append((each, line))
                break
            assert skipping, f"{each}\n{line}"
        else:
            raise AssertionError(f"{each!r} isn't printed. What is:\n" + "\n".join(printed))
        skipping = False
    assert skipping or not (more := list(rest)), f"printed, and not shown: {more}"
    return found


class Terminal:
    """A shell that somebody types into."""

    def __init__(self, folder: Path, environment: Mapping[str, str], columns: int) -> None:
        self._mine, its = pty.openpty()
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "--noediting"],
            cwd=folder,
            env={**environment, "PS1": "\n@$?@ ", "TERM": "xterm", "COLUMNS": str(columns)},
            stdin=its,
            stdout=its,
            stderr=its,
            start_new_session=True,
        )
        os.close(its)
        self._unread = ""
        self._more = threading.Condition()
        # Whoever looks elsewhere meanwhile still sees it scroll: nothing waits to be read.
        threading.Thread(target=self._read, daemon=True).start()
        self.type(f"stty -echo cols {columns}")
        self.until_prompt(10)
        self.until_prompt(10)

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self._mine, f"{line}\n".encode())

    def until_prompt(self, seconds: float) -> tuple[str, int]:
        """What is printed until the shell asks for more, and the command's exit code."""
        found = self._until(_PROMPT, seconds)
        printed = self._unread[: found.start()]
        self._drop(found.end())
        return printed, int(found[1])

    def until(self, line: re.Pattern[str], seconds: float) -> str:
        """The first line to come that looks so; what was before it is gone."""
        whole = re.compile(rf"^[ \t]*{line.pattern}[ \t]*\n", re.MULTILINE)
        found = self._until(whole, seconds)
        self._drop(found.end())
        return found[0]

    def _until(self, what: re.Pattern[str], seconds: float) -> re.Match[str]:
        with self._more:
            found = self._more.wait_for(lambda: what.search(self._unread), seconds)
        assert found, f"{what.pattern!r} is not printed. What is:\n{self._unread}"
        return found

    def _drop(self, until: int) -> None:
        with self._more:
            self._unread = self._unread[until:]

    def _read(self) -> None:
        with suppress(OSError):  # it was closed
            while new := os.read(self._mine, 65536):
                with self._more:
                    self._unread += _CONTROL.sub("", new.decode("utf-8", "replace"))
                    self._more.notify_all()

    def close(self) -> None:
        """End what runs there by Ctrl-C, and close the window."""
        with suppress(AssertionError):  # it is deaf
            os.write(self._mine, b"\x03")
            self.until_prompt(10)
        os.close(self._mine)
        self._shell.kill()
        self._shell.wait()


@dataclass
class Session:
    """Somebody who follows a page, in a folder of their own."""

    folder: Path
    instead: Mapping[str, str]
    """What is typed instead of what the page has: its placeholders, other ports."""
    environment: dict[str, str] = field(default_factory=support.clean_environment)
    seconds: float = 60
    """How long a command may take."""
    columns: int = 80
    """How wide the terminals are."""
    may_fail: bool = False
    """Whether commands may end with another code than 0: what is printed says so."""

    def __post_init__(self) -> None:
        self._terminals: dict[str, Terminal] = {}
        self._ids: dict[str, str] = {}
        self.seen: dict[str, str] = {}  # what was printed, by the page's line

    def follow(self, page: str) -> int:
        """Do all that a page says; return how many commands that were."""
        typed = 0
        for step in steps(page):
            if isinstance(step, File):
                (self.folder / step.name).write_text(self._as_typed(step.content), "utf-8")
                continue
            typed += step.command is not None
            if step.terminal:
                self._watch(step)
            else:
                self._compare(step)
        return typed

    def close(self) -> None:
        """Close all terminals."""
        for terminal in self._terminals.values():
            terminal.close()

    def _terminal(self, name: str) -> Terminal:
        if name not in self._terminals:
            self._terminals[name] = Terminal(self.folder, self.environment, self.columns)
        return self._terminals[name]

    def _as_typed(self, text: str) -> str:
        for old, new in {**self.instead, **self._ids}.items():
            text = text.replace(old, new)
        return text

    def _watch(self, step: Step) -> None:
        """Type into a terminal of its own, and wait for each line to come by."""
        terminal = self._terminal(step.terminal)
        if step.command is not None:
            terminal.type(self._as_typed(step.command))
        for line in step.printed:
            if line != "...":
                self.seen[line] = terminal.until(pattern(self._as_typed(line)), self.seconds)

    def _compare(self, step: Step) -> None:
        """Type a command, wait for its end, and compare all that it has printed."""
        terminal = self._terminal("")
        assert step.command is not None, f"nothing is typed that prints {step.printed}"
        terminal.type(self._as_typed(step.command))
        printed, code = terminal.until_prompt(self.seconds)
        assert code == 0 or self.may_fail, f"$ {step.command}\n{printed}"
        lines = [line for line in printed.splitlines() if line.strip()]
        expected = [self._as_typed(line) for line in step.printed if line.strip()]
        for shown, line in aligned(expected, lines):
            self.seen[shown] = line
            self._ids |= dict(zip(_ID.findall(shown), _ID.findall(line), strict=True))
