"""The commands of a RUN line, as far as the checklist asks about them."""

import re
import shlex
from collections.abc import Iterator

_SEPARATORS = {";", "&&", "||", "|", "&", "(", ")", "{", "}", "then", "do", "else", "!"}
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*")
_PREFIXES = {"sudo", "exec", "env", "time", "set", "if", "while"}


def commands(line: str) -> Iterator[list[str]]:
    """Yield the words of each simple command; quotes are gone, variables stay."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        words = re.split(r"\s+|(?=[;&|])", line)
    command: list[str] = []
    for word in [*words, ";"]:
        if word in _SEPARATORS or set(word) <= set(";&|()"):
            if stripped := _without_prefix(command):
                yield stripped
            command = []
        else:
            command.append(word)


def _without_prefix(command: list[str]) -> list[str]:
    while command and (command[0] in _PREFIXES or _ASSIGNMENT.fullmatch(command[0])):
        command = command[1:]
    return command


def installed(command: list[str]) -> list[str] | None:
    """The packages that a package manager is told to install; None for other commands."""
    name = command[0].rpartition("/")[2]
    rest = command[1:]
    verbs = {"apt-get": "install", "apt": "install", "apk": "add", "dnf": "install",
             "microdnf": "install", "yum": "install"}  # fmt: skip
    if name not in verbs or verbs[name] not in rest:
        return None
    return [word for word in rest if not word.startswith("-") and word != verbs[name]]


def is_pip_install(command: list[str]) -> bool:
    """Whether it is `pip install`, however pip is called."""
    program = command[0].rpartition("/")[2]
    if re.fullmatch(r"python[0-9.]*", program) and command[1:3] == ["-m", "pip"]:
        return "install" in command[3:]
    return bool(re.fullmatch(r"pip[0-9.]*", program)) and "install" in command[1:]
