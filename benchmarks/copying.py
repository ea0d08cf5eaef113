"""P9: how long it takes to make a service, and to update one."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import support

from .result import Bars, Figure, Goal, Result, Spread, at_most
from .rig import Rig
from .surroundings import program

TITLE = "Copier"

_NEXT = "v1.1.0"
_CHANGE = "# The next release has this line.\n"


def measure(rig: Rig) -> Result:
    """`copier copy` of this template and of an empty one, and `copier update`, in turns."""
    template = rig.template()
    empty = rig.folder / "empty"
    empty.mkdir()
    (empty / "copier.yml").write_text("_subdirectory: template\n")
    (empty / "template").mkdir()
    (empty / "template/README.md").write_text("Nothing.\n")
    support.commit_all(empty, "An empty template", support.FIRST_TAG)

    plain = rig.folder / "plain"
    support.render(template, plain / "template")
    (plain / "template/.copier-answers.yml").unlink()
    (plain / "copier.yml").write_text("_subdirectory: template\n")
    support.commit_all(plain, "The same files, without a question", support.FIRST_TAG)
    files = sum(file.is_file() for file in (plain / "template").rglob("*"))

    # A release of its own, so that the other measures' template stays as it is.
    released = rig.folder / "released"
    support.run(["git", "clone", "--quiet", str(template), str(released)], rig.folder)
    service = support.render(released, rig.folder / "updated")
    support.commit_all(service, "A new service", "made")
    changed = released / "template/src/{{package_name}}/chassis/resources.py"
    changed.write_text(changed.read_text("utf-8") + _CHANGE, "utf-8")
    support.commit_all(released, "The next release", _NEXT)

    seconds = rig.interleave(
        {
            "copy": _copy(rig, template),
            "copy, empty template": _copy(rig, empty),
            "copy, the same files": _copy(rig, plain),
            "update": _update(service),
        }
    )

    def over(name: str, side: str, beside: str, goal: Goal | None = None) -> Figure:
        return Figure.of(name, "s", seconds, (side, beside), goal)

    return Result(
        [
            over(
                "`copier copy` over that of an empty template",
                "copy",
                "copy, empty template",
                at_most(2.5),
            ),
            over(
                f"the same over that of a template of the same {files} files, without questions",
                "copy",
                "copy, the same files",
            ),
            over("`copier update` over `copier copy`", "update", "copy", at_most(4.0)),
        ],
        [
            Bars(
                "copying",
                "Making and updating a service",
                "over `copier copy` of an empty template",
                {
                    side: Spread.ratio(of, seconds["copy, empty template"])
                    for side, of in seconds.items()
                },
            )
        ],
        {"answers": "the defaults"},
        {
            "Python": platform.python_version(),
            **{name: version(name) for name in ("copier", "jinja2")},
            "git": program("git"),
        },
    )


def _copier(*arguments: str | Path, cwd: Path) -> float:
    command = [sys.executable, "-m", "copier", *map(str, arguments)]
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=cwd, env=support.clean_environment(), capture_output=True, check=False
    )
    took = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}\n{done.stderr.decode()}")
    return took


def _copy(rig: Rig, template: Path) -> Callable[[], float]:
    made = iter(range(1000))

    def run() -> float:
        target = rig.folder / f"copy-{template.name}-{next(made)}"
        return _copier("copy", "--quiet", "--defaults", template, target, cwd=rig.folder)

    return run


def _update(service: Path) -> Callable[[], float]:
    def run() -> float:
        support.git(service, "reset", "--quiet", "--hard", "made")
        support.git(service, "clean", "--quiet", "-fdx")
        took = _copier("update", "--quiet", "--defaults", cwd=service)
        changed = next(service.glob("src/*/chassis/resources.py"))
        if not changed.read_text("utf-8").endswith(_CHANGE):
            raise RuntimeError("the update has changed nothing")
        return took

    return run
