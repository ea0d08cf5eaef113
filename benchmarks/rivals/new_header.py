# mypy: ignore-errors
"""A route for service and bare FastAPI alike, each of whose replies has a header of its own."""

from itertools import count

from fastapi import APIRouter, Response

router = APIRouter()
_numbers = count()


@router.get("/new-header")
async def greet(response: Response) -> dict[str, str]:
    """Say hello, and how often."""
    response.headers["X-Number"] = str(next(_numbers))
    return {"service": "payment-api", "message": "Hello from your new service."}
