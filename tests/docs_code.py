"""The code of a documentation page: what it is, and how a generated service's Python runs it.

    .venv/bin/python tests/docs_code.py docs/breaker.md

A page's Python blocks are one module, run block by block in their order, in a process of its own.
Where a block defines `wire`, it is called with a new application, as the service's `main.py` does.
Tables that a block declares are made, as the migration would that one writes for them; that needs
a database in DATABASE_URL, migrated, where the service has one. Nothing else is added: what a block
uses, it or one above it imports and defines.
"""

import ast
import os
import re
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "payment_api"  # the default service's

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"^ *```(.*)\n((?:.*\n)*?) *```$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Code of one language, and the line of the page that it begins on."""

    language: str
    line: int
    code: str


def blocks(text: str, language: str) -> list[Block]:
    """The blocks of a page that are in this language."""
    return [
        Block(language, text.count("\n", 0, found.start(2)) + 1, found[2])
        for found in _BLOCK.finditer(text)
        if found[1] == language
    ]


def fences(text: str) -> list[Block]:
    """All blocks of a page, indented ones and those that name no language included."""
    return [
        Block(found[1].strip(), text.count("\n", 0, found.start(2)) + 1, found[2])
        for found in _FENCE.finditer(text)
    ]


def shown(page: Path, part: str) -> str:
    """The code of the one block of a page that has this in it."""
    (code,) = (block.code for block in fences(page.read_text("utf-8")) if part in block.code)
    return code


def overlooked(text: str) -> int:
    """How many blocks of code are written in a way that `blocks` doesn't find, such as indented."""
    begun = len(re.findall(r"```\s*(?:py|json)", text, re.IGNORECASE))
    return begun - len(blocks(text, "python")) - len(blocks(text, "json"))


def module_of(text: str) -> str:
    """The page's Python blocks as one module, each on the lines that it has in the page."""
    module = ""
    for block in blocks(text, "python"):
        module += "\n" * (block.line - 1 - module.count("\n")) + block.code
    return module


def named_features(main: str) -> list[str]:
    """The parts of the chassis that a `main.py` installs, in its order."""
    calls = (node for node in ast.walk(ast.parse(main)) if isinstance(node, ast.Call))
    given = [each.value for call in calls for each in call.keywords if each.arg == "features"]
    items = [item for value in given if isinstance(value, ast.List) for item in value.elts]
    return [ast.unparse(item).removesuffix(".install") for item in items]


def features() -> list[Any]:
    """What installs the parts that this service has, as its `main.py` has it.

    Read rather than imported: that would make its application, on which the metrics are then.
    """
    spec = find_spec(f"{PACKAGE}.main")
    assert spec is not None, "the service has a main.py"
    assert spec.origin is not None
    names = named_features(Path(spec.origin).read_text("utf-8"))
    return [import_module(f"{PACKAGE}.chassis.{name}").install for name in names]


def make_tables() -> None:
    """Make the tables that are declared by now, where there is an SQLite to make them in."""
    url = os.environ.get("DATABASE_URL", "")
    if url.startswith("sqlite:") and find_spec(f"{PACKAGE}.chassis.database"):
        engine = import_module("sqlalchemy").create_engine(url)
        import_module(f"{PACKAGE}.chassis.database").metadata.create_all(engine)
        engine.dispose()


def run(page: Path) -> int:
    """Run the page's Python blocks; return how many there were."""
    service = import_module(f"{PACKAGE}.chassis.service")
    settings = import_module(f"{PACKAGE}.settings").Settings
    module = ModuleType(page.stem.replace("-", "_"))
    sys.modules[module.__name__] = module
    found = blocks(page.read_text("utf-8"), "python")
    for block in found:
        tree = ast.parse(block.code, str(page))
        ast.increment_lineno(tree, block.line - 1)
        exec(compile(tree, str(page), "exec"), vars(module))  # noqa: S102 - our own pages
        if any(isinstance(node, ast.FunctionDef) and node.name == "wire" for node in tree.body):
            service.create_app(settings, vars(module)["wire"], features=features())
        make_tables()
    return len(found)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{name}: {run(Path(name))} blocks")  # noqa: T201
