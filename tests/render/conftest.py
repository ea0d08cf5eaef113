"""Fixtures of this tier: what kustomize makes of the variants."""

import json
from collections.abc import Callable
from pathlib import Path

import manifests
import pytest
import support
from kubernetes_variants import OVERLAYS, VARIANTS
from manifests import Manifest


@pytest.fixture(scope="session")
def built(shared_folder: Path, render: Callable[..., Path]) -> Callable[[int, str], list[Manifest]]:
    """The manifests of a variant's base or overlay; each is rendered and built once a run."""

    def manifests_of(number: int, name: str) -> list[Manifest]:
        def build(folder: Path) -> None:
            project = render(folder / "project", VARIANTS[number])
            places = {each: f"overlays/{each}" for each in OVERLAYS} | {"base": "base"}
            for each, place in places.items():
                text = manifests.build(project / manifests.FOLDER / place)
                (folder / f"{each}.yaml").write_text(text, "utf-8")
                (folder / f"{each}.json").write_text(json.dumps(manifests.read(text)), "utf-8")

        folder = support.build_once(shared_folder / f"kubernetes-{number:02d}", build)
        found: list[Manifest] = json.loads((folder / f"{name}.json").read_text("utf-8"))
        return found

    return manifests_of
