r"""A Dockerfile, parsed: its stages, what each instruction says, and what stages inherit.

As much of https://docs.docker.com/reference/dockerfile/ as the checklist asks about: comments,
continuation by `\`, `ARG` and `ENV` with their substitution, stages, and both forms of commands.
Here-documents are told as unsupported.
"""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from .place import Place

_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::(?P<op>[-+])(?P<word>[^}]*))?\}|(?P<bare>\w+))")
_HEREDOC = re.compile(r"<<-?[\"']?[A-Za-z_]")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction on one logical line; the keyword is in upper case."""

    keyword: str
    rest: str
    place: Place
    flags: dict[str, str]
    """`--from=builder` and its like, without the dashes; one that is given twice has both."""

    @property
    def exec_form(self) -> list[str] | None:
        """The words of `["a", "b"]`; None for the shell form."""
        try:
            words = json.loads(self.rest)
        except ValueError:
            return None
        return words if isinstance(words, list) and all(isinstance(w, str) for w in words) else None


@dataclass(slots=True)
class Stage:
    """What stands below one FROM."""

    place: Place
    base: str
    """The image or the earlier stage, with variables resolved."""
    name: str | None
    parent: "Stage | None" = None
    """The stage that it is built from, if that is one."""
    instructions: list[Instruction] = field(default_factory=list)
    arguments: dict[str, str] = field(default_factory=dict)

    def lineage(self) -> "list[Stage]":
        """The stages whose layers it consists of, the first one first."""
        return [*(self.parent.lineage() if self.parent else []), self]

    def layers(self) -> Iterator[Instruction]:
        """Every instruction that made it, its parents' included, in order."""
        for stage in self.lineage():
            yield from stage.instructions

    def last(self, *keywords: str) -> Instruction | None:
        """The instruction in force: the last of these, its parents' included."""
        found = [one for one in self.layers() if one.keyword in keywords]
        return found[-1] if found else None

    def environment(self) -> dict[str, tuple[str, Place]]:
        """The variables that ENV sets, with the line of each."""
        found: dict[str, tuple[str, Place]] = {}
        for stage in self.lineage():
            for one in stage.instructions:
                if one.keyword == "ENV":
                    known = {**stage.arguments, **{key: value for key, (value, _) in found.items()}}
                    for name, value in assignments(one.rest):
                        found[name] = (substitute(value, known), one.place)
        return found

    @property
    def image(self) -> str:
        """The image from elsewhere that it begins with."""
        return self.lineage()[0].base


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A file with its stages; `unsupported` are lines that this reading can't do justice to."""

    stages: list[Stage]
    unsupported: list[Place]

    @property
    def final(self) -> Stage:
        """The stage that becomes the image."""
        return self.stages[-1]


def parse(text: str, name: str) -> Dockerfile:
    """Read a Dockerfile. ValueError when it has no stage."""
    stages: list[Stage] = []
    unsupported: list[Place] = []
    global_arguments: dict[str, str] = {}
    for one in _instructions(text, name):
        if _HEREDOC.search(one.rest) and one.keyword in ("RUN", "COPY", "ADD"):
            unsupported.append(one.place)
        if one.keyword == "FROM":
            stages.append(_stage(one, stages, global_arguments))
        elif one.keyword == "ARG":
            _declare(one, stages, global_arguments)
        if stages and one.keyword != "FROM":
            stages[-1].instructions.append(one)
    if not stages:
        raise ValueError(f"{name}: there is no FROM in it")
    return Dockerfile(stages, unsupported)


def _stage(one: Instruction, stages: list[Stage], arguments: dict[str, str]) -> Stage:
    words = substitute(one.rest, arguments).split()
    base = words[0] if words else ""
    name = words[2] if len(words) == 3 and words[1].upper() == "AS" else None
    parent = next((stage for stage in stages if stage.name and stage.name == base), None)
    inherited = dict(parent.arguments) if parent else {}
    return Stage(one.place, base, name, parent, arguments=inherited)


def _declare(one: Instruction, stages: list[Stage], outside: dict[str, str]) -> None:
    known = stages[-1].arguments if stages else outside
    for word in _words(one.rest):
        name, equals, value = word.partition("=")
        # Named without a value within a stage, it takes the one from before the first FROM.
        known[name] = substitute(value, {**outside, **known}) if equals else outside.get(name, "")


def assignments(rest: str) -> Iterator[tuple[str, str]]:
    """The names and values of ENV and LABEL, in their modern and their old form."""
    words = _words(rest)
    if words and "=" not in words[0]:
        yield words[0], rest.strip().partition(" ")[2].strip()
        return
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            yield name, value


def substitute(text: str, known: dict[str, str]) -> str:
    """Put in variables; one that isn't known is empty, as Docker has it."""

    def value(match: re.Match[str]) -> str:
        found = known.get(match["braced"] or match["bare"], "")
        if match["op"] == "-":
            return found or match["word"]
        if match["op"] == "+":
            return match["word"] if found else ""
        return found

    return _VARIABLE.sub(value, text)


def _instructions(text: str, name: str) -> Iterator[Instruction]:
    logical, began = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or (not line.strip() and not logical):
            continue
        if not logical:
            began = number
        if line.rstrip().endswith("\\"):
            logical += line.rstrip()[:-1] + " "
            continue
        yield _instruction(logical + line, Place(name, began))
        logical = ""
    if logical.strip():
        yield _instruction(logical, Place(name, began))


def _instruction(line: str, place: Place) -> Instruction:
    keyword, _, rest = line.strip().partition(" ")
    rest = rest.strip()
    flags: dict[str, str] = {}
    # A health check's own flags stand before its command, and are flags all the same.
    while match := re.match(r"--([\w-]+)(?:=(\S*))?\s+", rest):
        flags[match[1]] = f"{flags.get(match[1], '')} {match[2] or ''}".strip()
        rest = rest[match.end() :]
    return Instruction(keyword.upper(), rest, place, flags)


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an unbalanced quote: Docker will say so
        return text.split()
