"""Items about secrets: not in the environment, not in the repository."""

import ast
import os
from collections.abc import Iterator
from pathlib import Path

from ..dockerfile import assignments
from ..documents import get, mapping_at
from ..item import Finding, Item, failed, noted, passed
from ..place import Place
from ..project import Project, Source
from ..secret_names import in_text, is_secret_name, stands_in
from ..source import assigned_name
from ..target import KubernetesTarget, Target

GROUP = "Secrets"

_LARGEST = 256 * 1024
_SUFFIXES = {".py", ".toml", ".yaml", ".yml", ".json", ".env", ".ini", ".cfg", ".sh", ".conf",
             ".txt", ".pem", ".key", ".mk", ".tf"}  # fmt: skip
_NAMES = {"Dockerfile", "Makefile"}
_LEFT_OUT = {".git", ".venv", ".uv", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache",
             ".pytest_cache", ".hypothesis", "dist", "data", "tests"}  # fmt: skip
_NOT_IN_GIT = "deploy/compose/secrets"


def _environment(project: Project) -> Iterator[Finding]:
    file = project.dockerfile
    for stage in file.stages if file else []:
        for one in stage.instructions:
            if one.keyword in ("ENV", "ARG"):
                for name, value in assignments(one.rest):
                    if _is_plain(name, value, set()):
                        text = f"{one.keyword} {name} puts a secret into the image"
                        yield failed(text, one.place)
    for target in project.targets:
        told = (project.evaluated(target).service or {}).get("settings") or {}
        known = {str(name).upper() for name in told.get("secret_names", [])}
        faults = list(dict.fromkeys(_plain_variables(target, known)))
        yield from faults
        for name, (secret, place) in target.from_secrets.items():
            text = (
                f"{name} comes out of the Secret {secret} into the environment: mount it as a file"
            )
            yield noted(text, place, target.name)
        if not faults:
            yield passed("no secret in plain sight", target.name)


def _plain_variables(target: Target, known: set[str]) -> Iterator[Finding]:
    for name, value, place in _variables(target):
        if _is_plain(name, value, known):
            yield failed(f"{name} stands there in plain text", place, target.name)


def _variables(target: Target) -> Iterator[tuple[str, str, Place]]:
    """The variables of all containers, and the ConfigMaps of all: they are as plain."""
    for name, (value, place) in target.environment.items():
        yield name, value, place
    if isinstance(target, KubernetesTarget):
        for one in target.of_kind("ConfigMap"):
            data = mapping_at(one.document, "data")
            for name, value in data.items():
                yield name, str(value), data.places[name]
    for container in target.containers:
        key = "environment" if "environment" in container.values else "env"
        own = container.values.get(key) or []
        if isinstance(own, dict):
            for name, value in own.items():
                yield name, str(value), container.place(key, name)
        else:
            for index, entry in enumerate(own):
                yield *_pair(entry), container.place(key, index)


def _pair(entry: object) -> tuple[str, str]:
    if isinstance(entry, dict):
        return str(entry.get("name")), str(entry.get("value") or "")
    name, _, value = str(entry).partition("=")
    return name, value


def _is_plain(name: str, value: str, known: set[str]) -> bool:
    if value.startswith("/") or stands_in(value):
        return False
    return is_secret_name(name) or name.upper() in known or in_text(value) is not None


def _credentials(project: Project) -> Iterator[Finding]:
    if project.package is None:
        return
    faults: list[Finding] = []
    for source in project.sources:
        faults.extend(_in_source(source))
    in_python = {source.name for source in project.sources}
    for path in _texts(project.root):
        name = project.files.name(path)
        if name not in in_python:
            faults.extend(_in_file(path, name))
    for target in project.clusters:
        for one in target.of_kind("Secret"):
            for key in ("data", "stringData"):
                if get(one.document, key):
                    text = f"the Secret {one.name} stands in the repository"
                    faults.append(failed(text, one.place, target.name))
    # What stands in an environment is the other item's.
    others = {place for target in project.targets for _, _, place in _variables(target)}
    faults = [one for one in faults if one.place not in others]
    yield from faults
    if not faults:
        yield passed("no credentials found")


def _in_source(source: Source) -> Iterator[Finding]:
    for node in source.nodes:
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and (what := in_text(text)) is not None:
            yield failed(f"{what} stands in the code", source.place(node))
        for name, value in _assigned(node):
            given = value.value if isinstance(value, ast.Constant) else None
            if isinstance(given, str) and is_secret_name(name) and _is_credential(given):
                yield failed(f"{name} is written into the code", source.place(value))


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names with the values that they are given, in whichever way."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield assigned_name(target), _unwrapped(node.value)
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        yield assigned_name(node.target), _unwrapped(node.value)
    elif isinstance(node, ast.keyword) and node.arg:
        yield node.arg, _unwrapped(node.value)
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, _unwrapped(value)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        arguments = [*node.args.posonlyargs, *node.args.args]
        defaults = node.args.defaults
        yield from zip(
            [one.arg for one in arguments[len(arguments) - len(defaults) :]], defaults, strict=True
        )


def _unwrapped(value: ast.expr) -> ast.expr:
    """The text within `SecretStr("...")` and `Field("...")`."""
    if isinstance(value, ast.Call) and value.args:
        called = ast.unparse(value.func).rpartition(".")[2]
        if called in ("SecretStr", "SecretBytes", "Field"):
            return _unwrapped(value.args[0])
    return value


def _is_credential(text: str) -> bool:
    """Words with spaces are prose, and a lower-case name or a path is most likely a reference."""
    return (
        len(text) >= 6
        and not stands_in(text)
        and not any(char.isspace() for char in text)
        and not text.startswith(("/", "http://", "https://"))
        and (not text.replace("_", "").isalpha() or not text.islower())
    )


def _texts(root: Path) -> Iterator[Path]:
    """The files that may have credentials in them; tests make up theirs."""
    for folder, folders, names in os.walk(root):
        inside = Path(folder).relative_to(root).as_posix()
        folders[:] = sorted(
            name
            for name in folders
            if name not in _LEFT_OUT and f"{inside}/{name}".removeprefix("./") != _NOT_IN_GIT
        )
        for name in sorted(names):
            path = Path(folder, name)
            suits = path.suffix in _SUFFIXES or name in _NAMES or name.startswith(".env")
            doctor = "chassis/doctor" in path.as_posix()
            local = inside == "." and name == ".env"
            if suits and not doctor and not local and path.stat().st_size <= _LARGEST:
                yield path


def _in_file(path: Path, name: str) -> Iterator[Finding]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for number, line in enumerate(lines, start=1):
        if (what := in_text(line)) is not None:
            yield failed(f"{what} stands in the file", Place(name, number))


ITEMS = (
    Item(
        id="secrets-env",
        group=GROUP,
        title="No secret stands in the plain environment",
        why="The environment is shown by `docker inspect`, by `kubectl describe`, in crash reports "
        "and to every child process.",
        mend="A key in the Secret, which is mounted at /run/secrets: the setting of that name is "
        "read from the file.",
        check=_environment,
    ),
    Item(
        id="credentials",
        group=GROUP,
        title="No credentials stand in the repository",
        why="Whoever has ever cloned it has them, and taking them out doesn't take them back.",
        mend="Revoke it and make a new one; declare a setting of type SecretStr, and give it its "
        "value by a file in SECRETS_DIR.",
        check=_credentials,
    ),
)
