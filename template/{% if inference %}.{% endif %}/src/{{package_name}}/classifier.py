"""The model in its runtime, an ONNX file in onnxruntime. Replace it to serve a model of your own.

`routes/predictions.py` says what is asked of it and answered, `wiring.py` where it comes from.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # At run time they are imported where a worker first needs them: importing them starts threads
    # and takes memory, and this file is imported before the workers are forked.
    import onnxruntime

FEATURES = ("sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm")
"""What the model is given, in the order in which it was trained on it."""

SAMPLE = ((5.1, 3.5, 1.4, 0.2), (6.3, 3.3, 6.0, 2.5))
"""A batch to warm up with."""

Row = Sequence[float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one input was taken for. `confidence` is the model's own probability, 0 to 1."""

    label: str
    confidence: float


class Classifier:
    """A loaded model, its name and its version. Safe to use from several threads."""

    def __init__(self, session: onnxruntime.InferenceSession, *, name: str, version: str) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self.name = name
        self.version = version

    @classmethod
    def load(cls, path: Path, *, threads: int) -> Classifier:
        """Load the file; `threads` is what one prediction may compute with.

        Raises FileNotFoundError without the file, what onnxruntime raises for one that is no
        model, and ValueError for a model that takes other features.
        """
        # It would report its use to Microsoft, and keep a database for that in the home directory.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        content = path.read_bytes()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # Threads that wait for work by spinning would eat the container's CPU quota.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(
            content, sess_options=options, providers=["CPUExecutionProvider"]
        )
        columns = session.get_inputs()[0].shape[-1]
        if columns != len(FEATURES):
            raise ValueError(f"{path} takes {columns} features, not {len(FEATURES)}")
        metadata = session.get_modelmeta()
        version = metadata.custom_metadata_map.get("version")
        return cls(
            session,
            name=metadata.graph_name,
            version=version or f"sha256:{hashlib.sha256(content).hexdigest()[:12]}",
        )

    def predict(
        self, rows: Sequence[Row], run_options: onnxruntime.RunOptions | None = None
    ) -> list[Verdict]:
        """Classify a batch. Takes its time: for a thread, not for the event loop."""
        import numpy

        batch = numpy.asarray(rows, dtype=numpy.float32)
        labels, probabilities = self._session.run(
            ["label", "probabilities"], {self._input: batch}, run_options
        )
        return [
            Verdict(str(label), float(confidence))
            for label, confidence in zip(labels, probabilities.max(axis=1), strict=True)
        ]

    async def apredict(self, rows: Sequence[Row], threads: Executor) -> list[Verdict]:
        """Classify a batch in one of these threads.

        A request that is cancelled, for one past its deadline, gives its turn away, or stops the
        computation at the next of the model's operators.
        """
        import onnxruntime

        run_options = onnxruntime.RunOptions()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(threads, self.predict, rows, run_options)
        except asyncio.CancelledError:
            run_options.terminate = True
            raise
