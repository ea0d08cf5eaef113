"""Capturing: having the gateway collect what was accepted, beside the requests.

Each worker takes some accepted payments at a time for itself, by a lease rather than a lock: no
transaction stays open while the gateway is asked. A worker that dies, or a gateway that doesn't
answer, leaves the payment accepted, and when the lease has run out it is somebody else's turn. So
the gateway may be asked twice for a payment: it is told the payment's id as `Idempotency-Key`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from ..chassis import CircuitOpenError, Service, get_logger
from ..chassis.database import Database, DatabaseUnavailableError
from ..chassis.outbound import Upstream, UpstreamError
from ..settings import Settings
from . import service, store
from .payment import Payment, PaymentStatus

BATCH = 10
"""How many payments a worker captures at a time."""

LEASE = timedelta(seconds=60)
"""How long nobody else tries; longer than the deadline of a call."""

RETRY_SECONDS = 10.0
"""After a call without a decision, and for the circuit to let a call through again."""

PAUSE_SECONDS = 1.0
"""Between two looks when there is nothing to do."""

log = get_logger("payments.capture")


def install(app: Service) -> None:
    """Capture in each worker, if there is a gateway (PAYMENT_GATEWAY_URL)."""
    app.resource("capture", lambda: capturing(app))


@asynccontextmanager
async def capturing(app: Service) -> AsyncIterator[None]:
    """Capture until the worker ends. What is under way then is tried again by another one."""
    settings = Settings.current()
    if settings.payment_gateway_url is None:
        yield
        return
    token = settings.payment_gateway_token
    gateway = Upstream(
        "payment-gateway",
        str(settings.payment_gateway_url),
        headers=lambda: {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {},
        deadline=settings.payment_gateway_deadline_seconds,
        recovery_timeout=RETRY_SECONDS,
    )
    async with gateway.open():
        task = asyncio.create_task(run(app.state.database, gateway), name="capture")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def run(database: Database, gateway: Upstream) -> None:
    """Capture what there is, look again, and don't end for anything that goes wrong."""
    while True:
        pause = PAUSE_SECONDS
        try:
            if await capture_some(database, gateway) == BATCH:
                pause = 0
        except DatabaseUnavailableError:
            pass  # it says so itself, in the log and in its health check
        except Exception:
            log.exception("capturing failed")
        await asyncio.sleep(pause)


async def capture_some(database: Database, gateway: Upstream) -> int:
    """Try some payments that are due, and say how many they were."""
    now = datetime.now(UTC)
    async with database.transaction() as connection:
        due = await store.lease_due(connection, now, until=now + LEASE, limit=BATCH)
    calls = (capture(database, gateway, payment) for payment in due)
    for failed in filter(None, await asyncio.gather(*calls, return_exceptions=True)):
        raise failed  # once all have ended: one must not cut the others off
    return len(due)


async def capture(database: Database, gateway: Upstream, payment: Payment) -> None:
    """Ask the gateway to collect one payment, and write down what it says."""
    try:
        reply = await gateway.post(
            "/captures",
            json=payment.model_dump(mode="json", include={"id", "amount", "currency", "reference"}),
            headers={"Idempotency-Key": str(payment.id)},
        )
    except CircuitOpenError as error:
        await put_off(database, payment, seconds=max(1.0, error.retry_after))
        return
    except UpstreamError as error:
        log.warning("gateway gave no answer", payment_id=str(payment.id), error=str(error))
        await put_off(database, payment, seconds=RETRY_SECONDS)
        return
    # Adapt this to what your gateway says. What it doesn't clearly say is no decision.
    if reply.status_code in (200, 201):
        status = PaymentStatus.CAPTURED
    elif reply.status_code == 402:
        status = PaymentStatus.DECLINED
    else:
        log.warning("gateway undecided", payment_id=str(payment.id), status_code=reply.status_code)
        await put_off(database, payment, seconds=RETRY_SECONDS)
        return
    if await service.change_status(database, payment, status):
        log.info(f"payment {status}", payment_id=str(payment.id))


async def put_off(database: Database, payment: Payment, *, seconds: float) -> None:
    """Leave it for later."""
    async with database.transaction() as connection:
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        await store.put_off(connection, payment.id, until)
