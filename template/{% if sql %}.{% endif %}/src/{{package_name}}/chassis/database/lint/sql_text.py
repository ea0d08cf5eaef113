"""SQL, cut into statements and each of those into words; the comments say what comes next.

No parser: enough of PostgreSQL's lexical structure not to be fooled by what stands in a string.
https://www.postgresql.org/docs/current/sql-syntax-lexical.html
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<comment>--[^\n]*|/\*.*?\*/)
  | (?P<string>(?:[eE]|[uU]&|[bBxX])?'(?:[^'\\]|''|\\.)*')
  | (?P<dollar>\$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$)
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<word>[A-Za-z_][A-Za-z0-9_$]*|[0-9][0-9.eE]*)
  | (?P<sign>::|[^\s])
    """,
    re.VERBOSE | re.DOTALL,
)

STRING, ZERO = "'...'", "'0'"
"""What stands for each string: what it holds is no SQL. But nothing at all means something."""

_ZERO = re.compile(r"'\s*[-+]?0[0.]*\s*[A-Za-z]*\s*'")

_SETS = "SET_CONFIG"
"""The function that sets what its first argument names: there a string isn't only data."""


_PLAIN = {'"set_config"': _SETS, '"lock_timeout"': "LOCK_TIMEOUT"}
"""What means the same in quotes, and has to be seen."""


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment, without its marks."""

    text: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as words: bare ones in upper case, quoted ones in their quotes."""

    words: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.words)


def read(text: str) -> Iterator[Comment | Statement]:
    """The comments and the statements of a script, in their order."""
    words: list[str] = []
    for found in _TOKEN.finditer(text):
        piece = found[0]
        if found["comment"] is not None:
            yield Comment(piece.strip("-/* "))
        elif piece == ";":
            if words:
                yield Statement(tuple(words))
            words = []
        elif found["string"] is not None or found["dollar"] is not None:
            words.append(_shown(piece, words))
        elif found["quoted"] is not None:
            words.append(_PLAIN.get(piece, piece))
        else:
            words.append(piece.upper())
    if words:
        yield Statement(tuple(words))


def _shown(string: str, before: list[str]) -> str:
    if before[-2:] == [_SETS, "("]:
        return string.lower()
    return ZERO if _ZERO.fullmatch(string) else STRING


def parts(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """What stands between commas that aren't in parentheses."""
    depth, part = 0, list[str]()
    for word in words:
        depth += (word == "(") - (word == ")")
        if word == "," and depth == 0:
            yield tuple(part)
            part = []
        else:
            part.append(word)
    yield tuple(part)


def name(words: tuple[str, ...]) -> tuple[str, int]:
    """The name that these words begin with, schema and all, and how many words it takes."""
    count = 1
    while len(words) > count + 1 and words[count] == ".":
        count += 2
    plain = (word[1:-1] if word.startswith('"') else word.lower() for word in words[:count])
    return "".join(plain), count
