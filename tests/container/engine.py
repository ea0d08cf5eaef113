"""A real container engine: images built as a user builds them, containers that are ended.

Where no registry is at hand, images of Debian packages stand in for the official ones; see
`images/`. They are made once and kept by the engine under `ballast-test/`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import support
from boot.harness import Answer, ask, eventually

IMAGES = Path(__file__).parent / "images"
DEBIAN = "ballast-test/debian:trixie"
DISTROLESS = "ballast-test/distroless:trixie"
OTHERS = "ballast-test/others:trixie"

HARDENED = (
    "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=12345",
    "--memory=512m", "--memory-swap=512m", "--cpus=1",
)  # fmt: skip

MB = 1_000_000


def program() -> str:
    """The client, which has to be able to build with BuildKit.

    Skips the test without one, or without an engine; fails it in CI.
    """
    support.require_engine("docker")
    # An older client brings BuildKit along; a newer one needs a plugin that may be missing.
    for path in filter(None, [shutil.which("docker"), "/usr/bin/docker"]):
        asked = (["info"], ["buildx", "version"]) if path != "/usr/bin/docker" else (["info"],)
        if all(_call([path, *words], check=False).returncode == 0 for words in asked):
            return path
    if os.environ.get("CI") == "true":
        pytest.fail("no container engine answers, and CI=true makes that a failure")
    pytest.skip("no container engine answers")


def _call(
    command: Sequence[str], *, check: bool = True, timeout: float = 280, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    if check and done.returncode != 0:
        pytest.fail(f"`{' '.join(command)}` ended with {done.returncode}\n{done.stdout[-4000:]}")
    return done


class Engine:
    """Builds and runs."""

    def __init__(self) -> None:
        self.program = program()

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """Run a command of the client; returns what it printed on both streams."""
        return _call([self.program, *arguments], check=check).stdout.strip()

    def has(self, image: str) -> bool:
        """Whether the image is there."""
        return bool(self("images", "--quiet", image))

    def build(self, context: Path, tag: str, *options: str, check: bool = True) -> str:
        """Build an image, and return the log."""
        # The host's network: a bridge's may have no way out where tests run.
        return self("build", "--network=host", "--tag", tag, *options, str(context), check=check)

    def size(self, image: str) -> int:
        """The size of all layers in bytes."""
        return int(self("image", "inspect", "--format", "{{.Size}}", image))

    # -- what stands in for the official images -----------------------------------------------

    def debian(self, folder: Path) -> str:
        """A small Debian with Python 3.13, for the builder and for `slim`."""
        if not self.has(DEBIAN):
            context = shutil.copytree(IMAGES / "debian", folder / "debian")
            bundle = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
            shutil.copy(bundle, context / "ca-certificates.crt")
            left_out = ("doc", "info", "locale", "man")
            _call(
                [
                    support.require_engine("mmdebstrap"),
                    "--quiet",
                    "--variant=minbase",
                    "--include=python3,python3-venv,ca-certificates",
                    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in left_out),
                    "trixie",
                    str(context / "debian.tar"),
                ]
            )
            self.build(context, DEBIAN)
        return DEBIAN

    def distroless(self, folder: Path) -> str:
        """Python and its libraries alone."""
        options = f"--build-arg=BUILD_IMAGE={self.debian(folder)}"
        self.build(IMAGES / "distroless", DISTROLESS, options)
        return DISTROLESS

    def others(self, folder: Path) -> str:
        """The image of nginx, PostgreSQL, Redis and Prometheus."""
        options = f"--build-arg=DEBIAN_IMAGE={self.debian(folder)}"
        self.build(IMAGES / "others", OTHERS, options)
        return OTHERS

    @contextmanager
    def run(self, image: str, *options: str) -> Iterator[Container]:
        """Start a container with its ports on loopback; it is gone when the block ends."""
        ports = ("--publish=127.0.0.1::8000", "--publish=127.0.0.1::9000")
        name = f"ballast-test-{uuid.uuid4().hex[:12]}"
        self("run", "--detach", f"--name={name}", *ports, *options, image)
        try:
            yield Container(self, name)
        finally:
            print(self("logs", "--tail=20", name, check=False))  # noqa: T201 - of a failed test
            self("rm", "--force", "--volumes", name)


class Container:
    """A running container."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name
        self.port = self._port(8000)
        self.management_port = self._port(9000)

    def _port(self, inside: int) -> int:
        return int(self.engine("port", self.name, f"{inside}/tcp").rpartition(":")[2])

    def manage(self, path: str) -> Answer:
        """One request on the management port."""
        return ask(self.management_port, path)

    def wait_ready(self) -> None:
        """Wait until the ready probe answers 200."""
        eventually(lambda: self.manage("/health/ready").status == 200, 60, what="readiness")

    def inspect(self) -> Any:
        """What the engine knows of it."""
        return json.loads(self.engine("inspect", self.name))[0]

    def execute(self, *command: str, check: bool = True) -> str:
        """Run a program in it."""
        return self.engine("exec", self.name, *command, check=check)

    def logs(self) -> list[dict[str, Any]]:
        """Each line of its log: one JSON object."""
        return [json.loads(line) for line in self.engine("logs", self.name).splitlines()]
