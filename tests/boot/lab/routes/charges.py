# mypy: ignore-errors
"""Routes that call a payment gateway, and the declaration of it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header

from ..chassis.outbound import Upstream, upstream
from ..chassis.service import Service
from ..settings import Settings

Gateway = Annotated[Upstream, Depends(upstream("gateway"))]

router = APIRouter(prefix="/charges")


@router.get("/{charge}")
async def look_up(charge: str, gateway: Gateway) -> dict[str, int]:
    """Called again when it fails; errors are left to the chassis."""
    response = await gateway.get(f"/v1/charges/{charge}", params={"token": "hunter2"})
    return {"status": response.status_code}


@router.post("")
async def charge(
    gateway: Gateway, idempotency_key: Annotated[str | None, Header()] = None
) -> dict[str, int]:
    """Called once, unless the caller has given a key."""
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    response = await gateway.post("/v1/charges", json={"amount": 1200}, headers=headers)
    return {"status": response.status_code}


def add_gateway(service: Service) -> None:
    """Declare the gateway with bounds that let a test see them all, and register its routes."""
    service.upstream(
        "gateway",
        url=lambda: Settings.current().gateway_url,
        deadline=1.0,
        max_connections=50,
        failure_threshold=5,
        recovery_timeout=1.0,
    )
    service.include_router(router)
