"""`make update-propose`: what a schedule opens, and that it never fails without a word.

The forge is a server of this test and a bare repository; copier is a script that changes a file.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import support

SCRIPTS = support.REPOSITORY / "template/ballast"
TOKEN = "secret-of-the-forge"  # noqa: S105
FORGES = ("github", "gitlab")
CONFLICT = "printf '<<<<<<< before\\nours\\n=======\\ntheirs\\n>>>>>>> after\\n' > Makefile"


class Api(BaseHTTPRequestHandler):
    """The parts of both interfaces that are used."""

    opened: dict[str, list[dict[str, Any]]]
    refuses: set[str]

    def do_GET(self) -> None:
        """List what is open."""
        self._answer(200, self.opened.get(self._kind(), []))

    def do_POST(self) -> None:
        """Open something."""
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._kind() in self.refuses:
            self._answer(403, {"message": "not permitted"})
            return
        proof = self.headers["Authorization"] or self.headers["PRIVATE-TOKEN"]
        assert proof.removeprefix("Bearer ") == TOKEN
        address = f"https://forge/{self._kind()}/1"
        self.opened.setdefault(self._kind(), []).append(
            {**content, "html_url": address, "web_url": address}
        )
        self._answer(201, self.opened[self._kind()][-1])

    def _kind(self) -> str:
        return self.path.partition("?")[0].rpartition("/")[2]

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


class Service:
    """A service, its template, and the forge that it is kept on."""

    def __init__(self, folder: Path, forge: str, address: str, api: type[Api]) -> None:
        self.folder = folder / "service"
        self.remote = folder / "forge/team/service.git"
        self.opened = api.opened
        self.refuses = api.refuses
        self._programs = folder / "bin"
        self._programs.mkdir()
        template = folder / "template"
        self._release(template)
        for name in ("update.py", "propose.py"):
            (self.folder / "ballast").mkdir(parents=True, exist_ok=True)
            shutil.copy2(SCRIPTS / name, self.folder / "ballast")
        (self.folder / ".gitignore").write_text("__pycache__/\n")
        (self.folder / "Makefile").write_text("run:\n")
        (self.folder / ".copier-answers.yml").write_text(
            f"_src_path: {template.as_uri()}\n_commit: v1.0.0\n"
        )
        support.commit_all(self.folder, "The service")
        support.git(folder, "clone", "--quiet", "--bare", str(self.folder), str(self.remote))
        self.copier("echo new >> Makefile")
        at = self.remote.parent.parent.as_uri()
        self.settings = {
            "github": {
                "GITHUB_ACTIONS": "true",
                "GITHUB_API_URL": address,
                "GITHUB_REF_NAME": "main",
                "GITHUB_REPOSITORY": "team/service",
                "GITHUB_SERVER_URL": at,
            },
            "gitlab": {
                "CI_API_V4_URL": address,
                "CI_COMMIT_BRANCH": "main",
                "CI_PROJECT_ID": "7",
                "CI_PROJECT_URL": f"{at}/team/service",
            },
        }[forge] | {"TEMPLATE_UPDATE_TOKEN": TOKEN}

    def _release(self, template: Path) -> None:
        template.mkdir()
        (template / "releases.toml").write_text('[[release]]\nversion = "1.0.0"\n')
        support.commit_all(template, "One", "v1.0.0")
        (template / "releases.toml").write_text(
            '[[release]]\nversion = "2.0.0"\nbreaking = ["the sky is green"]\n'
        )
        support.commit_all(template, "Two", "v2.0.0")

    def program(self, name: str, text: str) -> None:
        """Put a program first on the PATH."""
        path = self._programs / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def copier(self, text: str) -> None:
        """What an update does to the files."""
        self.program("copier", text)

    def propose(self, **settings: str) -> subprocess.CompletedProcess[str]:
        """What a run of CI does, in a checkout of its own."""
        environment = support.clean_environment()
        environment["PATH"] = f"{self._programs}{os.pathsep}{environment['PATH']}"
        support.git(self.folder, "switch", "--quiet", "--detach", "main")
        done = subprocess.run(
            ["python3", "ballast/propose.py"],
            cwd=self.folder,
            env={**environment, **self.settings, **settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert TOKEN not in done.stdout + done.stderr
        support.git(self.folder, "switch", "--quiet", "--detach", "main")
        if support.git(self.folder, "branch", "--list", "template/*"):
            support.git(self.folder, "branch", "--quiet", "-D", "template/v2.0.0")
        return done

    def branches(self) -> set[str]:
        """What the forge has."""
        listed = support.git(self.remote, "for-each-ref", "--format=%(refname:short)")
        return set(listed.splitlines())

    def on_branch(self, path: str) -> str:
        """A file as the request has it."""
        return support.git(self.remote, "show", f"template/v2.0.0:{path}")

    def requests(self) -> list[dict[str, Any]]:
        """What was opened, by names that both forges share."""
        found = self.opened.get("pulls", []) + self.opened.get("merge_requests", [])
        return [with_body(one) for one in found]

    def issues(self) -> list[dict[str, Any]]:
        """The issues that were opened."""
        return [with_body(one) for one in self.opened.get("issues", [])]


def with_body(one: dict[str, Any]) -> dict[str, Any]:
    """The text by the name that GitHub gives it."""
    return {**one, "body": one.get("body", one.get("description"))}


@pytest.fixture(params=FORGES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """A service on either forge; its template has a newer release."""
    api: type[Api] = type("Forge", (Api,), {"opened": {}, "refuses": set()})
    with ThreadingHTTPServer(("127.0.0.1", 0), api) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_port}"
            yield Service(tmp_path, request.param, address, api)
        finally:
            server.shutdown()
            thread.join()


def test_what_is_new_is_opened_once(service: Service) -> None:
    """On a branch of its own, with what the update says; a second run leaves it alone."""
    first, second = service.propose(), service.propose()

    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert "/1" in first.stdout
    assert "is there already" in second.stdout
    (opened,) = service.requests()
    assert opened["title"] == "Update the template to v2.0.0"
    assert "2.0.0 is different: the sky is green" in opened["body"]
    assert opened.get("head", opened.get("source_branch")) == "template/v2.0.0"
    assert opened.get("base", opened.get("target_branch")) == "main"
    assert service.on_branch("Makefile") == "run:\nnew"
    assert support.git(service.remote, "show", "main:Makefile") == "run:"
    assert service.issues() == []


def test_nothing_new_opens_nothing(service: Service) -> None:
    """It asks the forge nothing, even."""
    answers = service.folder / ".copier-answers.yml"
    answers.write_text(answers.read_text("utf-8").replace("v1.0.0", "v2.0.0"))
    support.commit_all(service.folder, "Updated")

    done = service.propose()

    assert done.stdout == "v2.0.0 is the newest release.\n"
    assert service.opened == {}


def test_a_conflict_is_in_the_title(service: Service) -> None:
    """The markers are on the branch, and the text says which files have them."""
    service.copier(CONFLICT)

    done = service.propose()

    assert done.returncode == 0, done.stderr
    (opened,) = service.requests()
    assert opened["title"].endswith("needs you before it can be merged")
    assert "In conflict" in opened["body"]
    assert "\n  Makefile\n" in opened["body"]
    assert service.on_branch("Makefile").startswith("<<<<<<< before")


def test_a_migration_is_told_and_not_run(service: Service) -> None:
    """An issue says what it would run, once; a variable lets it."""
    template = service.folder.parent / "template"
    with (template / "releases.toml").open("a") as file:
        file.write('migrations = { "sky.py" = "paints the sky" }\n')
    support.commit_all(template, "Three")
    support.git(template, "tag", "--force", "v2.0.0")
    service.copier('echo "$@" >> Makefile')

    first, second = service.propose(), service.propose()
    told = service.issues()
    branches = service.branches()
    trusted = service.propose(TEMPLATE_UPDATE_TRUST="1")

    assert (first.returncode, second.returncode, trusted.returncode) == (0, 0, 0)
    (issue,) = told
    assert issue["title"] == "The template's v2.0.0 needs you"
    assert "runs hooks/migrations/sky.py, which paints the sky" in issue["body"]
    assert "make update TRUST=1" in issue["body"]
    assert branches == {"main"}
    assert len(service.requests()) == 1
    assert "--trust" in service.on_branch("Makefile")


def test_what_goes_wrong_is_told(service: Service) -> None:
    """An update that fails is an issue, with what it says."""
    service.copier("echo 'No space left on device' >&2; exit 1")

    done = service.propose()

    assert done.returncode == 0, done.stderr
    (issue,) = service.issues()
    assert "No space left on device" in issue["body"]
    assert "Everything is as it was." in issue["body"]
    assert service.branches() == {"main"}


def test_a_push_that_is_refused_is_told(service: Service) -> None:
    """As GitHub's own token is, where a workflow changes."""
    hook = service.remote / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'without `workflows` permission' >&2\nexit 1\n")
    hook.chmod(0o755)

    done = service.propose()

    assert done.returncode == 0, done.stderr
    (issue,) = service.issues()
    assert "The branch template/v2.0.0 can't be pushed." in issue["body"]
    assert "without `workflows` permission" in issue["body"]
    assert service.requests() == []


def test_a_request_that_is_refused_is_tried_again(service: Service) -> None:
    """The job is red, and the branch doesn't stand in the way of the next run."""
    service.refuses.update({"pulls", "merge_requests"})
    refused = service.propose()
    left = service.branches()
    service.refuses.clear()
    again = service.propose()

    assert refused.returncode == 1
    assert "answered 403" in refused.stderr
    assert "not permitted" in refused.stderr
    assert left == {"main"}
    assert again.returncode == 0, again.stderr
    assert len(service.requests()) == 1


def test_dependencies_are_locked_and_nobody_else_sees_the_token(service: Service) -> None:
    """The lock is of the new version, although CI forbids changes of it; tokens stay here."""
    (service.folder / "uv.lock").write_text("old\n")
    support.commit_all(service.folder, "Lock")
    service.copier("env > seen")
    service.program("uv", 'env >> seen; echo "locked=$UV_LOCKED" > uv.lock')

    tokens = dict.fromkeys(("GITHUB_TOKEN", "CI_JOB_TOKEN"), "another")
    done = service.propose(UV_LOCKED="1", **tokens)

    assert done.returncode == 0, done.stderr
    assert service.on_branch("uv.lock") == "locked=0"
    seen = service.on_branch("seen")
    assert "PATH=" in seen
    assert "_TOKEN=" not in seen


@pytest.mark.parametrize("service", ["github"], indirect=True)
def test_without_a_token_it_says_so(service: Service) -> None:
    """And by hand, that there is another command."""
    missing = service.propose(TEMPLATE_UPDATE_TOKEN="")
    service.settings = {"TEMPLATE_UPDATE_TOKEN": TOKEN}
    by_hand = service.propose()

    assert (missing.returncode, by_hand.returncode) == (1, 1)
    assert "TEMPLATE_UPDATE_TOKEN isn't set" in missing.stderr
    assert "by hand: make update" in by_hand.stderr
