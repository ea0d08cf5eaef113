"""What is examined: a generated service, or a Gunicorn configuration from elsewhere."""

import ast
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from . import dockerfile, target
from .dockerfile import Dockerfile
from .evaluation import Conditions, Evaluated, evaluate
from .place import Files, Place, UnusableError
from .target import ComposeTarget, KubernetesTarget, Target

_AT_ONCE = 4
_OWN = "doctor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A configuration that isn't a generated service's, and what it is to run on."""

    gunicorn: Path
    cpu: float
    memory_mib: int
    memory_per_worker_mib: int = 150
    workload: Literal["io", "cpu"] = "io"
    termination_grace: float = 45
    python: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A module of the service."""

    name: str
    text: str
    tree: ast.Module

    nodes: tuple[ast.AST, ...]
    """All of the tree's, in no order that matters."""

    def place(self, node: ast.AST) -> Place:
        """Where something stands in it."""
        return Place(self.name, getattr(node, "lineno", 1))


def parse(name: str, text: str) -> Source:
    """Read a module. UnusableError when it isn't Python."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise UnusableError(f"{name}:{error.lineno}: {error.msg}") from None
    return Source(name, text, tree, tuple(ast.walk(tree)))


@dataclass
class Project:
    """The files of a project, read when they are first asked for.

    UnusableError when what everything depends on isn't there or can't be read.
    """

    root: Path
    package: str | None = None
    """The generated service's package; None for a foreign configuration."""
    foreign: Foreign | None = None
    overlays: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.files = Files(self.root)
        self._evaluated: dict[str, Evaluated] = {}

    @cached_property
    def service_name(self) -> str:
        """The name that the project has given itself."""
        if self.foreign is not None:
            return self.foreign.gunicorn.name
        try:
            found = tomllib.loads(self.files.read(self.root / "pyproject.toml"))
        except tomllib.TOMLDecodeError as error:
            raise UnusableError(f"pyproject.toml: {error}") from None
        return str(found.get("project", {}).get("name", ""))

    @property
    def gunicorn(self) -> Path:
        """Gunicorn's configuration."""
        return self.foreign.gunicorn if self.foreign else self.root / "gunicorn.conf.py"

    @cached_property
    def dockerfile(self) -> Dockerfile | None:
        """The image's recipe; None where there is none."""
        path = self.root / "Dockerfile"
        if self.foreign is not None or not path.is_file():
            return None
        try:
            return dockerfile.parse(self.files.read(path), self.files.name(path))
        except ValueError as error:
            raise UnusableError(str(error)) from None

    @cached_property
    def targets(self) -> list[Target]:
        """The environments; where none is described, one of the answers alone."""
        if self.foreign is not None:
            known = {"cpu": self.foreign.cpu, "memory_mib": self.foreign.memory_mib}
            return [Target(name="", grace_seconds=self.foreign.termination_grace, **known)]  # type: ignore[arg-type]
        found = list(target.walk_targets(self.root, self.files, self.service_name, self.overlays))
        return found or [Target(name="")]

    @property
    def clusters(self) -> list[KubernetesTarget]:
        """The environments on Kubernetes."""
        return [one for one in self.targets if isinstance(one, KubernetesTarget)]

    @property
    def compose(self) -> ComposeTarget | None:
        """The one of Compose."""
        return next((one for one in self.targets if isinstance(one, ComposeTarget)), None)

    @cached_property
    def sources(self) -> list[Source]:
        """The service's modules, this tool left out. UnusableError for one that isn't Python."""
        if self.package is None:
            return []
        return list(self._sources(self.root / "src" / self.package))

    def _sources(self, folder: Path) -> Iterator[Source]:
        for path in sorted(folder.rglob("*.py")):
            if path.is_relative_to(folder / "chassis" / _OWN):
                continue
            yield parse(self.files.name(path), self.files.read(path))

    def evaluated(self, one: Target) -> Evaluated:
        """Gunicorn's configuration in an environment."""
        return self.under(one.conditions)

    def under(self, conditions: Conditions) -> Evaluated:
        """Gunicorn's configuration under any conditions; each is evaluated once."""
        if conditions.key not in self._evaluated:
            self._evaluated[conditions.key] = self._evaluate(conditions)
        return self._evaluated[conditions.key]

    def evaluate_all(self) -> None:
        """Evaluate every environment, several at a time."""
        wanted = {
            one.conditions.key: one.conditions
            for one in self.targets
            if one.conditions.key not in self._evaluated
        }
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            found = threads.map(self._evaluate, wanted.values())
            self._evaluated.update(zip(wanted, found, strict=True))

    def _evaluate(self, conditions: Conditions) -> Evaluated:
        python = self.foreign.python if self.foreign else None
        name = self.files.name(self.gunicorn)
        return evaluate(self.gunicorn, name, conditions, package=self.package, python=python)
