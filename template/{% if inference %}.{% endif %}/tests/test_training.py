"""The script that trains the model. It needs the dependency group `train`, or is skipped."""

import runpy
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("skl2onnx", reason="the dependency group `train` isn't installed")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def training() -> dict[str, Any]:
    """What the script defines."""
    return runpy.run_path(str(ROOT / "training" / "train.py"))


def test_training_again_gives_the_same_file(training: dict[str, Any]) -> None:
    """Byte by byte, so that a model can be traced to the code that made it."""
    first, second = (training["export"](training["train"]()[0], "1.0.0") for _ in range(2))
    assert first == second


def test_the_model_is_worth_having(training: dict[str, Any]) -> None:
    """On flowers that it wasn't trained on."""
    assert training["train"]()[1] > 0.9
