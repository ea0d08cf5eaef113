"""Fixtures of every tier: the tagged template, rendered projects, installed projects."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import support

collect_ignore = ["golden"]
"""Services that were rendered, to be looked at; their tests are run where they are installed."""


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all the test processes of this run share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _no_personal_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Copier's user settings and git's user configuration stay out of the tests."""
    empty = tmp_path_factory.mktemp("copier") / "settings.yml"
    empty.write_text("{}\n")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in support.clean_environment().items():
            if name.startswith(("GIT_", "UV_")):
                patch.setenv(name, value)
        patch.setenv("COPIER_SETTINGS_PATH", str(empty))
        yield


@pytest.fixture(scope="session")
def template_source(shared_folder: Path) -> Path:
    """A clean clone of the template, tagged v1.0.0; to be read, never changed."""
    return support.build_once(shared_folder / "template", support.clone_template)


@pytest.fixture(scope="session")
def render(template_source: Path) -> Callable[[Path, support.Answers], Path]:
    """Render the template into a folder with these answers, the rest by default."""

    def render_into(destination: Path, answers: support.Answers | None = None) -> Path:
        return support.render(template_source, destination, answers)

    return render_into


@pytest.fixture(scope="session")
def installed(
    shared_folder: Path, render: Callable[[Path, support.Answers], Path]
) -> Callable[..., Path]:
    """A rendered project with its `.venv`, made once a run for each set of answers.

    Tests share the folder: they may start it, but have to leave its files alone.
    """

    def install(answers: support.Answers | None = None) -> Path:
        text = json.dumps(answers or {}, sort_keys=True, default=str)
        name = f"project-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

        def build(folder: Path) -> None:
            support.sync(render(folder, answers or {}))

        return support.build_once(shared_folder / name, build)

    return install
