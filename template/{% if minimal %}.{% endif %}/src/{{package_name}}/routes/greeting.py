"""A first route, to be replaced by your own."""

from fastapi import APIRouter
from pydantic import BaseModel

from ..answers import ANSWERS

router = APIRouter(tags=["greeting"])


class Greeting(BaseModel):
    """What `GET /` answers."""

    service: str
    message: str


@router.get("/")
async def greet() -> Greeting:
    """Say hello, and who says it."""
    return Greeting(service=ANSWERS.service_name, message="Hello from your new service.")
