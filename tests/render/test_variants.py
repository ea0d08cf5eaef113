"""Every variant renders in one go, formatted, lint-free and valid, and hands over the same chassis.

The variants cover each pair of answers at least once, and each answer's default and extremes.
"""

import compileall
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

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
    "archetype": ["minimal", "inference"],
    "cpu_limit": ["2", "0.1", "500m", "1.250", "256"],
    "memory_per_worker_mib": ["150", "32", "65536"],
    "memory_limit_mib": ["1024", "64", "1048576"],
    "workload": ["io", "cpu"],
    "request_timeout_seconds": ["15", "1", "300"],
    "drain_seconds": ["10", "3", "120"],
    "keepalive_seconds": ["5", "1", "600"],
}
NAMES = list(VALUES)


def holds_a_worker(row: list[str]) -> bool:
    """Whether the answers so far may stand together; the pairs that may not are refused."""
    chosen = dict(zip(NAMES, row, strict=False))
    if "memory_limit_mib" not in chosen:
        return True
    limit = int(chosen["memory_limit_mib"])
    return limit - limit // 4 >= int(chosen["memory_per_worker_mib"])


def variants() -> Iterator[object]:
    """The answers of each variant, the defaults first."""
    yield pytest.param({}, id="defaults")
    yield pytest.param({"archetype": "inference"}, id="defaults-of-inference")
    rows = AllPairs(list(VALUES.values()), filter_func=holds_a_worker)
    for number, row in enumerate(rows, start=1):
        yield pytest.param(dict(zip(NAMES, row, strict=True)), id=f"pairs-{number:02d}")


OVERLAY = re.compile(r"\{% if (\w+) %\}\.\{% endif %\}/")
"""A folder of files that one archetype alone has; in its projects it is the project's own."""


def rendered_path(template_path: Path, package: str, archetype: str) -> Path | None:
    """Where the file of the template stands in a project; None where it is another archetype's."""
    text = str(template_path).removesuffix(".jinja").replace("{{package_name}}", package)
    text = text.replace("{{_copier_conf.answers_file}}", ".copier-answers.yml")
    overlay = OVERLAY.match(text)
    if overlay is None:
        return Path(text)
    return Path(text[overlay.end() :]) if overlay[1] == archetype else None


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
    package = answers.get("service_name", "payment-api").replace("-", "_")
    archetype = answers.get("archetype", "minimal")

    sources = files_of(template_source / "template")
    expected: dict[Path, Path] = {}
    for source in sources:
        place = rendered_path(source, package, archetype)
        if place is not None:
            assert expected.setdefault(place, source) is source, f"{place} has two sources"
    files = files_of(project)
    assert set(files) == set(expected)

    for path, content in files.items():
        source = expected[path]
        if source.suffix == ".jinja":
            assert not re.search(rb"{{|{%|{#", content), f"Jinja is left over in {path}"
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
    typed = files_of(render(tmp_path / "typed", {name: VALUES[name][0] for name in NAMES}))

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

    assert re.search(r'template_version="0\.1\.0-1-g[0-9a-f]+"', answers_module(project))


def test_a_template_without_git_has_no_version(tmp_path: Path) -> None:
    """A plain copy of the template renders as well."""
    source = support.copy_template(tmp_path / "template")
    project = support.render(source, tmp_path / "service")

    assert 'template_version="untagged"' in answers_module(project)


def answers_module(project: Path) -> str:
    """The text of the default service's `answers.py`."""
    return (project / "src/payment_api/answers.py").read_text("utf-8")
