"""Fixtures of the tiers that boot real services; their `conftest.py` import them."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import support
from boot.harness import Ports, Service
from boot.load import Load

Boot = Callable[..., Service]

ANSWERS = {
    "service_name": "boot-lab",
    "archetype": "minimal",
    "cpu_limit": "2",
    "drain_seconds": "3",
}
LAB = Path(__file__).parent / "lab"


@pytest.fixture(scope="session")
def project(shared_folder: Path, render: Callable[..., Path]) -> Path:
    """An installed service with the lab's routes, which drains for 3 seconds."""

    def build(folder: Path) -> None:
        render(folder, ANSWERS)
        shutil.copytree(LAB, folder / "src/boot_lab", dirs_exist_ok=True)
        support.sync(folder)

    return support.build_once(shared_folder / "boot-lab", build)


@pytest.fixture(scope="session")
def ports() -> Iterator[Ports]:
    """Ports for this process, which may hold more than a thousand connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    ours = Ports()
    yield ours
    ours.give_back()


def console(service: Service) -> bool:
    """Whether the service logs for people."""
    return service.settings.get("LOG_FORMAT") == "console"


@contextmanager
def booting(project: Path, ports: Ports) -> Iterator[Boot]:
    """Start services; in the end kill them and check what they have said."""
    services: list[Service] = []

    def start(
        *,
        ready: bool = True,
        port: int = 0,
        management_port: int = 0,
        wrapper: Sequence[str] = (),
        **settings: str,
    ) -> Service:
        service = Service(
            project,
            port or ports.take(),
            management_port or ports.take(),
            settings,
            [*wrapper, str(project / ".venv/bin/gunicorn")],
        )
        services.append(service)
        if ready:
            service.wait_ready()
            if not console(service):
                service.wait_all_accept()
        return service

    try:
        yield start
    finally:
        for service in services:
            service.kill()
            # Shown by pytest when the test fails.
            print(f"--- pid {service.pid}, exit code {service.exit_code}\n{service.tail()}")  # noqa: T201
    for service in services:
        if not console(service):
            service.logs()  # every line parses, from boot to exit, whatever the test was about


@pytest.fixture
def boot(project: Path, ports: Ports) -> Iterator[Boot]:
    """Start a service with these settings, and wait until all of its workers accept."""
    with booting(project, ports) as start:
        yield start


@pytest.fixture(scope="module")
def boot_once(project: Path, ports: Ports) -> Iterator[Boot]:
    """As `boot`, for a service that the tests of a module share."""
    with booting(project, ports) as start:
        yield start


Lossless = Callable[..., None]


@pytest.fixture
def lossless(record_property: Callable[[str, object], None]) -> Lossless:
    """Assert that a load lost nothing (or at most so many); the figures go to the summary."""

    def check(load: Load, *, at_least: int = 0, at_most_lost: int = 0) -> None:
        record_property("load", f"{load.tally.lost} lost of {load.tally.requests}")
        assert load.tally.requests >= at_least
        assert load.tally.lost <= at_most_lost, str(load.tally)

    return check
