"""The pipelines of a rendered service, as data: GitHub's workflow and GitLab's jobs."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

WORKFLOW = ".github/workflows/ci.yml"
UPDATES = ".github/workflows/template-update.yml"
PIPELINE = ".gitlab-ci.yml"

VARIANTS: Mapping[str, Mapping[str, str]] = {
    "defaults": {},
    "servers": {"database": "postgresql", "events": "redis", "auth": "jwt", "tracing": "yes"},
    "postgresql": {"database": "postgresql", "python_version": "3.12", "deploy": "[kubernetes]"},
    "minimal": {"archetype": "minimal", "deploy": "[]", "python_version": "3.11"},
    "inference": {"archetype": "inference", "service_name": "x" * 30},
}
"""Answers whose pipelines differ; `ci` is to be added."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2 as GitHub reads it: `on` is a key, and no truth value."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))


def read(path: Path) -> dict[str, Any]:
    """The file as data."""
    found: dict[str, Any] = yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506 - a safe one
    return found


def jobs(project: Path) -> dict[str, dict[str, Any]]:
    """The jobs of either."""
    if (project / PIPELINE).exists():
        return gitlab_jobs(project)
    found: dict[str, dict[str, Any]] = workflow(project)["jobs"]
    return found


def workflow(project: Path, name: str = WORKFLOW) -> dict[str, Any]:
    """A workflow of GitHub's: the checks of each push, or another."""
    return read(project / name)


def gitlab_jobs(project: Path) -> dict[str, dict[str, Any]]:
    """GitLab's jobs, each with all that it extends."""
    found = read(project / PIPELINE)
    keywords = {"include", "stages", "workflow", "default", "variables"}
    named = {name: job for name, job in found.items() if name not in keywords}
    return {name: _whole(job, named) for name, job in named.items() if name[0] != "."}


def _whole(job: dict[str, Any], named: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    if "extends" not in job:
        return dict(job)
    whole = _whole(named[job["extends"]], named)
    merged = {
        key: whole[key] | value if isinstance(value, dict) and key in whole else value
        for key, value in job.items()
    }
    return whole | merged


def commands(job: Mapping[str, Any]) -> Iterator[str]:
    """What a job of either runs, line by line."""
    for step in job.get("steps", []):
        if "run" in step:
            yield from step["run"].splitlines()
    yield from job.get("before_script", [])
    yield from job.get("script", [])


def targets(project: Path) -> set[str]:
    """The targets of the service's Makefile."""
    return set(re.findall(r"^([a-z-]+)::?(?!=)", (project / "Makefile").read_text("utf-8"), re.M))
