"""Open what is new in the template as a pull request, or a merge request: `make update-propose`.

CI runs it on a schedule. It updates on a branch of its own, such as `template/v1.2.0`; while that
is there, it does nothing. Conflicts are committed as they stand, and the request says so. Where
nothing can be looked over, because a migration has to be trusted first or something went wrong, it
opens an issue.

Environment: what GitHub Actions or GitLab CI sets, and besides

    TEMPLATE_UPDATE_TOKEN    may push, and open requests and issues
    TEMPLATE_UPDATE_TRUST    1: let the update run migrations (it never sees the token)
"""

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import update
from update import Failure

TOKEN = "TEMPLATE_UPDATE_TOKEN"  # noqa: S105 - its name
AUTHOR = ("-c", "user.name=Template update", "-c", "user.email=template-update@localhost")
SECONDS = 30


class Forge(ABC):
    """Where the service is kept: what can be pushed and opened there."""

    user: str
    """The name beside the token."""
    base: str
    """The branch that is updated."""
    address: str
    """Where git pushes to."""
    api: str
    """Where the rest is asked for."""

    def git(self, *arguments: str) -> str:
        """Run git with the token."""
        # It stays in the environment: a command's arguments can be read by everybody.
        helper = f'!f() {{ echo "username={self.user}"; echo "password=${TOKEN}"; }}; f'
        return update.run(
            "git", "-c", "credential.helper=", "-c", f"credential.helper={helper}", *arguments
        )

    def has(self, branch: str) -> bool:
        """Whether it has a branch."""
        return bool(self.git("ls-remote", "--heads", self.address, f"refs/heads/{branch}"))

    def ask(self, path: str, content: Mapping[str, object] | None = None) -> Any:
        """Get something, or send it."""
        request = urllib.request.Request(  # noqa: S310 - CI says where
            f"{self.api}/{path}",
            data=None if content is None else json.dumps(content).encode(),
            headers={"Content-Type": "application/json", **self.proof()},
        )
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as reply:  # noqa: S310
                return json.load(reply)
        except urllib.error.HTTPError as error:
            said = error.read().decode("utf-8", "replace")
            raise Failure(f"{request.full_url} answered {error.code}: {said}") from None
        except OSError as error:
            raise Failure(f"{request.full_url} can't be reached: {error}") from None

    @abstractmethod
    def proof(self) -> dict[str, str]:
        """The headers that say who asks."""

    @abstractmethod
    def request(self, branch: str, title: str, text: str) -> str:
        """Open a request to merge the branch; returns its address."""

    @abstractmethod
    def issue(self, title: str, text: str) -> str:
        """Open an issue, or find the one that is open already; returns its address."""


class GitHub(Forge):
    """GitHub: docs.github.com/rest."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.user = "x-access-token"
        self.base = environment["GITHUB_REF_NAME"]
        name = environment["GITHUB_REPOSITORY"]
        self.address = f"{environment['GITHUB_SERVER_URL']}/{name}.git"
        self.api = f"{environment['GITHUB_API_URL']}/repos/{name}"
        self._token = environment[TOKEN]

    def proof(self) -> dict[str, str]:
        """See Forge."""
        return {"Authorization": f"Bearer {self._token}", "Accept": "application/vnd.github+json"}

    def request(self, branch: str, title: str, text: str) -> str:
        """See Forge."""
        content = {"head": branch, "base": self.base, "title": title, "body": text}
        return str(self.ask("pulls", content)["html_url"])

    def issue(self, title: str, text: str) -> str:
        """See Forge."""
        for one in self.ask("issues?state=open&per_page=100"):
            if one["title"] == title:
                return str(one["html_url"])
        return str(self.ask("issues", {"title": title, "body": text})["html_url"])


class GitLab(Forge):
    """GitLab: docs.gitlab.com/api."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.user = "oauth2"
        self.base = environment["CI_COMMIT_BRANCH"]
        self.address = f"{environment['CI_PROJECT_URL']}.git"
        self.api = f"{environment['CI_API_V4_URL']}/projects/{environment['CI_PROJECT_ID']}"
        self._token = environment[TOKEN]

    def proof(self) -> dict[str, str]:
        """See Forge."""
        return {"PRIVATE-TOKEN": self._token}

    def request(self, branch: str, title: str, text: str) -> str:
        """See Forge."""
        content = {"source_branch": branch, "target_branch": self.base, "title": title}
        content |= {"description": text}
        return str(self.ask("merge_requests", {**content, "remove_source_branch": True})["web_url"])

    def issue(self, title: str, text: str) -> str:
        """See Forge."""
        query = urllib.parse.urlencode({"state": "opened", "in": "title", "search": title})
        for one in self.ask(f"issues?{query}"):
            if one["title"] == title:
                return str(one["web_url"])
        return str(self.ask("issues", {"title": title, "description": text})["web_url"])


def main(environment: Mapping[str, str]) -> int:
    """Open what is new, if there is something."""
    try:
        source, current = update.recorded()
        target = update.newest(source)
        if update.number(target) <= update.number(current):
            print(f"{current} is the newest release.")
            return 0
        print(propose(forge_of(environment), target, environment))
    except Failure as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


def forge_of(environment: Mapping[str, str]) -> Forge:
    """The one that this runs on."""
    if not environment.get(TOKEN):
        raise Failure(f"{TOKEN} isn't set: without it nothing can be opened")
    try:
        return (GitHub if "GITHUB_ACTIONS" in environment else GitLab)(environment)
    except KeyError as missing:
        raise Failure(f"{missing} isn't set: this is run by CI; by hand: make update") from None


def propose(forge: Forge, target: str, environment: Mapping[str, str]) -> str:
    """Update on a branch and open it, or an issue; returns what was done."""
    branch = f"template/{target}"
    if forge.has(branch):
        return f"The branch {branch} is there already."
    update.refuse_uncommitted()
    update.run("git", "switch", "--quiet", "--create", branch)
    done, said = updated(target, environment)
    stuck = f"The template's {target} needs you"
    if not update.run("git", "status", "--porcelain"):
        return f"Nothing could be changed: {forge.issue(stuck, quoted(said))}"
    said += locked(environment)
    update.run("git", "add", "--all")
    update.run("git", *AUTHOR, "commit", "--quiet", "--message", f"Update the template to {target}")
    try:
        forge.git("push", "--quiet", forge.address, f"HEAD:refs/heads/{branch}")
    except Failure as failure:
        told = f"The branch {branch} can't be pushed.\n\n{quoted(str(failure))}"
        return f"It can't be pushed: {forge.issue(stuck, told)}"
    title, text = f"Update the template to {target}", quoted(said)
    if not done:
        title += ": needs you before it can be merged"
        text += f"\nSettle it on the branch, and push: `git switch {branch}`.\n"
    try:
        return f"Opened {forge.request(branch, title, text)}"
    except Failure:
        forge.git("push", "--quiet", forge.address, f":refs/heads/{branch}")  # for the next time
        raise


def updated(target: str, environment: Mapping[str, str]) -> tuple[bool, str]:
    """Run `make update`'s script; whether nothing is left to do, and what it says."""
    command = [sys.executable, "ballast/update.py", "--to", target]
    if environment.get("TEMPLATE_UPDATE_TRUST") == "1":
        command.append("--trust")
    done = subprocess.run(  # noqa: S603
        command,
        env=without_tokens(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode == 0, done.stdout


def locked(environment: Mapping[str, str]) -> str:
    """Lock the dependencies of the new version; returns what keeps that from being done."""
    if not Path("uv.lock").is_file() or not shutil.which("uv"):
        return ""
    may_change = {**without_tokens(environment), "UV_LOCKED": "0"}
    command = ["uv", "lock", "--quiet"]
    done = subprocess.run(command, env=may_change, capture_output=True, text=True)  # noqa: S603
    return "" if done.returncode == 0 else f"\n`uv lock` failed, and is left to do:\n{done.stderr}"


def without_tokens(environment: Mapping[str, str]) -> dict[str, str]:
    """What others' code may see of the environment."""
    return {name: value for name, value in environment.items() if not name.endswith("_TOKEN")}


def quoted(said: str) -> str:
    """What a program has said, as Markdown."""
    text = said.strip().replace("```", "'''")
    return f"```text\n{text}\n```\n"


if __name__ == "__main__":
    sys.exit(main(os.environ))
