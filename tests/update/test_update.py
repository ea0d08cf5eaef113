"""An update brings what is new in the template and leaves the user's work alone.

The template is released twice, a real project with real edits lives in between, and copier updates
it without trust, as a user does.
"""

import compileall
import re
import shlex
import shutil
import sys
from pathlib import Path

import copier
import pytest
import support

PACKAGE = "src/payment_api"
PACKAGE_OF_TEMPLATE = "src/{{package_name}}"
OVERLAY = "deploy/kubernetes/overlays/production"

ORDERS = '''"""Orders."""

from fastapi import APIRouter

router = APIRouter(prefix="/orders")


@router.get("/{number}")
async def order(number: int) -> dict[str, int]:
    """Return one order."""
    return {"number": number}
'''


@pytest.fixture
def template(template_source: Path, tmp_path: Path) -> Path:
    """A clone of the template that may be changed, with its first release."""
    clone = tmp_path / "template"
    support.git(tmp_path, "clone", "--quiet", str(template_source), str(clone))
    return clone


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """A service made from the first release, with its user's work committed."""
    folder = support.render(template, tmp_path / "service", {"archetype": "minimal"})
    support.commit_all(folder, "The service as it was generated")
    edit_as_user(folder)
    support.commit_all(folder, "My own work")
    return folder


def replace(path: Path, old: str, new: str) -> None:
    """Replace text that must be there."""
    text = path.read_text("utf-8")
    assert old in text, f"{path} doesn't hold {old!r}"
    path.write_text(text.replace(old, new), "utf-8")


def edit_as_user(project: Path) -> None:
    """Work as users do: a router, a setting, a check, a dependency, README; the sample removed."""
    package = project / PACKAGE
    (package / "routes/orders.py").write_text(ORDERS)
    (package / "routes/greeting.py").unlink()
    (project / "tests/test_greeting.py").unlink()
    replace(package / "wiring.py", "greeting", "orders")
    replace(
        package / "settings.py",
        'read yet.\n    """\n',
        'read yet.\n    """\n\n    orders_per_page: int = 20\n',
    )
    replace(project / "README.md", "# payment-api\n", "# Payments\n\nAsk Ada before a release.\n")
    replace(project / "pyproject.toml", 'version = "0.1.0"', 'version = "3.2.1"')
    replace(
        project / "pyproject.toml",
        "dependencies = [",
        'dependencies = [\n    "stripe>=1",',
    )
    overlay = project / OVERLAY
    replace(overlay / "settings.env", "LOG_LEVEL=INFO", "LOG_LEVEL=WARNING")
    replace(overlay / "kustomization.yaml", "# patches:", "patches: [path: mine.yaml]\n# patches:")
    (overlay / "mine.yaml").write_text("kind: Deployment\n")
    (project / "local.mk").write_text("seed: ## Fill the database\n\t@true\n")
    replace(
        project / "monitoring/custom_rules.yml", "groups: []", "groups: [{name: mine, rules: []}]"
    )
    replace(project / "docs/runbook.md", "## First\n", "## First\n\nCall Ada.\n")


def release(template: Path, tag: str = "v1.1.0") -> None:
    """Release a version that changes files of the template's of every kind, and the user's too."""
    source = template / "template"
    package = source / PACKAGE_OF_TEMPLATE
    module = package / "chassis/capacity/sizing.py"
    module.write_text(module.read_text("utf-8") + '\n\nNEW_IN_THIS_RELEASE = "yes"\n', "utf-8")
    (package / "chassis/brand_new.py").write_text('"""New in this release."""\n')
    replace(source / "Makefile.jinja", "\nlint: ", "\ncheck: lint test ## Lint and test\n\nlint: ")
    replace(source / "ballast/pyproject.toml.jinja", '"gunicorn>=27,<28"', '"gunicorn>=27.0.1,<28"')
    # What is the user's after the first copy may change in the template all the same.
    replace(source / "pyproject.toml.jinja", 'minversion = "9.0"', 'minversion = "9.1"')
    replace(source / "gunicorn.conf.py.jinja", "preload_app", "# New.\npreload_app")
    replace(source / "README.md.jinja", "# {{ service_name }}", "# The {{ service_name }}")
    replace(source / "docs/runbook.md.jinja", "# Runbook of", "# The runbook of")
    replace(source / "monitoring/custom_rules.yml.jinja", "# Rules of", "# The rules of")
    replace(source / "monitoring/rules.yml.jinja", "# Alerts of", "# The alerts of")
    minimal, inference, payments, sql = (
        source / f"{{% if {name} %}}.{{% endif %}}"
        for name in ("minimal", "inference", "payments", "sql")
    )
    for archetype in (minimal, inference, payments):
        replace(archetype / PACKAGE_OF_TEMPLATE / "wiring.py", "Yours to change.", "All yours.")
    replace(minimal / PACKAGE_OF_TEMPLATE / "routes/greeting.py", "Hello from", "Greetings from")
    replace(inference / PACKAGE_OF_TEMPLATE / "classifier.py", "A loaded model", "A model, loaded")
    (inference / "models/iris.onnx").write_bytes(b"\xff another one")
    (inference / "local.mk").write_text("train:\n\t@false\n")
    replace(payments / PACKAGE_OF_TEMPLATE / "payments/store.py", "The table of", "A table of")
    replace(payments / "migrations/versions/0001_payments.py", "Make the table", "Make a table")
    (payments / "migrations/versions/0002_more.py").write_text('"""A later sample."""\n')
    (sql / PACKAGE_OF_TEMPLATE / "chassis/database/versions/chassis_9999.py").write_text(
        '"""A table of the chassis that is new in this release."""\n'
    )
    manifests = source / "{% if kubernetes %}.{% endif %}/deploy/kubernetes"
    replace(manifests / "base/deployment.yaml.jinja", "minReadySeconds: 5", "minReadySeconds: 6")
    replace(manifests / "overlays/production/settings.env.jinja", "INFO", "ERROR")
    replace(manifests / "overlays/production/kustomization.yaml.jinja", "# patches:", "patches: []")
    support.commit_all(template, "The next release", tag)


def update(project: Path, **answers: str) -> None:
    """Run `copier update` as a user does: no trust, no questions."""
    copier.run_update(
        project, data=answers, defaults=True, overwrite=True, unsafe=False, quiet=True
    )


def assert_sound(project: Path) -> None:
    """Nothing is in conflict, and what came out is formatted and compiles."""
    assert support.git(project, "ls-files", "--unmerged") == ""
    assert not list(project.rglob("*.rej"))
    for path in support.git(project, "ls-files", "-co", "--exclude-standard").splitlines():
        if (project / path).is_file():
            content = (project / path).read_bytes()
            assert not re.search(rb"^(<{7}|>{7}) ", content, re.MULTILINE), path
    support.run(["ruff", "format", "--check", "--no-cache", "."], project)
    assert compileall.compile_dir(project, quiet=1, force=True)


def test_update_keeps_the_users_work(template: Path, project: Path) -> None:
    """The template's change arrives; every file of the user's is byte for byte what it was."""
    mine = [
        "README.md",
        "pyproject.toml",
        "local.mk",
        "docs/runbook.md",
        "monitoring/custom_rules.yml",
        "tests/conftest.py",
        *(f"{OVERLAY}/{name}" for name in ("settings.env", "kustomization.yaml", "mine.yaml")),
        *(f"{PACKAGE}/{name}" for name in ("wiring.py", "settings.py", "routes/orders.py")),
    ]
    before = {name: (project / name).read_bytes() for name in mine}

    release(template)
    update(project)

    assert {name: (project / name).read_bytes() for name in mine} == before
    assert not (project / PACKAGE / "routes/greeting.py").exists()
    assert not (project / "tests/test_greeting.py").exists()

    assert "NEW_IN_THIS_RELEASE" in (project / PACKAGE / "chassis/capacity/sizing.py").read_text(
        "utf-8"
    )
    assert (project / PACKAGE / "chassis/brand_new.py").is_file()
    assert "# The alerts of" in (project / "monitoring/rules.yml").read_text("utf-8")
    assert "check: lint test" in (project / "Makefile").read_text("utf-8")
    assert "# New." in (project / "gunicorn.conf.py").read_text("utf-8")
    deployment = project / "deploy/kubernetes/base/deployment.yaml"
    assert "minReadySeconds: 6" in deployment.read_text("utf-8")
    assert 'template_version="1.1.0"' in (project / PACKAGE / "answers.py").read_text("utf-8")
    assert_sound(project)


def test_dependencies_of_both_sides_may_change(template: Path, project: Path) -> None:
    """The user's and the template's stand in different files."""
    release(template)
    update(project)

    assert '"stripe>=1"' in (project / "pyproject.toml").read_text("utf-8")
    assert '"gunicorn>=27.0.1,<28"' in (project / "ballast/pyproject.toml").read_text("utf-8")
    assert_sound(project)


def test_an_update_survives_files_that_were_deleted(template: Path, project: Path) -> None:
    """Also the template's own: they stay away, and nothing else is in the way of the update."""
    shutil.rmtree(project / "tests/chassis")
    (project / "Makefile").unlink()
    support.commit_all(project, "I have no use for these")

    release(template)
    update(project)

    assert not (project / "tests/chassis").exists()
    assert not (project / "Makefile").exists()
    assert (project / PACKAGE / "chassis/brand_new.py").is_file()
    assert_sound(project)


def test_update_keeps_a_model_of_the_users(template: Path, tmp_path: Path) -> None:
    """What they made of the sample stays theirs, and what they deleted stays away."""
    folder = support.render(template, tmp_path / "service", {"archetype": "inference"})
    support.commit_all(folder, "The service as it was generated")
    (folder / "models/iris.onnx").write_bytes(b"\x08\x0a trained anew \xff")
    replace(folder / "local.mk", "Train the model anew", "Train my model")
    shutil.rmtree(folder / "training")
    for name in ("tests/test_training.py", "tests/test_predictions.py"):
        (folder / name).unlink()
    replace(folder / PACKAGE / "classifier.py", "A loaded model", "My model")
    replace(folder / PACKAGE / "wiring.py", "Load the model", "Load my model")
    replace(folder / "pyproject.toml", '    "numpy>=2.4,<3",', '    "numpy>=2.5,<3",')
    support.commit_all(folder, "My own work")
    files = support.git(folder, "ls-files").splitlines()
    mine = [name for name in files if name != ".copier-answers.yml" and "chassis" not in name]
    before = {name: (folder / name).read_bytes() for name in mine}

    release(template)
    update(folder)

    after = {name for name in mine if (folder / name).read_bytes() != before[name]}
    assert after == {
        "Makefile",
        "deploy/kubernetes/base/deployment.yaml",
        "gunicorn.conf.py",
        "monitoring/rules.yml",
        "ballast/pyproject.toml",
        f"{PACKAGE}/answers.py",
    }
    added = support.git(folder, "ls-files", "--others", "--exclude-standard").splitlines()
    assert added == [f"{PACKAGE}/chassis/brand_new.py"]
    assert '"numpy>=2.5,<3"' in (folder / "pyproject.toml").read_text("utf-8")
    assert_sound(folder)


def test_update_keeps_the_users_payments(template: Path, tmp_path: Path) -> None:
    """Their code, their tables and their migrations; the chassis' own migrations arrive."""
    folder = support.render(template, tmp_path / "service")
    support.commit_all(folder, "The service as it was generated")
    replace(folder / PACKAGE / "payments/store.py", "The table of", "My table of")
    (folder / PACKAGE / "payments/reconcile.py").unlink()
    (folder / "migrations/versions/0002_mine.py").write_text('"""My own."""\n')
    replace(folder / PACKAGE / "wiring.py", "Yours to change.", "Mine.")
    support.commit_all(folder, "My own work")
    mine = [
        *(folder / PACKAGE / "payments").glob("*.py"),
        *(folder / "migrations/versions").glob("*.py"),
        *(folder / PACKAGE / name for name in ("wiring.py", "settings.py")),
        folder / "tests/conftest.py",
    ]
    before = {path: path.read_bytes() for path in mine}

    release(template)
    update(folder)

    assert {path: path.read_bytes() for path in mine} == before
    assert not (folder / PACKAGE / "payments/reconcile.py").exists()
    assert not (folder / "migrations/versions/0002_more.py").exists()
    assert (folder / PACKAGE / "chassis/database/versions/chassis_9999.py").is_file()
    assert_sound(folder)


def test_update_without_a_new_release_changes_nothing(project: Path) -> None:
    """Updating to the version that is there is harmless."""
    update(project)

    assert support.git(project, "status", "--porcelain") == ""


def test_an_answer_can_be_changed(project: Path) -> None:
    """A new answer reaches the code, and only what follows from it changes."""
    update(project, drain_seconds="20")

    assert "drain_seconds=20," in (project / PACKAGE / "answers.py").read_text("utf-8")
    changed = support.git(project, "status", "--porcelain").splitlines()
    assert [line.split()[-1] for line in changed] == [
        ".copier-answers.yml",
        "compose.yaml",
        "deploy/kubernetes/base/deployment.yaml",
        f"{PACKAGE}/answers.py",
    ]
    assert_sound(project)


FROM_SQLITE_TO_REDIS = {
    "README.md",
    "docs/architecture.md",
    "docs/runbook.md",
    "local.mk",
    f"{PACKAGE}/payments/consumer.py",
    "tests/conftest.py",
    "tests/test_consumer.py",
}
FROM_NONE_TO_JWT = {
    "README.md",
    "docs/architecture.md",
    "docs/runbook.md",
    "deploy/compose/service.env",
    f"{PACKAGE}/payments/routes.py",
    "tests/conftest.py",
    "tests/test_access.py",
}
FROM_NONE_TO_SQLITE = {
    "README.md",
    "docs/architecture.md",
    "docs/runbook.md",
    "tests/conftest.py",
}


@pytest.mark.parametrize(
    ("before", "answers", "copied"),
    [
        ({}, {"database": "postgresql", "events": "redis"}, FROM_SQLITE_TO_REDIS),
        ({}, {"auth": "jwt"}, FROM_NONE_TO_JWT),
        ({"archetype": "minimal"}, {"database": "sqlite"}, FROM_NONE_TO_SQLITE),
    ],
    ids=["postgresql and redis", "jwt", "sqlite"],
)
def test_what_a_changed_answer_leaves_to_the_user_is_told(
    template: Path,
    tmp_path: Path,
    before: dict[str, str],
    answers: dict[str, str],
    copied: set[str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The update prints the commands; what they show is what the documentation says to copy.

    With those files copied the service is the one that the new answers make.
    """
    project = support.render(template, tmp_path / "service", before)
    support.commit_all(project, "The service as it was generated")
    copier.run_update(project, data=answers, defaults=True, overwrite=True, unsafe=False)
    assert_sound(project)
    support.commit_all(project, "With new answers")
    told = capfd.readouterr().err

    (copy, compare) = re.findall(r"^ +(uvx copier copy .*|diff -r .*)$", told, re.MULTILINE)
    copier_itself = [sys.executable, "-m", *shlex.split(copy)[1:]]  # without uvx
    support.run(copier_itself, project)
    assert support.git(project, "status", "--porcelain") == "", "nothing of the user's is touched"

    fresh = tmp_path / "payment-api-fresh"
    different = support.run([*shlex.split(compare), "-q"], project, check=False).stdout
    assert set(_different(different, fresh)) == copied
    page = (support.REPOSITORY / "docs/updates.md").read_text("utf-8")
    for name in copied:
        assert f"`{name.replace('payment_api', '<package>')}`" in page
    for name in copied:
        shutil.copy(fresh / name, project / name)
    support.run(shlex.split(compare), project)


def _different(told: str, fresh: Path) -> list[str]:
    """The files that `diff -rq` names."""
    only = re.findall(
        rf"^Only in {re.escape('../' + fresh.name)}(/?\S*): (\S+)$", told, re.MULTILINE
    )
    differ = re.findall(r"^Files \./(\S+) and ", told, re.MULTILINE)
    return [f"{folder}/{name}".lstrip("/") for folder, name in only] + differ


def test_a_renamed_service_keeps_its_package(project: Path) -> None:
    """The package is fixed at the start: a rename of it would lose every edit in it."""
    update(project, service_name="billing-api")

    answers = (project / PACKAGE / "answers.py").read_text("utf-8")
    assert 'service_name="billing-api"' in answers
    assert (project / PACKAGE / "routes/orders.py").read_text("utf-8") == ORDERS
    assert not (project / "src/billing_api").exists()
    assert_sound(project)


def test_a_wrong_answer_changes_nothing(project: Path) -> None:
    """A wrong answer stops an update before it has touched a file."""
    with pytest.raises(ValueError, match="drain_seconds"):
        update(project, drain_seconds="1")

    assert support.git(project, "status", "--porcelain") == ""


def test_a_description_with_braces_survives(template: Path, tmp_path: Path) -> None:
    """Answers are data: one that looks like Jinja isn't evaluated by an update either."""
    prose = "{{ service_name }} \"and\" 'quotes' \\ {% raw %}"
    folder = support.render(template, tmp_path / "service", {"description": prose})
    support.commit_all(folder, "The service as it was generated")

    release(template)
    update(folder)

    assert prose in (folder / "README.md").read_text("utf-8")
    assert prose in (folder / "pyproject.toml").read_text("utf-8").replace('\\"', '"').replace(
        "\\\\", "\\"
    )
    assert_sound(folder)


def test_a_target_can_be_added_later(tmp_path: Path, template: Path) -> None:
    """Who turns to PostgreSQL and Kubernetes gets all of it, the overlays too."""
    folder = support.render(template, tmp_path / "service")
    support.commit_all(folder, "The service as it was generated")
    assert not (folder / "deploy/kubernetes").exists()

    update(folder, database="postgresql", deploy="[compose, kubernetes]")

    assert (folder / "deploy/kubernetes/base/migration.yaml").is_file()
    assert (folder / OVERLAY / "settings.env").is_file()
    assert_sound(folder)
