# mypy: ignore-errors
# ruff: noqa: D103, T201, S106, ASYNC240  (misbehaving is what it is for)
"""Routes that behave badly on request, written as a user of the template would write them."""

import asyncio
import logging
import os
import sys
import time
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from fastapi import APIRouter, Request, WebSocket
from fastapi.responses import StreamingResponse

from ..chassis import availability
from ..chassis.availability import LivenessState, ReadinessState

router = APIRouter()
v1 = APIRouter(prefix="/v1")
items = APIRouter(prefix="/items")


@items.get("/{item_id}")
async def item(item_id: str) -> dict[str, str]:
    return {"item_id": item_id}


v1.include_router(items)
router.include_router(v1)


@router.get("/pid")
async def pid() -> dict[str, int]:
    return {"pid": os.getpid()}


@router.get("/work")
async def work(ms: float = 25) -> dict[str, int]:
    await asyncio.sleep(ms / 1000)
    return {"pid": os.getpid()}


@router.get("/sync-work")
def sync_work(ms: float = 25) -> dict[str, int]:
    time.sleep(ms / 1000)
    return {"pid": os.getpid()}


@router.get("/sleep-forever")
async def sleep_forever() -> None:
    await asyncio.Event().wait()


@router.get("/hang")
async def hang(seconds: float = 3600) -> None:
    time.sleep(seconds)  # noqa: ASYNC251  the event loop stands still: that's the point


@router.get("/hang-in-c")
async def hang_in_c() -> int:
    return sum(range(10**15))  # holds the interpreter: no signal handler of Python's runs


@router.get("/crash")
async def crash() -> None:
    try:
        _ = {}["missing"]
    except KeyError as error:
        raise RuntimeError("the lab has crashed: żółć ☃") from error


@router.get("/gorge")
def gorge() -> None:
    """Take memory until the kernel ends this worker."""
    held = []
    while True:
        held.append(b"x" * 2**24)


@router.get("/print")
async def print_lines() -> dict[str, int]:
    print("printed to stdout")
    print("printed to stderr", file=sys.stderr)
    return {"pid": os.getpid()}


@router.get("/warn")
async def warn() -> dict[str, int]:
    warnings.warn("the lab warns", stacklevel=1)
    return {"pid": os.getpid()}


@router.get("/log")
async def log(n: int = 1) -> dict[str, int]:
    for number in range(n):
        structlog.get_logger("lab").info(
            "from structlog", number=number, password="hunter2", text="żółć ☃"
        )
        logging.getLogger("lab").info(
            "from the standard library %d", number, extra={"password": "hunter2"}
        )
    return {"pid": os.getpid()}


@router.get("/debug")
async def debug() -> dict[str, int]:
    structlog.get_logger("lab").debug("a detail from structlog")
    logging.getLogger("lab").debug("a detail from the standard library")
    return {"pid": os.getpid()}


@router.get("/whoami")
async def whoami(request: Request) -> dict[str, object]:
    return {
        "client": request.client.host if request.client else None,
        "scheme": request.url.scheme,
        "request_id": request.state.request_id,
    }


@router.post("/echo")
async def echo(request: Request) -> dict[str, int]:
    return {"bytes": len(await request.body())}


@router.post("/headers")
async def headers(request: Request) -> list[str]:
    await request.body()
    return sorted(request.headers)


@router.get("/stream")
async def stream(count: int = 5, ms: float = 100) -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(count):
            await asyncio.sleep(ms / 1000)
            yield f"{number}\n".encode()

    return StreamingResponse(parts())


@router.websocket("/talk/{room}")
async def talk(socket: WebSocket, room: str) -> None:
    """Say what was said, until the client says goodbye or something else happens."""
    await socket.accept()
    while (text := await socket.receive_text()) != "leave":
        if text == "fail":
            raise RuntimeError("the lab has crashed in the middle of a talk")
        await socket.send_text(f"{room}: {text}")


@router.websocket("/monologue")
async def monologue(socket: WebSocket, ms: float = 100, size: int = 10) -> None:
    """Talk without ever listening."""
    await socket.accept()
    while True:
        await socket.send_bytes(os.urandom(size))  # nothing that could be compressed
        await asyncio.sleep(ms / 1000)


@router.websocket("/undecided")
async def undecided(socket: WebSocket) -> None:
    """Neither accept nor refuse."""
    await asyncio.Event().wait()


@router.get("/break-liveness")
async def break_liveness() -> dict[str, int]:
    availability.publish(LivenessState.BROKEN, source="lab", reason="asked to break")
    return {"pid": os.getpid()}


@router.get("/mend-liveness")
async def mend_liveness() -> dict[str, int]:
    availability.publish(LivenessState.CORRECT, source="lab", reason="asked to mend")
    return {"pid": os.getpid()}


@router.get("/refuse")
async def refuse() -> dict[str, int]:
    availability.publish(ReadinessState.REFUSING_TRAFFIC, source="lab", reason="asked to refuse")
    return {"pid": os.getpid()}


@router.get("/accept")
async def accept() -> dict[str, int]:
    availability.publish(ReadinessState.ACCEPTING_TRAFFIC, source="lab", reason="asked to accept")
    return {"pid": os.getpid()}


@router.get("/states")
async def states(ms: float = 20) -> dict[str, object]:
    """What this worker believes; the sleep lets its siblings take the next connection."""
    await asyncio.sleep(ms / 1000)
    return {
        "pid": os.getpid(),
        "liveness": str(availability.current.liveness),
        "readiness": str(availability.current.readiness),
    }


def note(name: str, text: str) -> None:
    """Append a line to a file of the test's, if it wants any."""
    folder = Path(os.environ.get("LAB_FOLDER", "/nonexistent"))
    if folder.is_dir():
        with (folder / name).open("a") as lines:
            lines.write(f"{text}\n")


@asynccontextmanager
async def resource(name: str) -> AsyncIterator[str]:
    """A resource that fails when and where `LAB_FAIL` says, such as `close second`."""
    await fail_or_note(f"open {name}")
    yield name
    await fail_or_note(f"close {name}")


async def fail_or_note(step: str) -> None:
    note("steps", step)
    if os.environ.get("LAB_FAIL") == step:
        raise RuntimeError(f"can't {step}")
    if os.environ.get("LAB_HANG") == step:
        await asyncio.sleep(60)


@router.get("/background")
async def background(request: Request, ms: float) -> dict[str, int]:
    async def work() -> None:
        await asyncio.sleep(ms / 1000)
        note("steps", f"background {ms:g} done")

    request.app.background.start(work(), name=f"background {ms:g}")
    return {"pid": os.getpid()}


async def outside() -> bool:
    """A check that leaves a line for each run, and hangs while a file named `hang` is there."""
    note("runs", f"{os.getpid()} {time.monotonic()}")
    if Path(os.environ.get("LAB_FOLDER", "/nonexistent"), "hang").exists():
        await asyncio.sleep(60)
    await asyncio.sleep(0.06)
    return True
