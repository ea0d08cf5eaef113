# mypy: ignore-errors
"""The archetype's wiring, with a model that takes as long to load as the test wants."""

import os
import time
from pathlib import Path

from . import usual_wiring
from .usual_wiring import wire

__all__ = ["wire"]

HOLD = Path(os.environ.get("LAB_FOLDER", "/nonexistent"), "hold")
load_at_once = usual_wiring.load_model


def load_model() -> object:
    """Load the model once there is no file named `hold`."""
    while HOLD.exists():
        time.sleep(0.02)
    return load_at_once()


usual_wiring.load_model = load_model
