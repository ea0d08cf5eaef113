"""P10: how large the image is, and how long it takes to build.

The base images are Debian packages, as in `tests/container`: what they hold is what the official
ones hold, but for the layout. "Pull size" is that of the layers, each compressed by gzip as a
registry keeps them.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import tarfile
import time
import zlib
from collections.abc import Callable
from typing import IO, cast

import support
from container.engine import MB, Engine

from .result import Bars, Figure, Result, Spread, at_most
from .rig import Rig

TITLE = "Image"

_TAG = "ballast-bench/payment-api:latest"
_LEVEL = 6
"""Of gzip, as engines push."""


def measure(rig: Rig) -> Result:
    """Build the default service's image from nothing, after a change of its code, and unchanged."""
    engine = Engine()
    stand_ins = rig.folder / "stand-ins"
    stand_ins.mkdir()
    base, small = engine.debian(stand_ins), engine.distroless(stand_ins)
    options = (f"--build-arg=BUILD_IMAGE={base}", f"--build-arg=RUNTIME_IMAGE={small}")
    project = support.render(rig.template(), rig.folder / "image")
    support.run(["uv", "lock", "--quiet"], project)

    def build(*more: str) -> float:
        began = time.perf_counter()
        engine.build(project, _TAG, *options, *more)
        return time.perf_counter() - began

    changes = iter(range(1000))

    def change() -> float:
        with (project / "src/payment_api/wiring.py").open("a") as source:
            source.write(f"# change {next(changes)}\n")
        return build()

    sides: dict[str, Callable[[], float]] = {
        "from nothing": lambda: build("--no-cache"),
        "code changed": change,
        "unchanged": build,
    }
    seconds = rig.interleave(sides, 1 if rig.quick else 3)
    whole, below = engine.size(_TAG) / MB, engine.size(small) / MB
    packed, packed_below = (_packed(engine, image) / MB for image in (_TAG, small))

    def size(name: str, value: float, bound: float | None, beside: str, other: float) -> Figure:
        goal = None if bound is None else at_most(bound)
        found = {name: [value], beside: [other]}
        return Figure.of(name, "MB", found, (name, beside), goal, "itself")

    return Result(
        [
            size("whole image", whole, 150, "base", below),
            size("the service's own layers", whole - below, 60, "whole image", whole),
            size("pull size", packed, None, "unpacked", whole),
            size("pull size of the own layers", packed - packed_below, None, "pull size", packed),
            *(
                Figure.of(
                    f"build, {side}, over one from nothing", "s", seconds, (side, "from nothing")
                )
                for side in ("code changed", "unchanged")
            ),
        ],
        [
            Bars(
                "image",
                "The image",
                "MB",
                {
                    "whole": Spread.of([whole]),
                    "own layers": Spread.of([whole - below]),
                    "pull size": Spread.of([packed]),
                    "own layers, packed": Spread.of([packed - packed_below]),
                },
            )
        ],
        {
            "answers": "the defaults",
            "base": "made of Debian packages",
            "from nothing": "base images are there, and uv's cache of packages is kept",
        },
        {"engine": engine("version", "--format", "{{.Server.Version}}")},
    )


def _packed(engine: Engine, image: str) -> int:
    """The bytes of all layers of an image, compressed."""
    with subprocess.Popen([engine.program, "save", image], stdout=subprocess.PIPE) as saving:
        sizes: dict[str, int] = {}
        layers: list[str] = []
        with tarfile.open(fileobj=cast("IO[bytes]", saving.stdout), mode="r|") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if file is None:
                    continue
                if member.name == "manifest.json":
                    layers = json.load(file)[0]["Layers"]
                else:
                    sizes[member.name] = _compressed(file)
    # One that is there twice is a link the second time, and is pulled once.
    return sum(sizes.get(layer, 0) for layer in layers)


def _compressed(file: IO[bytes]) -> int:
    """How many bytes are left of a file, which may be compressed already."""
    head = file.read(1 << 20)
    if head.startswith(b"\x1f\x8b"):
        head = gzip.decompress(head + file.read())
        return len(zlib.compress(head, _LEVEL))
    packer, size = zlib.compressobj(_LEVEL), 0
    while head:
        size += len(packer.compress(head))
        head = file.read(1 << 20)
    return size + len(packer.flush())
