"""A push to GitHub would be green: each step of the workflow is run in a service, as it stands.

All but the image's, which the container tests build. A stand-in knows the vulnerabilities.
"""

import json
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import docs_code
import pipelines
import pytest
import servers
import sessions
import support

PAGE = support.REPOSITORY / "docs/ci.md"
JOBS = ("lint", "tests", "dependencies")
PROJECTS = pytest.mark.parametrize(
    "answers",
    [pytest.param({}, id="defaults"), pytest.param(support.EVERY_FEATURE, id="every-feature")],
)


class Osv(BaseHTTPRequestHandler):
    """The parts of osv.dev that are asked: which packages are vulnerable, and by what."""

    vulnerable: Mapping[str, str] = {}

    def do_POST(self) -> None:
        """Answer a query for many packages."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        names = [query["package"]["name"] for query in asked["queries"]]
        self._answer(
            {
                "results": [
                    {"vulns": [{"id": self.vulnerable[name], "modified": "2026-11-01T00:00:00Z"}]}
                    if name in self.vulnerable
                    else {}
                    for name in names
                ]
            }
        )

    def do_GET(self) -> None:
        """Answer what a vulnerability is."""
        name = self.path.rpartition("/")[2]
        self._answer({"id": name, "modified": "2026-11-01T00:00:00Z", "summary": "Made up"})

    def _answer(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def osv(vulnerable: Mapping[str, str]) -> Iterator[str]:
    """The address of a database in which these packages have these vulnerabilities."""
    handler = type("Handler", (Osv,), {"vulnerable": vulnerable})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def project(
    answers: Mapping[str, str], render: Callable[..., Path], tmp_path: Path
) -> Iterator[Path]:
    """A service as it is pushed first, with its lock."""
    project = render(tmp_path / "service", answers)
    support.run(["uv", "lock", "--quiet"], project)
    support.commit_all(project, "The service")
    yield project
    assert support.git(project, "status", "--porcelain") == "", "CI leaves something behind"


@pytest.fixture
def environment(answers: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """What the runner's environment has besides: servers where the workflow says they are."""
    with ExitStack() as stack:
        given = {"PYTEST_ADDOPTS": "--ignore=tests/chassis"}  # test_generated_service.py runs them
        if answers.get("database") == "postgresql":
            given["TEST_DATABASE_URL"] = stack.enter_context(servers.postgres()).create("tests")
            given["TEST_REDIS_URL"] = stack.enter_context(servers.redis()).url()
        given["AUDIT_OPTIONS"] = f"--service-url {stack.enter_context(osv({}))}"
        yield given


def step(
    project: Path, command: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a step as a runner does, in an environment of its own."""
    return subprocess.run(
        ["bash", "-e", "-c", command],
        cwd=project,
        env={**support.clean_environment(), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


@PROJECTS
def test_every_step_is_green(project: Path, environment: dict[str, str]) -> None:
    """In the order of the workflow, with its environment; and the jobs do leave their results."""
    support.require_engine("promtool")
    workflow = pipelines.workflow(project)
    assert set(workflow["jobs"]) == {*JOBS, "image"}
    output = {}
    for name in JOBS:
        job = workflow["jobs"][name]
        assert environment.keys() >= job.get("env", {}).keys()
        for command in pipelines.commands(job):
            done = step(project, command, {**workflow["env"], **environment})
            assert done.returncode == 0, f"{name}: {command}\n{done.stdout}\n{done.stderr}"
            output[command] = done.stdout + done.stderr

    assert " passed" in output["make test"]
    assert "skipped" not in output["make test"]
    assert "back from" in output["make migration-check"]
    assert "SUCCESS" in output["make alerts"]
    assert_lists_the_dependencies(project)


def assert_lists_the_dependencies(project: Path) -> None:
    """The bill of materials has what the image has, and no tool of development."""
    bill = json.loads((project / "dist/sbom.cdx.json").read_text("utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    listed = {component["name"] for component in bill["components"]}
    locked = tomllib.loads((project / "uv.lock").read_text("utf-8"))["package"]
    assert {"fastapi", "gunicorn", "uvloop"} <= listed <= {package["name"] for package in locked}
    assert not {"pytest", "ruff"} & listed


@pytest.mark.parametrize("answers", [{"archetype": "minimal"}])
def test_a_first_push_without_a_lock_is_told_what_to_do(
    answers: Mapping[str, str], render: Callable[..., Path], tmp_path: Path
) -> None:
    """As the page says; so is one whose lock is of yesterday."""
    project = render(tmp_path / "service", answers)
    locked = {"UV_LOCKED": "1"}
    typed, printed = sessions.typed(PAGE, "make locked")
    done = step(project, typed, locked)
    assert done.returncode != 0
    assert done.stderr.splitlines()[:-1] == printed, "and make's own line, that it failed"

    support.run(["uv", "lock", "--quiet"], project)
    assert step(project, "make locked", locked).returncode == 0

    support.run(["uv", "add", "--quiet", "--frozen", "tzdata"], project)
    done = step(project, "make locked", locked)
    assert done.returncode != 0
    assert "uv.lock isn't that of pyproject.toml: run 'uv lock' and commit it" in done.stderr


@pytest.mark.parametrize("answers", [{"archetype": "minimal"}])
def test_a_vulnerability_is_found_and_may_be_accepted(
    answers: Mapping[str, str], render: Callable[..., Path], tmp_path: Path
) -> None:
    """It is named with its package, until somebody accepts it as the page says."""
    accepted = docs_code.shown(PAGE, "[tool.uv.audit]")
    lists = tomllib.loads(accepted)["tool"]["uv"]["audit"]
    (touches_nobody,), (for_now,) = lists["ignore"], lists["ignore-until-fixed"]
    project = render(tmp_path / "service", answers)
    support.run(["uv", "lock", "--quiet"], project)
    with osv({"gunicorn": touches_nobody, "fastapi": for_now}) as address:
        options = {"AUDIT_OPTIONS": f"--service-url {address}"}
        done = step(project, "make audit", options)
        assert done.returncode != 0
        for named in ("gunicorn", touches_nobody, "fastapi", for_now):
            assert named in done.stdout

        with (project / "pyproject.toml").open("a") as file:
            file.write(f"\n{accepted}")
        assert step(project, "make audit", options).returncode == 0


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_a_step_is_added_in_the_users_own_file(
    ci: str, render: Callable[..., Path], tmp_path: Path
) -> None:
    """`local.mk` says what is done first in each job, and what is checked besides."""
    project = render(tmp_path / "service", {"archetype": "minimal", "ci": ci})
    (project / "local.mk").write_text(
        "ci-setup::\n\t@echo prepared\n\nci-checks::\n\t@echo one\n\nci-checks::\n\t@echo two\n"
    )
    for job in pipelines.jobs(project).values():
        assert "make ci-setup" in list(pipelines.commands(job))
    assert step(project, "make ci-setup", {}).stdout == "prepared\n"
    assert step(project, "make ci-checks", {}).stdout == "one\ntwo\n"
