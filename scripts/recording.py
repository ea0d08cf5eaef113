"""Record `make demo` in a terminal, and draw it: `make recording`.

    .venv/bin/python scripts/recording.py [--draw | --check]

The recording is an asciicast (https://docs.asciinema.org/manual/asciicast/v2/), which any player of
asciinema plays; the drawing is an SVG that plays it once, without a script, and shows its end where
motion isn't wanted. With `--draw` the recording that is there is drawn again; with `--check`
nothing is written, and it fails if the drawing isn't that of the recording.

Only what the demo writes is understood: lines with colours, one below the other.
"""

import errno
import fcntl
import json
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
CAST = REPOSITORY / "docs/recording/demo.cast"
DRAWING = CAST.with_suffix(".svg")

COLUMNS, ROWS = 110, 22
COMMAND = "make demo"
STOP_AFTER = "Its log"
STOP_SECONDS = 4.0
"""How long the log is shown before Ctrl-C."""
ENDS_WITH = "Stopped, with exit code 0"
ENDS_WITHIN = 300.0

LONGEST_PAUSE = 2.5
"""Of the drawing, in seconds; nobody wants to watch an installation."""
TYPED_SECONDS = 0.06

LINE, GLYPH, MARGIN = 18, 7.23, 14
"""Of the drawing, in pixels: the height of a line, the width of a character, and what is around."""

TITLE = "make demo"
DESCRIPTION = (
    "A terminal: make demo scaffolds a service, installs it, makes its database and starts it; a "
    "payment is taken, and taken once when it is sent again; the log is shown, and after Ctrl-C "
    "the service drains and ends with exit code 0. The README has the same as text."
)

_SGR = re.compile(r"\x1b\[([\d;]*)m")
_COLOURS = {"31": "red", "32": "green", "33": "yellow", "34": "blue", "35": "magenta", "36": "cyan"}


class Piece(NamedTuple):
    """A part of a line that looks alike."""

    text: str
    look: str


@dataclass(frozen=True)
class Line:
    """A line, and when it appears."""

    at: float
    pieces: Sequence[Piece]


def record() -> list[tuple[float, str]]:
    """Run the demo in a terminal, stop it by Ctrl-C; return what it wrote, and when."""
    if (REPOSITORY / "demo").exists():
        sys.exit("demo/ is there: delete it first, so that the whole of it is shown")
    left_out = ("MAKE", "MFLAGS", "NO_COLOR", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    os.chdir(REPOSITORY)
    process, terminal = pty.fork()
    if not process:
        name, *arguments = COMMAND.split()
        os.execvpe(name, [name, *arguments], {**kept, "TERM": "xterm-256color"})  # noqa: S606
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    written, began, stop_at = [], time.monotonic(), float("inf")
    for moment, text in _read(terminal, began):
        written.append((moment, text))
        if STOP_AFTER in text and stop_at == float("inf"):
            stop_at = moment + STOP_SECONDS
        if moment > stop_at:
            os.write(terminal, b"\x03")
            stop_at = ENDS_WITHIN
    os.waitpid(process, 0)  # make's own status is that it was interrupted
    if ENDS_WITH not in written[-1][1]:
        sys.exit("".join(text for _, text in written))
    return [(moment, text) for moment, text in written if text]


def _read(terminal: int, began: float) -> Iterator[tuple[float, str]]:
    """What is written, and an empty text every now and then, until the other side is closed."""
    while (moment := time.monotonic() - began) < ENDS_WITHIN:
        if not select.select([terminal], [], [], 0.2)[0]:
            yield moment, ""
            continue
        try:
            data = os.read(terminal, 65536)
        except OSError as error:  # how Linux tells that nobody has it open any more
            if error.errno == errno.EIO:
                return
            raise
        if not data:
            return
        yield time.monotonic() - began, data.decode("utf-8", "replace")
    sys.exit(f"{COMMAND} doesn't end")


def cast(written: Sequence[tuple[float, str]]) -> str:
    """An asciicast of it, with the command before it as somebody typed it."""
    head = {"version": 2, "width": COLUMNS, "height": ROWS, "title": TITLE}
    typed = [(number * TYPED_SECONDS, key) for number, key in enumerate(f"$ {COMMAND}")]
    began = len(typed) * TYPED_SECONDS + 0.5
    events = [*typed, (began, "\r\n"), *((began + at, text) for at, text in written)]
    lines = [json.dumps(head), *(json.dumps([round(at, 3), "o", text]) for at, text in events)]
    return "\n".join(lines) + "\n"


def lines_of(text: str) -> list[Line]:
    """The lines of an asciicast; pauses are cut short."""
    events = [json.loads(line) for line in text.splitlines()[1:]]
    found: list[tuple[float, str]] = [(0.0, "")]
    now = last = 0.0
    for at, _, written in events:
        now += min(at - last, LONGEST_PAUSE)
        last = at
        first, *others = written.replace("\r", "").split("\n")
        found[-1] = (found[-1][0] if found[-1][1] else now, found[-1][1] + first)
        found += [(now, other) for other in others]
    while found and not found[-1][1]:
        found.pop()
    return [Line(at, pieces(written)) for at, written in found]


def pieces(written: str) -> list[Piece]:
    """A line's parts by their looks, no longer than the terminal is wide."""
    looks: list[str] = []
    found: list[Piece] = []
    room = COLUMNS
    for number, part in enumerate(_SGR.split(written)):
        if number % 2:
            looks = _after(looks, part)
        elif part and room > 0:
            shown = part if len(part) <= room else part[: room - 1] + "\N{HORIZONTAL ELLIPSIS}"
            room -= len(shown)
            found.append(Piece(shown, " ".join(looks)))
    return found


def _after(looks: list[str], codes: str) -> list[str]:
    """The looks after these codes."""
    for code in codes.split(";") or [""]:
        if code in ("", "0"):
            looks = []
        elif code in ("1", "2"):
            looks = [*looks, "bold" if code == "1" else "dim"]
        elif code in _COLOURS:
            looks = [*(look for look in looks if look not in _COLOURS.values()), _COLOURS[code]]
    return looks


def draw(lines: Sequence[Line]) -> str:
    """The SVG."""
    width, height = round(COLUMNS * GLYPH + 2 * MARGIN), ROWS * LINE + 2 * MARGIN
    whole = lines[-1].at + LONGEST_PAUSE
    rows = "\n".join(_row(number, line) for number, line in enumerate(lines) if line.pieces)
    end = max(0, len(lines) - ROWS) * LINE
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    said = 'role="img" aria-labelledby="title desc"'
    return f"""<svg xmlns="http://www.w3.org/2000/svg" {size} {said}>
  <!-- Made by `make recording`. -->
  <title id="title">{TITLE}</title>
  <desc id="desc">{DESCRIPTION}</desc>
  <style>
    text {{
      font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
      white-space: pre;
      fill: #d7dce3;
      animation: appear 0.01s both;
    }}
    .bold {{ font-weight: 600; fill: #ffffff; }}
    .dim {{ fill: #8b949e; }}
    .red {{ fill: #ff8a80; }}
    .green {{ fill: #7ee2a0; }}
    .yellow {{ fill: #f0c674; }}
    .blue {{ fill: #82b1ff; }}
    .magenta {{ fill: #d7a6ff; }}
    .cyan {{ fill: #6fd3e0; }}
    #lines {{ animation: scroll {whole:.2f}s step-end both; }}
    @keyframes appear {{ from {{ visibility: hidden; }} to {{ visibility: visible; }} }}
    @keyframes scroll {{
{_scrolling(lines, whole)}
      to {{ transform: translateY(-{end}px); }}
    }}
    @media (prefers-reduced-motion: reduce) {{
      text {{ animation: none; }}
      #lines {{ animation: none; transform: translateY(-{end}px); }}
    }}
  </style>
  <clipPath id="screen"><rect width="{width - 2 * MARGIN}" height="{ROWS * LINE}"/></clipPath>
  <rect width="{width}" height="{height}" rx="8" fill="#11151c"/>
  <g transform="translate({MARGIN} {MARGIN})" clip-path="url(#screen)"><g id="lines">
{rows}
  </g></g>
</svg>
"""


def _scrolling(lines: Sequence[Line], whole: float) -> str:
    """Where the lines stand at each moment at which one more appears below the last row."""
    beyond = {line.at: number - ROWS + 1 for number, line in enumerate(lines) if number >= ROWS}
    return "\n".join(
        f"      {100 * at / whole:.3f}% {{ transform: translateY(-{count * LINE}px); }}"
        for at, count in beyond.items()
    )


def _row(number: int, line: Line) -> str:
    style = f"animation-delay:{line.at:.2f}s"
    return f'    <text y="{number * LINE + 13}" style="{style}">{_spans(line)}</text>'


def _spans(line: Line) -> str:
    return "".join(
        f'<tspan class="{piece.look}">{escape(piece.text, quote=False)}</tspan>'
        if piece.look
        else escape(piece.text, quote=False)
        for piece in line.pieces
    )


def main() -> int:
    """Record and draw, or check."""
    if "--check" in sys.argv:
        drawn = draw(lines_of(CAST.read_text("utf-8")))
        if DRAWING.read_text("utf-8") != drawn:
            print(f"{DRAWING.name} isn't the drawing of {CAST.name}: make recording")
            return 1
        return 0
    if "--draw" not in sys.argv:
        CAST.parent.mkdir(exist_ok=True)
        CAST.write_text(cast(record()), "utf-8")
    DRAWING.write_text(draw(lines_of(CAST.read_text("utf-8"))), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
