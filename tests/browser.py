"""A headless Chromium for the tests: pages are opened in it, looked at and asked.

It is driven by its own protocol over a pair of pipes, without a driver, a port or a library.
https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import support

ANSWERS_WITHIN = 30.0
"""Seconds; generous, since the machine may be busy with other tests."""

NAMES = ("chromium", "chromium-browser", "google-chrome")
"""What distributions and CI's machines call it."""

Event = dict[str, Any]


class BrowserError(Exception):
    """The browser, or a script in it, refuses."""


class Browser:
    """The connection to a browser that runs, and to its one page."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to = to_browser
        self._from = from_browser
        self._unread = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[Event] = []
        """What the page has told since it was opened last."""

    def attach(self) -> None:
        """Make the page, and hear of all that it does."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def open(self, url: str) -> None:
        """Open an address, and wait until nothing more is fetched."""
        self.events.clear()
        loader = self.call("Page.navigate", url=url).get("loaderId")
        if loader is None:  # the same page, at another anchor
            return
        self._hear_until(
            lambda event: (
                event["method"] == "Page.lifecycleEvent"
                and event["params"]["name"] == "networkIdle"
                and event["params"]["loaderId"] == loader
            )
        )

    def look(self, *, width: int, dark: bool) -> None:
        """Look at the page in a window of this width, in the light or in the dark."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.call("Emulation.setEmulatedMedia", features=[scheme, still])
        self.ask("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def ask(self, script: str) -> Any:
        """The value of a JavaScript expression, or what the promise that it gives comes to."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise BrowserError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """Write a picture of the whole page."""
        taken = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(taken["data"]))

    def complaints(self, home: str) -> list[str]:
        """Errors on the console, and requests that failed or went to anywhere but `home`."""
        return [complaint for event in self.events for complaint in _complaints(event, home)]

    def call(self, method: str, **params: object) -> Any:
        """Call a method of the protocol; return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        number = self._number
        answer = self._hear_until(lambda heard: heard.get("id") == number)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']}")
        return answer["result"]

    def _hear_until(self, found: Callable[[Event], bool]) -> Event:
        """The first message that is wanted; events before it are kept."""
        deadline = time.monotonic() + ANSWERS_WITHIN
        while True:
            message = self._hear(deadline - time.monotonic())
            if "method" in message:
                self.events.append(message)
            if ("method" in message or "id" in message) and found({"method": "", **message}):
                return message

    def _hear(self, within: float) -> Event:
        while b"\0" not in self._unread:
            if not select.select([self._from], [], [], max(0, within))[0]:
                raise BrowserError("the browser doesn't answer")
            data = os.read(self._from, 65536)
            if not data:
                raise BrowserError("the browser is gone")
            self._unread += data
        text, _, self._unread = self._unread.partition(b"\0")
        message: Event = json.loads(text)
        return message


def _complaints(event: Event, home: str) -> Iterator[str]:
    method, params = event["method"], event["params"]
    if method == "Runtime.exceptionThrown":
        yield f"exception: {params['exceptionDetails']}"
    elif method == "Runtime.consoleAPICalled" and params["type"] in {"error", "warning", "assert"}:
        yield f"console: {[arg.get('value', arg.get('description')) for arg in params['args']]}"
    elif method == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
        yield f"log: {params['entry']['text']} {params['entry'].get('url', '')}".rstrip()
    elif method == "Network.requestWillBeSent":
        url = params["request"]["url"]
        if not url.startswith((home, "data:", "blob:")):
            yield f"foreign: {url}"
    elif method == "Network.responseReceived" and params["response"]["status"] >= 400:
        yield f"{params['response']['status']}: {params['response']['url']}"
    elif method == "Network.loadingFailed" and not params.get("canceled"):
        yield f"failed: {params['errorText']}"


@contextmanager
def running() -> Iterator[Browser]:
    """A browser with a profile of its own, and nothing of it left afterwards."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    program = found or support.require_engine(NAMES[0])
    with tempfile.TemporaryDirectory(prefix="ballast-browser-", ignore_cleanup_errors=True) as home:
        arguments = [
            program,
            "--headless=new",
            "--remote-debugging-pipe",
            f"--user-data-dir={home}",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--no-first-run",
            "--hide-scrollbars",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),  # it refuses to be root otherwise
        ]
        # It reads from 3 and writes to 4: ours have to be out of the way.
        its_input, to_browser = map(_higher, os.pipe())
        from_browser, its_output = map(_higher, os.pipe())
        quiet = os.open(os.devnull, os.O_RDWR)
        process = os.posix_spawn(
            program,
            arguments,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, quiet, 1),
                (os.POSIX_SPAWN_DUP2, quiet, 2),
                (os.POSIX_SPAWN_DUP2, its_input, 3),
                (os.POSIX_SPAWN_DUP2, its_output, 4),
            ],
            setpgroup=0,
        )
        for end in (its_input, its_output, quiet):
            os.close(end)
        try:
            browser = Browser(to_browser, from_browser)
            browser.attach()
            yield browser
        finally:
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)
            os.close(to_browser)
            os.close(from_browser)


def _higher(descriptor: int) -> int:
    """The same file under a number from 10 on."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved
