"""Train the model and write it to models/iris.onnx: `make train`.

The data is Fisher's iris set, which is part of scikit-learn: 150 flowers of three kinds. The same
data, code and libraries give the same file, byte by byte. To be run with the dependency group
`train`, which the service itself doesn't need.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

NAME = "iris"
OPSET = 17
"""Old enough for every onnxruntime that is in use; newer ones read it too."""


def train() -> tuple[Pipeline, float]:
    """The model, and the ratio of flowers that it gets right of those that it hasn't seen."""
    data = load_iris()
    kinds = data.target_names[data.target]
    seen, unseen, kinds_seen, kinds_unseen = train_test_split(
        data.data, kinds, test_size=0.2, random_state=0, stratify=kinds
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    accuracy = model.fit(seen, kinds_seen).score(unseen, kinds_unseen)
    return model.fit(data.data, kinds), float(accuracy)


def export(model: Pipeline, version: str) -> bytes:
    """The model as ONNX; its name and version are part of it."""
    example = numpy.zeros((1, model.n_features_in_), dtype=numpy.float32)
    exported = to_onnx(model, example, name=NAME, options={"zipmap": False}, target_opset=OPSET)
    exported.ClearField("producer_version")  # or each release of the exporter changes the file
    metadata = exported.metadata_props.add()
    metadata.key, metadata.value = "version", version
    content: bytes = exported.SerializeToString(deterministic=True)
    return content


def write(content: bytes, path: Path) -> None:
    """Put the file in place in one step: a service that is running may be about to read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    temporary = Path(name)
    temporary.chmod(0o644)
    temporary.replace(path)


def main() -> None:
    """Train, export, write, and say what came of it."""
    parser = argparse.ArgumentParser(description="Train the model and write it as ONNX.")
    parser.add_argument("--version", default="1.0.0", help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=Path("models", f"{NAME}.onnx"))
    given = parser.parse_args()
    model, accuracy = train()
    content = export(model, given.version)
    write(content, given.output)
    print(
        f"{given.output}: {NAME} {given.version}, {len(content)} bytes, "
        f"right about {accuracy:.0%} of the flowers that were held back"
    )


if __name__ == "__main__":
    main()
