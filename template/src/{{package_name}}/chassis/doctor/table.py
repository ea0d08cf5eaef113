"""The result as a person reads it: a table, and below it what is wrong, why, and how to mend it."""

import os
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TextIO

from .item import Finding, Item, Result, Status

_COLOURS = {Status.PASS: "32", Status.NOTE: "33", Status.FAIL: "1;31", Status.SKIPPED: "2"}
_BOLD, _DIM = "1", "2"
_SHOWN = {Status.PASS: "pass", Status.NOTE: "note", Status.FAIL: "FAIL", Status.SKIPPED: "-"}


class Style:
    """Colours, where they are wanted; `width` is that of a line."""

    def __init__(self, *, colour: bool, width: int) -> None:
        self._colour = colour
        self.width = max(60, min(width, 120))

    @classmethod
    def of(cls, stream: TextIO, environment: Mapping[str, str]) -> "Style":
        """Colours on a terminal, unless NO_COLOR is set (https://no-color.org)."""
        terminal = stream.isatty() and environment.get("TERM") != "dumb"
        try:
            width = os.get_terminal_size(stream.fileno()).columns if terminal else 100
        except OSError:
            width = 100
        return cls(colour=terminal and not environment.get("NO_COLOR"), width=width)

    def paint(self, text: str, code: str) -> str:
        """A text in a colour."""
        return f"\033[{code}m{text}\033[0m" if self._colour and text else text


def table(results: Sequence[Result], heading: str, style: Style, *, quiet: bool = False) -> str:
    """All of it, as text; `quiet` leaves the table itself out."""
    lines = [style.paint(heading, _BOLD)]
    width = max(len(result.item.id) for result in results)
    for group, members in groupby(results, key=lambda result: result.item.group):
        if not quiet:
            lines += ["", style.paint(group, _BOLD)]
            lines += [_row(result, width, style) for result in members]
    for result in results:
        if result.status in (Status.NOTE, Status.FAIL):
            lines += ["", *_detail(result, style)]
    lines += [*([""] if len(lines) > 1 else []), summary(results, style)]
    return "\n".join(lines) + "\n"


def _row(result: Result, width: int, style: Style) -> str:
    status = style.paint(f"{_SHOWN[result.status]:4}", _COLOURS[result.status])
    said = textwrap.shorten(_said(result), style.width - width - 10, placeholder=" ...")
    return f"  {status}  {result.item.id:{width}}  {said}"


def _said(result: Result) -> str:
    """What was found, on one line; where it is a fault, more follows below the table."""
    said = list(dict.fromkeys(finding.text for finding in result.worst))
    if not said:
        return "not known, as the service doesn't start"
    if result.status in (Status.FAIL, Status.NOTE) and len(said) > 1:
        return f"{len(said)} findings: {said[0]}"
    return "; ".join(said)


def _detail(result: Result, style: Style) -> Iterator[str]:
    status = style.paint(_SHOWN[result.status], _COLOURS[result.status])
    yield f"{status}  {style.paint(result.item.id, _BOLD)}: {result.item.title}"
    for (place, text), targets in _places(result.worst).items():
        where = f" ({', '.join(targets)})" if targets else ""
        if place:
            yield "      " + style.paint(place, "36") + style.paint(where, _DIM)
            yield from _wrapped(text, "        ", style)
        else:
            yield from _wrapped(f"{text}{where}", "      ", style)
    yield from _wrapped(result.item.why, "      why   ", style)
    yield from _wrapped(result.item.mend, "      mend  ", style)


def _places(findings: Iterable[Finding]) -> dict[tuple[str, str], list[str]]:
    """The environments that each finding is about: the same line is often that of several."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in findings:
        key = (str(one.place) if one.place else "", one.text)
        found.setdefault(key, []).extend([one.target] if one.target else [])
    return found


def _wrapped(text: str, prefix: str, style: Style) -> Iterator[str]:
    yield from textwrap.wrap(
        text,
        style.width,
        initial_indent=prefix,
        subsequent_indent=" " * len(prefix),
        break_long_words=False,
        break_on_hyphens=False,
    )


def summary(results: Sequence[Result], style: Style) -> str:
    """The last line: how many of each."""
    parts = []
    for status, one, many in (
        (Status.PASS, "pass", "pass"),
        (Status.NOTE, "note", "notes"),
        (Status.FAIL, "fail", "fail"),
        (Status.SKIPPED, "doesn't apply", "don't apply"),
    ):
        if count := sum(result.status is status for result in results):
            parts.append(style.paint(f"{count} {one if count == 1 else many}", _COLOURS[status]))
    return f"{len(results)} items: {', '.join(parts)}"


def listing(items: Sequence[Item], style: Style) -> str:
    """The items by group, without looking at anything."""
    lines: list[str] = []
    width = max(len(item.id) for item in items)
    for group, members in groupby(items, key=lambda item: item.group):
        lines += ["", style.paint(group, _BOLD)] if lines else [style.paint(group, _BOLD)]
        lines += [f"  {item.id:{width}}  {item.title}" for item in members]
    return "\n".join(lines) + "\n"


def explanation(result: Result, style: Style) -> str:
    """One item at length, with everything that was found, good or bad."""
    item = result.item
    status = style.paint(_SHOWN[result.status], _COLOURS[result.status])
    lines = [f"{status}  {style.paint(item.id, _BOLD)}: {item.title}", ""]
    lines += _wrapped(item.why, "  why   ", style)
    lines += _wrapped(item.mend, "  mend  ", style)
    lines.append("")
    for one in result.findings:
        where = " ".join(
            filter(None, [str(one.place or ""), f"({one.target})" if one.target else ""])
        )
        shown = style.paint(f"{_SHOWN[one.status]:4}", _COLOURS[one.status])
        lines.append(f"  {shown}  {one.text}{f'  {where}' if where else ''}")
    return "\n".join(lines) + "\n"
