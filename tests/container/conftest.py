"""Fixtures of this tier: those of the boot tier, an engine, and images of generated services."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import support
from boot.conftest import pytest_terminal_summary
from boot.fixtures import ANSWERS, LAB, boot, lossless, ports, project
from container.engine import MB, Engine

__all__ = ["boot", "lossless", "ports", "project", "pytest_terminal_summary"]


@dataclass(frozen=True)
class Built:
    """A project, its image and the log of the build."""

    project: Path
    tag: str
    base: str
    options: tuple[str, ...]
    log: str


BuildImage = Callable[..., Built]


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The container engine of this machine."""
    return Engine()


@pytest.fixture(scope="session")
def build_image(
    engine: Engine, render: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> BuildImage:
    """Render a service, lock it, and build its image as its own Dockerfile says."""
    folder = tmp_path_factory.mktemp("images")
    stand_ins = folder / "stand-ins"
    stand_ins.mkdir()

    def build(name: str, answers: support.Answers | None = None, *, lab: bool = False) -> Built:
        project = render(folder / name, answers)
        if lab:
            shutil.copytree(LAB, project / "src/boot_lab", dirs_exist_ok=True)
        support.run(["uv", "lock", "--quiet"], project)
        slim = (answers or {}).get("base_image") == "slim"
        debian = engine.debian(stand_ins)
        base = debian if slim else engine.distroless(stand_ins)
        options = (f"--build-arg=BUILD_IMAGE={debian}", f"--build-arg=RUNTIME_IMAGE={base}")
        tag = f"ballast-test/{name}:latest"
        log = engine.build(project, tag, "--build-arg=GIT_REVISION=0123abc", *options)
        return Built(project, tag, base, options, log)

    return build


@pytest.fixture(scope="session")
def lab_image(build_image: BuildImage) -> Built:
    """The lab's service in an image: it drains for 3 seconds."""
    return build_image("boot-lab", {**ANSWERS, "deploy": "[compose]"}, lab=True)


@pytest.fixture(scope="session")
def default_image(build_image: BuildImage) -> Built:
    """The default service's image."""
    return build_image("payment-api")


Sizes = Callable[[Built], tuple[float, float]]


@pytest.fixture
def sizes(engine: Engine, record_property: Callable[[str, object], None]) -> Sizes:
    """Print an image's layers; returns the size of its own ones, and of all, in MB."""

    def show(image: Built) -> tuple[float, float]:
        command = ["make", "image-size", f"DOCKER={engine.program}", f"IMAGE={image.tag}"]
        table = support.run(command, image.project).stdout
        print(table)  # noqa: T201 - of a failed test
        own, whole = (
            float(next(line for line in table.splitlines() if name in line).split()[0])
            for name in ("own layers", "in all")
        )
        assert whole == pytest.approx(engine.size(image.tag) / MB, abs=0.2)
        record_property("size", f"{own} MB above the base, {whole} MB in all")
        return own, whole

    return show
