"""The doctor of the generated service: sound variants, planted faults, and honest edits."""

import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import docs_code
import kubernetes_variants
import manifests
import pytest
import sessions
import support
from doctor import health_faults, honest_edits, image_faults, project_faults, server_faults
from doctor.edits import OVERLAY, SETTINGS, Edit
from render.test_variants import variants

HELP = Path(__file__).parent.parent / "doctor"
FAULTS = [
    *image_faults.of_the_image(),
    *server_faults.of_the_server(),
    *server_faults.of_the_stop(),
    *health_faults.of_health(),
    *health_faults.of_what_it_tells(),
    *project_faults.of_secrets(),
    *project_faults.of_resources(),
    *project_faults.of_the_project(),
]
EDITS = [*FAULTS, *honest_edits.honest()]
BASES: Mapping[str, Mapping[str, str]] = {
    "every-feature": support.EVERY_FEATURE,
    "defaults": {},
}
PAGE = support.REPOSITORY / "docs/doctor.md"
DOCTOR = ["-m", "payment_api.chassis.doctor"]
SHORT_GRACE = """\
patches:
  - target: { kind: Deployment }
    patch: |-
      apiVersion: apps/v1
      kind: Deployment
      metadata:
        name: any
      spec:
        template:
          spec:
            terminationGracePeriodSeconds: 30
"""
"""What somebody has added to an overlay."""

PARTS = 12
"""The edits are tried in so many parts, so that several processes can share them."""

BUILD = """
import json, sys
from pathlib import Path
from payment_api.chassis.doctor.kustomize import build
from payment_api.chassis.doctor.place import Files

found = {}
for folder in map(Path, sys.argv[1:]):
    built = build(folder, Files(folder))
    problems = [problem.text for problem in built.unsupported + built.broken]
    found[str(folder)] = [problems, [one.document for one in built.resources]]
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="session")
def python(shared_folder: Path, render: Callable[..., Path]) -> Path:
    """A Python with all that any variant needs."""

    def build(folder: Path) -> None:
        install: list[str | Path] = ["uv", "pip", "install", "--quiet", "--python", ".venv"]
        for name, answers in {**BASES, "inference": {"archetype": "inference"}}.items():
            project = render(folder / name, answers)
            install += ["--requirements", project / "ballast/pyproject.toml"]
        install += ["--requirements", folder / "inference/pyproject.toml", "--all-extras"]
        support.run(["uv", "venv", "--quiet", ".venv"], folder)
        support.run(install, folder)

    return support.build_once(shared_folder / "doctor-python", build) / ".venv/bin/python"


def run(
    python: Path, project: Path, arguments: list[str], given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program of the service's, in its folder and with its code."""
    environment = support.clean_environment() | {"PYTHONPATH": str(project / "src")}
    return subprocess.run(
        [python, *arguments],
        cwd=project,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )


def findings(document: Mapping[str, Any], status: str) -> dict[str, list[dict[str, Any]]]:
    """What the items of a status have found."""
    return {
        item["id"]: [one for one in item["findings"] if one["status"] == status]
        for item in document["items"]
        if item["status"] == status
    }


@pytest.mark.parametrize("answers", list(variants()))
def test_every_variant_is_sound(
    answers: Mapping[str, str], tmp_path: Path, python: Path, render: Callable[..., Path]
) -> None:
    """As it is generated there is nothing to say: no fault, and no note either."""
    project = render(tmp_path / "service", answers)
    package = next((project / "src").iterdir()).name

    done = run(python, project, ["-m", f"{package}.chassis.doctor", "--json"])

    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert findings(document, "fail") == {}
    assert findings(document, "note") == {}
    assert document["summary"]["pass"] >= 28


def test_the_page_shows_what_is_printed(
    tmp_path: Path, python: Path, render: Callable[..., Path]
) -> None:
    """The whole list of a service on PostgreSQL, and the one fault that the page plants in it.

    That one for programs as well.
    """
    page = PAGE.read_text("utf-8")
    steps = [step for step in sessions.steps(page) if isinstance(step, sessions.Step)]
    listing, fault = (
        next(step for step in steps if step.command == typed)
        for typed in ("make doctor", "make lint")
    )
    project = render(tmp_path / "service", {"database": "postgresql"})

    sound = run(python, project, DOCTOR)
    overlay = project / "deploy/kubernetes/overlays/production/kustomization.yaml"
    overlay.write_text(overlay.read_text("utf-8") + SHORT_GRACE, "utf-8")
    faulty = run(python, project, [*DOCTOR, "--quiet"])
    for_programs = run(python, project, [*DOCTOR, "--json"])

    compare(listing, sound)
    assert sound.returncode == 0
    compare(fault, faulty)
    assert faulty.returncode == 1
    document = json.loads(for_programs.stdout)
    document["items"] = [item for item in document["items"] if item["id"] == "grace"]
    assert_looks_as(json.loads(docs_code.shown(PAGE, '"version": 1')), document)


def assert_looks_as(shown: Any, printed: Any) -> None:
    """All of it, but for the dots in what is said."""
    if isinstance(shown, dict):
        assert list(shown) == list(printed)
        for name, value in shown.items():
            assert_looks_as(value, printed[name])
    elif isinstance(shown, list):
        for one, other in zip(shown, printed, strict=True):
            assert_looks_as(one, other)
    elif isinstance(shown, str):
        assert sessions.pattern(shown).fullmatch(printed), f"{shown}\n{printed}"
    else:
        assert shown == printed


def compare(shown: sessions.Step, done: subprocess.CompletedProcess[str]) -> None:
    """Line by line, but for the blank ones."""
    expected, printed = (
        [line.strip() for line in lines if line.strip()]
        for lines in (shown.printed, done.stdout.splitlines())
    )
    sessions.aligned(expected, printed)


@pytest.fixture(scope="session")
def after_edits(
    shared_folder: Path, python: Path, render: Callable[..., Path]
) -> Callable[[Edit], dict[str, Any]]:
    """What the doctor finds after an edit; a part of the edits is tried at a time, once a run."""

    def try_part(folder: Path, edits: list[Edit], base: str) -> None:
        project = prepare(render(folder / "service", BASES[base]))
        given = json.dumps([{"files": edit.change(project)} for edit in edits])
        done = run(python, project, [str(HELP / "driver.py"), "payment_api", str(project)], given)
        assert done.returncode == 0, done.stderr
        by_name = dict(zip([edit.name for edit in edits], json.loads(done.stdout), strict=True))
        (folder / "found.json").write_text(json.dumps(by_name), "utf-8")

    def find(edit: Edit) -> dict[str, Any]:
        same = [one for one in EDITS if one.base == edit.base]
        part = same.index(edit) % PARTS
        folder = shared_folder / f"doctor-{edit.base}-{part}"
        mine = same[part::PARTS]
        support.build_once(folder, lambda place: try_part(place, mine, edit.base))
        found: dict[str, Any] = json.loads((folder / "found.json").read_text("utf-8"))[edit.name]
        return found

    return find


def prepare(project: Path) -> Path:
    """One overlay is enough, and one evaluation for it and for Compose: the same environment."""
    shutil.rmtree(project / "deploy/kubernetes/overlays/staging", ignore_errors=True)
    settings = project / SETTINGS
    if settings.is_file():
        same = "LOG_FORMAT=json\nFORWARDED_ALLOW_IPS=10.213.7.2\n"
        text = settings.read_text("utf-8") + same
        settings.write_text(text, "utf-8")
        (project / "deploy/compose/service.env").write_text(text, "utf-8")
    return project


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_an_edit(edit: Edit, after_edits: Callable[[Edit], dict[str, Any]]) -> None:
    """A fault is named by its item alone, with its file; what is right stays without a fault."""
    document = after_edits(edit)
    found = findings(document, "fail") | findings(document, "note")

    assert list(found) == ([edit.item] if edit.item else [])
    if edit.item is not None:
        assert list(findings(document, edit.status)) == [edit.item]
        assert edit.path is None or edit.path in {one["path"] for one in found[edit.item]}


def test_every_item_has_a_fault(python: Path, render: Callable[..., Path], tmp_path: Path) -> None:
    """The edits above leave no item out, and there are enough of them."""
    project = render(tmp_path / "service")
    listed = run(python, project, ["-m", "payment_api.chassis.doctor", "--list"]).stdout
    items = {line.split()[0] for line in listed.splitlines() if line.startswith("  ")}

    assert items == {edit.item for edit in FAULTS}
    assert len(FAULTS) >= 30


def test_builds_manifests_as_kustomize_does(
    python: Path, render: Callable[..., Path], tmp_path: Path
) -> None:
    """Each variant's base and overlays, hashes and all, and an overlay that uses what there is."""
    folders = []
    for number, answers in enumerate(kubernetes_variants.VARIANTS):
        project = render(tmp_path / f"{number}", answers)
        places = ["base", *(f"overlays/{name}" for name in kubernetes_variants.OVERLAYS)]
        folders += [project / manifests.FOLDER / place for place in places]
    folders.append(elaborate(render(tmp_path / "elaborate", {"database": "postgresql"})))

    program = ["-c", BUILD, *map(str, folders)]
    done = run(python, render(tmp_path / "service"), program)
    assert done.returncode == 0, done.stderr
    built = json.loads(done.stdout)

    for folder in folders:
        problems, documents = built[str(folder)]
        assert problems == [], folder
        expected = manifests.read(manifests.build(folder))
        assert sorted(documents, key=identity) == sorted(expected, key=identity), folder


def identity(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """What tells one object from another."""
    return manifest["kind"], manifest["metadata"]["name"]


def elaborate(project: Path) -> Path:
    """An overlay with every feature that the doctor understands."""
    folder: Path = project / OVERLAY
    for source in (HELP / "elaborate").iterdir():
        shutil.copy2(source, folder)
    return folder


def test_is_no_part_of_the_wheel(tmp_path: Path, render: Callable[..., Path]) -> None:
    """The image installs the wheel: the service has the chassis there, and not this tool."""
    project = render(tmp_path / "service")
    support.run(["uv", "build", "--quiet", "--wheel", "--out-dir", str(tmp_path)], project)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()

    assert any("/chassis/server/" in name for name in names)
    assert not [name for name in names if "doctor" in name]


def test_nothing_of_the_service_uses_it(tmp_path: Path, render: Callable[..., Path]) -> None:
    """It is the project's tool: the running service would not miss it."""
    project = render(tmp_path / "service", support.EVERY_FEATURE)
    package = project / "src/payment_api"
    users = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "doctor" in path.read_text("utf-8") and "doctor" not in path.parts
    ]
    assert users == []
