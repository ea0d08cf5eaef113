"""What a service's runbook has one type, ask Prometheus and look for."""

import re
import subprocess
from pathlib import Path

import support

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`]+)`")
_REMARK = re.compile(r"   # .*$")


def read(project: Path) -> str:
    """The runbook of a rendered service."""
    return (project / "docs/runbook.md").read_text("utf-8")


def first(page: str) -> list[str]:
    """What is typed once, at the beginning: the lines of the first block."""
    return _lines(_BLOCK.findall(page)[0])


def typed(page: str) -> list[str]:
    """What is typed after that, in the order of the page, each once."""
    later = [line for block in _BLOCK.findall(page)[1:] for line in _lines(block)]
    inline = [
        it for it in _inline(page) if it.startswith(("curl ", "logs |", "kubectl ", "docker "))
    ]
    return list(dict.fromkeys([*later, *inline]))


def queries(page: str) -> list[str]:
    """What Prometheus is asked."""
    return [each for each in _inline(page) if '{job="' in each]


def prelude(page: str, **instead: str) -> str:
    """The first block for a shell, with other values for some of its variables and functions."""
    lines = []
    for line in first(page):
        name = re.split(r"=|\(\)", line)[0]
        if name in instead:
            parts = (
                f"() {{ {instead[name]}; }}"
                if line.startswith(f"{name}()")
                else f"={instead[name]}"
            )
            lines.append(name + parts)
        elif re.match(r"\w+(=|\(\))", line):
            lines.append(line)
    return "\n".join(lines)


def run(lines: str, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Type a command in a shell that has been through these lines."""
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail\n{lines}\n{command}"],
        env=support.clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def _lines(block: str) -> list[str]:
    whole = block.replace("\n    ", " ")  # what is indented goes on
    return [_REMARK.sub("", line).rstrip() for line in whole.splitlines()]


def _inline(page: str) -> list[str]:
    return [" ".join(each.split()) for each in _INLINE.findall(_FENCED.sub("", page))]
