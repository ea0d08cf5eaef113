"""The table of keys and first replies, and the one step that decides who is first."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import BaseModel
from sqlalchemy import JSON, Column, Row, SmallInteger, String, Table, Text, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from ..database import UtcTime, metadata
from ..database.database_errors import DatabaseBusyError, unavailable
from .idempotency_key import MAX_LENGTH
from .refusals import KeyInUseError, KeyReusedError

REPLAYED = "Idempotency-Replayed"
"""The header of a reply that was given before."""

_TRIES = 3

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("scope", String(255), primary_key=True),
    Column("key", String(MAX_LENGTH), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False, index=True),
)
"""One row for each request that was answered; found by whose it is and by its key."""

# Made once: building a statement costs as much as sending it.
_INSERT = {
    "postgresql": postgresql.insert(idempotency_keys).on_conflict_do_nothing(),
    "sqlite": sqlite.insert(idempotency_keys).on_conflict_do_nothing(),
}


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """What makes two requests the same."""

    key: str
    fingerprint: str
    """Of the operation and what was sent; two that differ are different requests."""
    scope: str = ""
    """Whose keys these are: two callers may choose the same one."""

    @classmethod
    def of(cls, operation: str, key: str, body: BaseModel, *, scope: str = "") -> IdempotentRequest:
        """A request for an operation, such as `POST /payments`, with a validated body.

        It is what the client has sent that counts, in any order and spacing, and not the defaults:
        a client may repeat it when the next version of the service, with one more field, answers.
        """
        sent = orjson.dumps(
            [operation, body.model_dump(mode="json", exclude_unset=True)],
            option=orjson.OPT_SORT_KEYS,
        )
        return cls(key, hashlib.sha256(sent).hexdigest(), scope)


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply as it is stored and sent; to a client both times the same, to the letter."""

    status: int
    body: str
    """JSON."""
    headers: Mapping[str, str] = field(default_factory=dict)
    replayed: bool = False

    def response(self) -> Response:
        """The reply for Starlette."""
        headers = {**self.headers, REPLAYED: "true"} if self.replayed else dict(self.headers)
        return Response(self.body, self.status, headers, "application/json")


async def remember(
    connection: AsyncConnection, request: IdempotentRequest, reply: Reply
) -> Reply | None:
    """Store the reply to this request, or return the one that the first of its key was given.

    Call it first in the transaction that does the work, and do none when there is a reply already.
    Of several at once the database lets one through; the others wait here until that one has
    committed (and have its reply) or has been rolled back (and one of them is the first).

    Raises KeyReusedError for a key of another request, and KeyInUseError when the wait is longer
    than the database's lock timeout.
    """
    row = {
        "scope": request.scope,
        "key": request.key,
        "fingerprint": request.fingerprint,
        "status": reply.status,
        "headers": dict(reply.headers),
        "body": reply.body,
        "created_at": datetime.now(UTC),
    }
    for _ in range(_TRIES):
        try:
            done = await connection.execute(_INSERT[connection.dialect.name], row)
        except DBAPIError as error:
            if isinstance(unavailable(error, writing=True), DatabaseBusyError):
                raise KeyInUseError from error
            raise
        if done.rowcount == 1:
            return None
        first = await _find(connection, request)
        if first is not None:  # else it was forgotten just now, for its age
            return _replay(first, request)
    raise KeyInUseError


async def _find(
    connection: AsyncConnection, request: IdempotentRequest
) -> Row[*tuple[Any, ...]] | None:
    table = idempotency_keys.c
    query = select(table.fingerprint, table.status, table.headers, table.body)
    found = await connection.execute(
        query.where(table.scope == request.scope, table.key == request.key)
    )
    return found.one_or_none()


def _replay(first: Row[*tuple[Any, ...]], request: IdempotentRequest) -> Reply:
    if first.fingerprint != request.fingerprint:
        raise KeyReusedError
    return Reply(first.status, first.body, first.headers, replayed=True)
