"""Which URLs are accepted, and what the driver makes of them."""

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

_SCHEMES = {
    "sqlite": {"sqlite", "sqlite+aiosqlite"},
    "postgresql": {"postgresql", "postgres", "postgresql+asyncpg"},
}
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
_OPTIONS = {"sqlite": set[str](), "postgresql": {"host", "port", "sslmode", "target_session_attrs"}}
"""What may follow the `?`. What the driver doesn't know it would refuse at the first request."""

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def parse(text: str, kind: str) -> URL:
    """The URL with its driver. ValueError says what is wrong, without showing a password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(f"must be a URL such as {_example(kind)}") from None
    if url.drivername not in _SCHEMES[kind]:
        raise ValueError(
            f"must begin with {kind}://, because the service was generated with database={kind}"
        )
    if not url.database or url.database == ":memory:":
        raise ValueError(f"must name a database, as in {_example(kind)}")
    unknown = sorted(set(url.query) - _OPTIONS[kind])
    if unknown:
        known = ", ".join(sorted(_OPTIONS[kind])) or "none"
        raise ValueError(f"has the option {unknown[0]!r}, which isn't known (known: {known})")
    mode = url.query.get("sslmode", "prefer")
    if mode not in SSL_MODES:
        raise ValueError(f"has another sslmode than {', '.join(SSL_MODES)}")
    return url.set(drivername=_DRIVERS[kind])


def _example(kind: str) -> str:
    return "sqlite:///data/service.db" if kind == "sqlite" else "postgresql://user:password@host/db"
