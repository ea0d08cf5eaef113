# mypy: ignore-errors
"""The settings of the lab, one of which is its own."""

from typing import ClassVar

from pydantic import HttpUrl

from .answers import ANSWERS
from .chassis import Answers, ChassisSettings


class Settings(ChassisSettings):
    """Those of the chassis, and where the gateway is."""

    answers: ClassVar[Answers] = ANSWERS

    gateway_url: HttpUrl = HttpUrl("http://127.0.0.1:9")
