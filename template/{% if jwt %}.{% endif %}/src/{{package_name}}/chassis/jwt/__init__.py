"""Callers who prove who they are by a bearer token, a JWT (RFC 6750, RFC 7519, RFC 8725).

>>> @router.get("/orders")
>>> async def index(caller: CurrentCaller) -> list[Order]: ...
>>> @router.post("/orders")
>>> async def make(order: Order, caller: Annotated[Caller, needs("orders:write")]) -> Order: ...

No token, or one that isn't accepted, is 401, a scope that is missing 403. The caller's subject is
on all log lines of the request; the token is on none.
"""

from .bearer import CurrentCaller, install, needs
from .callers import Caller
from .jwt_settings import JwtSettings
from .key_source import KeysUnavailableError

__all__ = [
    "Caller",
    "CurrentCaller",
    "JwtSettings",
    "KeysUnavailableError",
    "install",
    "needs",
]
