"""The command: `make doctor`, or `python -m <package>.chassis.doctor --help`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from . import examination, json_output, table
from .item import Item, Status
from .place import UnusableError
from .project import Foreign, Project
from .quantities import memory_argument, quantity

_PACKAGE = str(__package__).partition(".")[0]
_UNUSABLE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Examine and print. Returns 1 when an item fails, and 2 when nothing can be examined."""
    given = _parser().parse_args(arguments)
    style = table.Style.of(sys.stdout, os.environ)
    try:
        return _run(given, style)
    except UnusableError as error:
        sys.stderr.write(f"doctor: {error}\n")
        return _UNUSABLE
    except BrokenPipeError:  # `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(given: argparse.Namespace, style: table.Style) -> int:
    items = examination.FOREIGN if given.gunicorn else examination.ALL
    if given.list:
        sys.stdout.write(table.listing(items, style))
        return 0
    project = _foreign(given) if given.gunicorn else _own(given)
    wanted = [_named(given.explain)] if given.explain else items
    results = examination.examine(project, wanted)
    failed = any(result.status is Status.FAIL for result in results)
    if project.foreign is not None:
        _refuse_unreadable(project)
    if given.json:
        sys.stdout.write(json_output.document(results, project.service_name))
    elif given.explain:
        sys.stdout.write(table.explanation(results[0], style))
    else:
        sys.stdout.write(table.table(results, _heading(project), style, quiet=given.quiet))
    sys.stdout.flush()
    return int(failed)


def _own(given: argparse.Namespace) -> Project:
    root = Path(given.project)
    if not (root / "gunicorn.conf.py").is_file():
        raise UnusableError(f"{root}: there is no gunicorn.conf.py, so this is no service's folder")
    overlays = [Path(one) for one in given.overlay]
    return Project(root, package=_PACKAGE, overlays=overlays)


def _foreign(given: argparse.Namespace) -> Project:
    path = Path(given.gunicorn)
    if not path.is_file():
        raise UnusableError(f"{path}: there is no such file")
    if given.cpu is None or given.memory is None:
        raise UnusableError("--gunicorn needs --cpu and --memory: what the container may use")
    foreign = Foreign(
        gunicorn=path,
        cpu=given.cpu,
        memory_mib=given.memory,
        memory_per_worker_mib=given.memory_per_worker,
        workload=given.workload,
        termination_grace=given.termination_grace,
        python=given.python,
    )
    return Project(Path.cwd(), foreign=foreign)


def _refuse_unreadable(project: Project) -> None:
    for target in project.targets:
        if (error := project.evaluated(target).error) is not None:
            raise UnusableError(f"{project.gunicorn}: it can't be evaluated: {error}")


def _named(name: str) -> Item:
    for item in examination.ALL:
        if item.id == name:
            return item
    raise UnusableError(f"there is no item {name!r}; --list shows them")


def _heading(project: Project) -> str:
    if project.foreign is not None:
        told = project.foreign
        return f"{told.gunicorn} on {told.cpu:g} CPU and {told.memory_mib} MiB"
    names = [target.name for target in project.targets if target.name]
    return f"{project.service_name}: {', '.join(names) if names else 'by its answers'}"


def _cpu(text: str) -> float:
    value = quantity(text)
    if not value:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of CPUs, such as 2, 0.5 or 500m")
    return value


def _memory(text: str) -> int:
    value = memory_argument(text)
    if not value:
        raise argparse.ArgumentTypeError(f"{text!r} is no size, such as 2GiB or 512MiB")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="doctor",
        description="Examine this service: image, server, shutdown, health, secrets, limits.",
        epilog="Exit status: 0 without a failure, 1 with one, 2 when nothing can be examined.",
    )
    parser.add_argument(
        "--quiet", action="store_true", help="print what isn't as it should be, and the last line"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--list", action="store_true", help="list the items and end")
    parser.add_argument("--explain", metavar="ITEM", help="one item at length, with all it found")
    parser.add_argument(
        "--project", default=".", metavar="FOLDER", help="the service (default: this folder)"
    )
    parser.add_argument(
        "--overlay",
        action="append",
        default=[],
        metavar="FOLDER",
        help="an overlay that stands elsewhere; may be repeated",
    )
    foreign = parser.add_argument_group("a service that wasn't generated from the template")
    foreign.add_argument("--gunicorn", metavar="FILE", help="its gunicorn.conf.py")
    foreign.add_argument("--cpu", type=_cpu, help="the CPUs of its container: 2, 0.5, 500m")
    foreign.add_argument("--memory", type=_memory, help="the memory of its container: 2GiB, 512MiB")
    foreign.add_argument(
        "--memory-per-worker",
        type=_memory,
        default=150,
        metavar="SIZE",
        help="what a worker needs at its peak (default: 150 MiB)",
    )
    foreign.add_argument(
        "--workload", choices=["io", "cpu"], default="io", help="waiting for others, or computing"
    )
    foreign.add_argument(
        "--termination-grace",
        type=float,
        default=45,
        metavar="SECONDS",
        help="after which the platform kills it (default: 45; Kubernetes' own is 30)",
    )
    foreign.add_argument(
        "--python", metavar="PROGRAM", help="its interpreter, if the file imports from its packages"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
