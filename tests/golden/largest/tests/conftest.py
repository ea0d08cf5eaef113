"""Fixtures for the tests of this service. Yours to extend."""

import os
from collections.abc import Callable, Iterator
from time import time

import jwt
import pytest
from alembic import command
from alembic.config import Config
from fastapi.testclient import TestClient

from payment_api.main import app

SECRET = "only the tests know this one, and anybody who reads them"
CLAIMS = {"iss": "https://issuer.example", "aud": "payment-api", "sub": "a-shop"}


@pytest.fixture(scope="session")
def environment() -> Iterator[pytest.MonkeyPatch]:
    """The environment variables of the service under test.

    The database is that of TEST_DATABASE_URL: its data stay, so that it should hold no others.
    """
    if not (url := os.environ.get("TEST_DATABASE_URL")):
        pytest.skip("needs a PostgreSQL: TEST_DATABASE_URL=postgresql://user:password@host/test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", url)
        patch.setenv("REDIS_URL", os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:1"))
        patch.setenv("JWT_ISSUER", CLAIMS["iss"])
        patch.setenv("JWT_AUDIENCE", CLAIMS["aud"])
        patch.setenv("JWT_ALGORITHMS", "HS256")
        patch.setenv("JWT_SECRET_KEY", SECRET)
        yield patch


@pytest.fixture(scope="session")
def client(environment: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A client of the application, started as a worker starts it, on a migrated database."""
    command.upgrade(Config("alembic.ini"), "heads")
    with TestClient(app) as client:
        client.headers["Authorization"] = f"Bearer {token(scope='payments:read payments:write')}"
        yield client


def token(**claims: object) -> str:
    """A token that the service believes, but for what `claims` say otherwise."""
    return jwt.encode({**CLAIMS, "exp": time() + 60, **claims}, SECRET, "HS256")


@pytest.fixture
def make_token() -> Callable[..., str]:
    """Make a token: `make_token(scope="payments:read")`; see `token`."""
    return token
