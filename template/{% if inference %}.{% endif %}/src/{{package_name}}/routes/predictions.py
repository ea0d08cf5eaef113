"""Predictions: which kind of iris it is, by the measures of its flower."""

import time
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from ..chassis import StructuredLogger
from ..chassis.models import model_metrics
from ..classifier import Classifier

MODEL = "iris"
"""The name under which `wiring.py` registers the model."""

MAX_BATCH = 256
"""Inputs in one request. A batch keeps a thread busy, and others wait for it."""

router = APIRouter(tags=["predictions"])
log = StructuredLogger("predictions")

# Strict: a text or `true` is no measure, and would be taken for one.
Centimetres = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False, strict=True)]


class Flower(BaseModel):
    """One input."""

    model_config = ConfigDict(extra="forbid")

    sepal_length_cm: Centimetres
    sepal_width_cm: Centimetres
    petal_length_cm: Centimetres
    petal_width_cm: Centimetres


class PredictionRequest(BaseModel):
    """One input or many, predicted together."""

    model_config = ConfigDict(extra="forbid")

    inputs: Annotated[list[Flower], Field(min_length=1, max_length=MAX_BATCH)]


class Model(BaseModel):
    """Which model it was."""

    name: str
    version: str


class Prediction(BaseModel):
    """The answer to one input, with the model's confidence in it from 0 to 1."""

    label: str
    confidence: float


class PredictionReply(BaseModel):
    """The answers in the order of the inputs, all by the same model."""

    model: Model
    predictions: list[Prediction]


@router.post("/predictions")
async def predict(body: PredictionRequest, request: Request) -> PredictionReply:
    """Classify a batch of flowers."""
    service = request.app
    # Kept for the whole request: a refresh may put another one in force meanwhile.
    model: Classifier = await service.models.aget(MODEL)
    rows = [
        (one.sepal_length_cm, one.sepal_width_cm, one.petal_length_cm, one.petal_width_cm)
        for one in body.inputs
    ]
    began = time.perf_counter()
    verdicts = await model.apredict(rows, service.state.prediction_threads)
    seconds = time.perf_counter() - began

    model_metrics.models().predicted(MODEL, len(rows), seconds)
    least_sure = min(verdict.confidence for verdict in verdicts)
    log.log_prediction(model.name, len(rows), seconds * 1000, least_sure)
    return PredictionReply(
        model=Model(name=model.name, version=model.version),
        predictions=[
            Prediction(label=verdict.label, confidence=verdict.confidence) for verdict in verdicts
        ],
    )
