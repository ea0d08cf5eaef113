"""Fixtures of this tier: the template with all its releases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import support
from boot.harness import Ports
from update import history as releases


@pytest.fixture(scope="session")
def history(shared_folder: Path) -> Path:
    """The template with a tag on each release and on the working tree; to be read only."""
    return support.build_once(shared_folder / "history", releases.clone_with_history)


@pytest.fixture(scope="session")
def ports() -> Iterator[Ports]:
    """Ports for this process."""
    ours = Ports()
    yield ours
    ours.give_back()
