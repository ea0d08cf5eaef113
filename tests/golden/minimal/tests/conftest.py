"""Fixtures for the tests of this service. Yours to extend."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from payment_api.main import app


@pytest.fixture(scope="session")
def client() -> Iterator[TestClient]:
    """A client of the application, started as a worker starts it."""
    with TestClient(app) as client:
        yield client
