"""Every variant renders in one go, formatted, lint-free and valid, and hands over the same chassis.

The variants cover each pair of answers at least once, and each answer's default and extremes.
"""

import compileall
import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import jinja2
import pytest
import support
import yaml
from allpairspy import AllPairs

VALUES: dict[str, list[str]] = {
    "service_name": ["payment-api", "a", "x" + "-1" * 14 + "z", "match-1"],
    "description": [
        "An HTTP API that keeps its promises",
        "§",
        'She said "go", and didn\'t: \\ 100 % – ☃ 😀 #',
        "x" * 100,
    ],
    "archetype": ["payments", "minimal", "inference"],
    "cpu_limit": ["2", "0.1", "500m", "1.250", "256"],
    "memory_per_worker_mib": ["150", "32", "65536"],
    "memory_limit_mib": ["1024", "64", "1048576"],
    "workload": ["io", "cpu"],
    "database": ["sqlite", "postgresql", "none"],
    "events": ["log", "redis"],
    "auth": ["none", "jwt"],
    "replicas_min": ["1", "3", "1000"],
    "replicas_max": ["1", "6", "1000"],
    "database_max_connections": ["100", "1000000"],
    "request_timeout_seconds": ["15", "1", "300"],
    "drain_seconds": ["10", "3", "120"],
    "keepalive_seconds": ["5", "1", "600"],
    "deploy": ["[compose]", "[compose, kubernetes]", "[kubernetes]", "[]"],
    "python_version": ["3.13", "3.12", "3.11"],
    "base_image": ["distroless", "slim"],
    "ci": ["github", "gitlab", "none"],
    "tracing": ["no", "yes"],
}
NAMES = list(VALUES)
# Others have templates too: `{{ $labels.name }}` of Prometheus, `{{name}}` of Grafana, `{{.Size}}`
# of Docker, `${{ name }}` of GitHub.
LEFT_OVER = re.compile(rb"(?<!\$){{(?! ?\$|[a-z_]+}}|\.[A-Z])|{%|{#")


Chosen = dict[str, str]


def holds_a_worker(chosen: Chosen) -> bool:
    """The memory is enough for one worker and the reserve."""
    limit = int(chosen["memory_limit_mib"])
    return limit - limit // 4 >= int(chosen["memory_per_worker_mib"])


def has_its_database(chosen: Chosen) -> bool:
    """Payments are stored somewhere."""
    return chosen["archetype"] != "payments" or chosen["database"] != "none"


def has_a_source_of_events(chosen: Chosen) -> bool:
    """Events come from a database."""
    return chosen["events"] == "log" or chosen["database"] != "none"


def shares_its_database(chosen: Chosen) -> bool:
    """A file isn't shared by replicas."""
    return chosen["database"] != "sqlite" or chosen["replicas_max"] == "1"


def is_deployable(chosen: Chosen) -> bool:
    """A file isn't moved between nodes."""
    return chosen["database"] != "sqlite" or "kubernetes" not in chosen["deploy"]


def has_a_range(chosen: Chosen) -> bool:
    """At most isn't less than at least."""
    return int(chosen["replicas_min"]) <= int(chosen["replicas_max"])


def has_connections(chosen: Chosen) -> bool:
    """Each worker of a rollout gets a connection."""
    limit = int(chosen["memory_limit_mib"])
    held = (limit - limit // 4) // int(chosen["memory_per_worker_mib"])
    text = chosen["cpu_limit"]
    cpu = int(text[:-1]) / 1000 if text.endswith("m") else float(text)
    fed = math.ceil(cpu) if chosen["workload"] == "cpu" else math.floor(2 * cpu + 1)
    sharers = max(1, min(fed, held)) * (2 * int(chosen["replicas_max"]) + 1)
    most = int(chosen["database_max_connections"]) - 10
    return chosen["database"] != "postgresql" or sharers <= most


def has_its_python(chosen: Chosen) -> bool:
    """There are distroless images of one version only."""
    return chosen["base_image"] == "slim" or chosen["python_version"] == "3.13"


RULES = (
    holds_a_worker,
    has_its_database,
    has_a_source_of_events,
    shares_its_database,
    is_deployable,
    has_its_python,
    has_a_range,
    has_connections,
)


def may_stand_together(row: list[str]) -> bool:
    """Whether the answers so far are legal; what a rule needs may not be there yet."""
    chosen = dict(zip(NAMES, row, strict=False))
    for rule in RULES:
        with suppress(KeyError):
            if not rule(chosen):
                return False
    return True


def asked(chosen: Chosen) -> Chosen:
    """Without the answers to questions that aren't asked."""
    unasked = {
        "events": chosen["database"] == "none",
        "database_max_connections": chosen["database"] != "postgresql",
    }
    return {name: value for name, value in chosen.items() if not unasked.get(name)}


def variants() -> Iterator[object]:
    """The answers of each variant, the defaults first."""
    yield pytest.param({}, id="defaults")
    yield pytest.param({"archetype": "inference"}, id="defaults-of-inference")
    rows = AllPairs(list(VALUES.values()), filter_func=may_stand_together)
    for number, row in enumerate(rows, start=1):
        answers = asked(dict(zip(NAMES, row, strict=True)))
        yield pytest.param(answers, id=f"pairs-{number:02d}")


def flags(answers: Mapping[str, str]) -> dict[str, bool]:
    """What the names of files and folders ask for."""
    archetype = answers.get("archetype", "payments")
    database = answers.get("database", "sqlite" if archetype == "payments" else "none")
    deploy = answers.get("deploy", "compose" if database == "sqlite" else "compose, kubernetes")
    return {
        **{name: archetype == name for name in ("payments", "minimal", "inference")},
        **{name: database == name for name in ("sqlite", "postgresql")},
        **{name: name in deploy for name in ("compose", "kubernetes")},
        **{name: answers.get("ci", "github") == name for name in ("github", "gitlab")},
        "sql": database != "none",
        "redis": database != "none" and answers.get("events") == "redis",
        "jwt": answers.get("auth") == "jwt",
        "tracing": answers.get("tracing") == "yes",
    }


def rendered_path(template_path: Path, answers: Mapping[str, str]) -> Path | None:
    """Where the file of the template stands in a project; None where it has no place in it."""
    named = {
        **flags(answers),
        "package_name": answers.get("service_name", "payment-api").replace("-", "_"),
        "_copier_conf": {"answers_file": ".copier-answers.yml"},
    }
    parts = [rendered_part(part, named) for part in template_path.parts]
    return Path(*parts[:-1], parts[-1].removesuffix(".jinja")) if all(parts) else None


def rendered_part(part: str, named: Mapping[str, object]) -> str:
    """The name of a file or folder; nothing where its condition doesn't hold."""
    name: str = jinja2.Template(part, autoescape=False).render(named)
    return name


def files_of(project: Path) -> dict[Path, bytes]:
    """Each file's content by its path in the project."""
    paths = (path for path in project.rglob("*") if path.is_file())
    return {path.relative_to(project): path.read_bytes() for path in paths}


@pytest.mark.parametrize("answers", list(variants()))
def test_variant(
    answers: dict[str, str], tmp_path: Path, render: Callable[..., Path], template_source: Path
) -> None:
    """The variant is complete, and nobody would have to tidy it up."""
    project = render(tmp_path / "service", answers)

    sources = files_of(template_source / "template")
    expected: dict[Path, Path] = {}
    for path in sources:
        place = rendered_path(path, answers)
        if place is not None:
            assert place not in expected, f"{path} and {expected[place]} are one file"
            expected[place] = path
    files = files_of(project)
    assert set(files) == set(expected)

    for path, content in files.items():
        source = expected[path]
        if source.suffix == ".jinja":
            assert not LEFT_OVER.search(content), f"Jinja is left over in {path}"
        else:
            assert content == sources[source], f"{path} isn't what the template holds"
        assert_tidy(path, content)

    support.run(["ruff", "format", "--check", "--no-cache", "."], project)
    support.run(["ruff", "check", "--no-cache", "."], project)
    assert compileall.compile_dir(project, quiet=1, force=True)


def assert_tidy(path: Path, content: bytes) -> None:
    """The file ends with one newline, has no stray blanks and is valid for its kind."""
    if path.suffix == ".onnx":  # not text; that it is copied as it is was looked at before
        return
    text = content.decode("utf-8")
    if text:
        assert text.endswith("\n"), f"{path} doesn't end with a newline"
        assert not text.endswith("\n\n"), f"{path} ends with blank lines"
    assert not re.search(r"[ \t]+$", text, re.MULTILINE), f"{path} has trailing blanks"
    assert "\r" not in text
    if path.suffix == ".toml":
        tomllib.loads(text)
    elif path.suffix in {".yml", ".yaml"}:
        list(yaml.safe_load_all(text))


def test_defaults_are_the_explicit_answers(tmp_path: Path, render: Callable[..., Path]) -> None:
    """Who accepts every default gets what somebody who types them gets."""
    silent = files_of(render(tmp_path / "silent"))
    typed = files_of(render(tmp_path / "typed", asked({name: VALUES[name][0] for name in NAMES})))

    assert silent == typed


def test_an_archetype_has_defaults_of_its_own(tmp_path: Path, render: Callable[..., Path]) -> None:
    """Predictions are computed, and each worker holds a runtime and a model."""
    answers = answers_module(render(tmp_path / "service", {"archetype": "inference"}))

    assert 'workload="cpu"' in answers
    assert "memory_per_worker_mib=200" in answers


def test_trust_changes_nothing(
    tmp_path: Path, render: Callable[..., Path], template_source: Path, copie_session: object
) -> None:
    """A trusted copy (pytest-copie's) is the untrusted one: nothing here needs trust."""
    trusted = copie_session.copy(template_dir=template_source)  # type: ignore[attr-defined]
    assert trusted.exception is None

    assert files_of(trusted.project_dir) == files_of(render(tmp_path / "untrusted"))


def test_no_version_of_the_template_needs_trust() -> None:
    """Tasks and extensions would tax every later update of the projects made from this version."""
    text = (support.REPOSITORY / "copier.yml").read_text("utf-8")

    assert not re.search(r"^_(tasks|jinja_extensions)\b", text, re.MULTILINE)


@pytest.mark.parametrize("tag", ["v0.1.0", "v1.10.0"])
def test_the_service_knows_the_template_version(tag: str, tmp_path: Path) -> None:
    """The tag that was rendered stands in the answers, as a version."""
    source = support.clone_template(tmp_path / "template", tag)
    project = support.render(source, tmp_path / "service")

    assert f'template_version="{tag[1:]}"' in answers_module(project)


def test_a_state_between_two_tags_has_a_version_too(tmp_path: Path) -> None:
    """What isn't tagged is named as git describes it."""
    source = support.clone_template(tmp_path / "template")
    support.commit_all(source, "One more")
    project = support.render(source, tmp_path / "service", vcs_ref="HEAD")

    assert re.search(r'template_version="1\.0\.0-1-g[0-9a-f]+"', answers_module(project))


def test_a_template_without_git_has_no_version(tmp_path: Path) -> None:
    """A plain copy of the template renders as well."""
    source = support.copy_template(tmp_path / "template")
    project = support.render(source, tmp_path / "service")

    assert 'template_version="untagged"' in answers_module(project)


def answers_module(project: Path) -> str:
    """The text of the default service's `answers.py`."""
    return (project / "src/payment_api/answers.py").read_text("utf-8")
