"""The demo says clearly what keeps it from starting."""

import os
import socket
import subprocess
import sys

import support


def demo(**settings: str) -> subprocess.CompletedProcess[str]:
    """Run `make demo`'s script with these environment variables."""
    return subprocess.run(
        [sys.executable, support.REPOSITORY / "scripts/demo.py"],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_names_a_port_that_is_taken() -> None:
    """A port that another program listens on is named, and so is the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = demo(BIND_ADDRESS=f"127.0.0.1:{port}")

    assert done.returncode == 1
    assert f"port {port} can't be used" in done.stderr
    assert "BIND_ADDRESS=127.0.0.1:8001 make demo" in done.stderr
    assert "Traceback" not in done.stderr


def test_refuses_an_address_without_a_port() -> None:
    """An address that can't be one is refused before anything is made."""
    done = demo(MANAGEMENT_BIND_ADDRESS="localhost")

    assert done.returncode == 1
    assert "MANAGEMENT_BIND_ADDRESS has to be host:port" in done.stderr


def test_the_demo_checks_itself() -> None:
    """`make demo CHECK=1`: a service is scaffolded, started, asked and stopped, and all is well."""
    done = subprocess.run(
        [sys.executable, support.REPOSITORY / "scripts/demo.py", "--check"],
        env=support.clean_environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
