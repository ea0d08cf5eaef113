# mypy: ignore-errors
"""Bare FastAPI: the application of the archetype `minimal`, and nothing around it.

The same endpoint twice: in a router that is included, as the service has it and as applications of
more than one file are written; and on the application itself, as in the first example of FastAPI's
documentation, which costs the framework less.
"""

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel


class Greeting(BaseModel):
    """What `GET /` answers."""

    service: str
    message: str


router = APIRouter(tags=["greeting"])


@router.get("/")
async def greet() -> Greeting:
    """Say hello, and who says it."""
    return Greeting(service="payment-api", message="Hello from your new service.")


app = FastAPI()
app.include_router(router)

direct = FastAPI()
direct.get("/")(greet)
