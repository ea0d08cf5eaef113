"""The settings of this service. Yours to extend."""

from pathlib import Path

from pydantic import Field

from .answers import AnsweredSettings


class Settings(AnsweredSettings):
    """Read from the environment and from files under `SECRETS_DIR`, case-insensitively.

    Add a field and it is the environment variable of that name; without a default it must be
    set, or the service refuses to start and says so. Read it where the service runs with
    `Settings.current().model_path`, but not at import, where the settings aren't read yet.
    """

    model_path: Path = Field(Path("models/iris.onnx"), description="the model, an ONNX file")
    model_threads: int = Field(
        0, ge=0, le=256, description="threads that compute one prediction; 0: a worker's CPUs"
    )
    model_concurrency: int = Field(
        1, ge=1, le=256, description="predictions that a worker computes at the same time"
    )
