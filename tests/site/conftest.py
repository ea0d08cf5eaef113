"""Fixtures of this tier: the site, built and served, and a browser to look at it."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import browser
import pytest
import support

PYTHON = support.REPOSITORY / ".venv-docs/bin/python"


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def built(shared_folder: Path) -> Path:
    """The site, built as `make docs` does; its pages are below html/."""

    def build(folder: Path) -> None:
        script = support.REPOSITORY / "scripts/docs_site.py"
        support.run([PYTHON, script, "--into", folder], support.REPOSITORY)

    return support.build_once(shared_folder / "site", build)


@pytest.fixture(scope="session")
def site(built: Path) -> Iterator[str]:
    """The address that the site is served at."""
    handler = functools.partial(_Handler, directory=str(built / "html"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="session")
def chromium() -> Iterator[browser.Browser]:
    """A browser."""
    with browser.running() as started:
        yield started
