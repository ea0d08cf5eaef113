# mypy: ignore-errors
# ruff: noqa: D103
"""The usual recipe: readiness flipped in the lifespan after ``yield``, and a sleep there."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response

READY = {"ready": False}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    READY["ready"] = True
    yield
    READY["ready"] = False
    await asyncio.sleep(2)


app = FastAPI(lifespan=lifespan)


@app.get("/health/ready")
def ready() -> Response:
    return Response(status_code=200 if READY["ready"] else 503)


@app.get("/work")
async def work(ms: float = 25) -> dict[str, int]:
    await asyncio.sleep(ms / 1000)
    return {"pid": os.getpid()}
