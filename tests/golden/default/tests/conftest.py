"""Fixtures for the tests of this service. Yours to extend."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from fastapi.testclient import TestClient

from payment_api.main import app


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    """The environment variables of the service under test, with a database of its own."""
    folder: Path = tmp_path_factory.mktemp("database")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", f"sqlite:///{folder}/test.db")
        yield patch


@pytest.fixture(scope="session")
def client(environment: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A client of the application, started as a worker starts it, on a migrated database."""
    command.upgrade(Config("alembic.ini"), "heads")
    with TestClient(app) as client:
        yield client
