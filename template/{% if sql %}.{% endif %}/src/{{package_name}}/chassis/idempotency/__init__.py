"""Requests that may be sent again: done once, and answered the same each time (SPEC I2).

A client gives each operation a key and repeats it with that key until it has an answer. The reply
is stored in the transaction that does the work, so that both exist or neither does:

>>> async def accept(key: IdempotencyKey, order: Order, database: CurrentDatabase) -> Response:
...     request = IdempotentRequest.of("POST /orders", key, order)
...     reply = Reply(201, made.model_dump_json())
...     async with database.transaction() as connection:
...         earlier = await remember(connection, request, reply)
...         if earlier is None:
...             await store.add(connection, made)
...     return (earlier or reply).response()

https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import refusals, retention
from .idempotency_key import DOCUMENTED, HEADER, IdempotencyKey
from .records import IdempotentRequest, Reply, idempotency_keys, remember
from .refusals import KeyInUseError, KeyReusedError
from .retention import IdempotencySettings

if TYPE_CHECKING:
    from ..service import Service

__all__ = [
    "DOCUMENTED",
    "HEADER",
    "IdempotencyKey",
    "IdempotencySettings",
    "IdempotentRequest",
    "KeyInUseError",
    "KeyReusedError",
    "Reply",
    "idempotency_keys",
    "install",
    "remember",
]


def install(service: Service) -> None:
    """Answer refused keys with problems, and forget old ones as time goes by."""
    refusals.install(service)
    retention.install(service)
