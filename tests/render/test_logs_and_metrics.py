"""The page of logs and metrics lists what the code logs and measures, and nothing else."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import support

TEMPLATE = support.REPOSITORY / "template"
PAGE = (support.REPOSITORY / "docs/logs-and-metrics.md").read_text("utf-8")

LEVELS = {"debug", "info", "warning", "error", "critical"}
METHODS = {**{level: level for level in LEVELS}, "exception": "error"}
TYPES = {
    "Counter": "counter",
    "CounterMetricFamily": "counter",
    "Gauge": "gauge",
    "GaugeMetricFamily": "gauge",
    "_gauge": "gauge",
    "Histogram": "histogram",
}
"""What declares a metric, and its type."""

LOGGERS = {
    "logs/crashes.py": "the service's name",
    "logs/structured_logger.py": "a `StructuredLogger`'s name",
    "payments/consumer.py": "<package>.payments.consumer",
    "database/database_settings.py": "chassis.boot",  # the master logs what the settings yield
}
"""Those whose name doesn't stand where they are made."""

SENTENCES = {"why", "decided.warning", "pool.warning", "message", "msg"}
"""Messages that are made elsewhere, a sentence each: the page has them in other words."""


@dataclass(frozen=True)
class Message:
    """What is logged, by whom; `...` stands for what isn't the same each time."""

    logger: str
    text: str


@dataclass
class Entry:
    """The levels of a message, and the fields that it has of its own."""

    levels: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)


def sources() -> Iterator[Path]:
    """The code of all services; what has Jinja in it logs and measures nothing."""
    for path in sorted(TEMPLATE.glob("**/{{package_name}}/**/*.py")):
        if "doctor" not in path.parts:
            yield path


def assigned(name: ast.Name, tree: ast.Module) -> ast.expr | None:
    """What a name was last given, by the lines of its module."""
    values = {
        each.lineno: each.value
        for each in ast.walk(tree)
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == name.id
    }
    return values.get(max((line for line in values if line < name.lineno), default=0))


def texts(node: ast.expr | None, tree: ast.Module) -> set[str]:
    """What an expression may be, as far as its module says so."""
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp():
            return texts(node.body, tree) | texts(node.orelse, tree)
        case ast.BoolOp():
            return set().union(*(texts(value, tree) for value in node.values))
        case ast.Name():
            return texts(assigned(node, tree), tree)
        case ast.Subscript():
            return texts(node.value, tree)
        case ast.Dict():
            return set().union(*(texts(value, tree) for value in node.values))
        case ast.JoinedStr():
            parts = [
                texts(each.value, tree) or {"..."} if isinstance(each, ast.FormattedValue)
                else texts(each, tree)
                for each in node.values
            ]  # fmt: skip
            return {"".join(each) for each in itertools.product(*parts)}
    return set()


@dataclass
class Logged:
    """What is logged in one place."""

    message: ast.expr
    levels: set[str]
    fields: set[str] = field(default_factory=set)
    logger: str = ""


def logged(tree: ast.Module) -> Iterator[Logged]:
    """What a module logs."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=logger, attr=method), args=[first, *rest]):
                fields = {each.arg for each in node.keywords if each.arg} - {"exc_info"}
                if not re.fullmatch(r"(self\.)?_?log|self", ast.unparse(logger)):
                    continue
                if method == "_log" and len(rest) > 1:
                    yield Logged(rest[1], texts(rest[0], tree))
                elif method == "log" and rest:
                    yield Logged(
                        rest[0], set(re.findall("[a-z]+", ast.unparse(first).lower())), fields
                    )
                elif method in METHODS:
                    yield Logged(first, {METHODS[method]}, fields)
            case ast.Call(func=ast.Name() as alias, args=[first, *_]):
                chosen = assigned(
                    alias, tree
                )  # such as: say = _log.warning if worse else _log.info
                levels = set(re.findall(r"\b_log\.(\w+)", ast.unparse(chosen) if chosen else ""))
                if levels:
                    yield Logged(first, levels, {each.arg for each in node.keywords if each.arg})
            case ast.Dict():
                said = {
                    ast.unparse(key): each
                    for key, each in zip(node.keys, node.values, strict=True)
                    if key
                }
                for name in texts(said.get("'logger'"), tree):
                    yield Logged(said["'message'"], texts(said["'level'"], tree), logger=name)
            case ast.Tuple(elts=[ast.Constant(value="info" | "warning" as level), second, _]):
                yield Logged(second, {level})


def in_the_code() -> dict[Message, Entry]:
    """Every message of the chassis and of the samples."""
    found: dict[Message, Entry] = {}
    for path in sources():
        name = path.as_posix().partition("{{package_name}}/")[2].removeprefix("chassis/")
        text = path.read_text("utf-8")
        tree = ast.parse(text)
        named = re.findall(r'(?:get_logger|StructuredLogger)\("([\w.]+)"\)', text)
        for each in logged(tree):
            said = texts(each.message, tree)
            assert said or ast.unparse(each.message) in SENTENCES, (
                f"{name}: {ast.unparse(each.message)}"
            )
            for text in said:
                logger = each.logger or LOGGERS.get(name) or named[0]
                entry = found.setdefault(Message(logger, text), Entry())
                entry.levels |= each.levels & LEVELS
                entry.fields |= each.fields
    return found


def table(heading: str, page: str = PAGE) -> list[list[str]]:
    """The rows of the first table below a heading."""
    rows = page.partition(f"\n{heading}\n")[2].partition("\n|---")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows.splitlines()[1:]]


def coded(cell: str) -> list[str]:
    """What stands as code in a cell."""
    return re.findall(r"(?<!`)`([^`]+)`", cell)


def test_each_message_is_on_the_page() -> None:
    """With its logger, its levels and its fields; and the page has no other."""
    found = in_the_code()
    shown: list[Message] = []
    logger = ""
    for first, second, levels, fields in table("### Messages of the chassis"):
        logger = first.strip("`") or logger
        messages = [Message(logger, text) for text in coded(second)]
        shown += messages
        entries = [found.get(message, Entry()) for message in messages]
        if entries:
            assert set(re.findall("|".join(LEVELS), levels)) == set().union(
                *(entry.levels for entry in entries)
            ), messages
        if "](" not in fields and "same" not in fields:
            assert set().union(*(entry.fields for entry in entries)) <= set(coded(fields)), messages
    access = Message("access", "request completed")  # has a heading of its own

    assert len(shown) == len(set(shown))
    assert {*shown, access} == set(found)


def metrics_in_the_code() -> dict[str, tuple[str, list[str]]]:
    """Every metric that the chassis declares: its type and its labels."""
    found = {}
    for path in sources():
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or len(node.args) < 2:
                continue
            type_ = TYPES.get(ast.unparse(node.func).rpartition(".")[2])
            for name in texts(node.args[0], tree) if type_ else ():
                labels = [each.value for each in node.keywords if each.arg == "labels"]
                lists = [each for each in (*node.args[2:], *labels) if isinstance(each, ast.List)]
                names = [text for one in lists for each in one.elts for text in texts(each, tree)]
                found[name + "_total" * (type_ == "counter")] = str(type_), names
    return found


def test_each_metric_is_on_the_page() -> None:
    """With its type and its labels; and the page has no other."""
    shown = {
        name: (type_, coded(labels))
        for names, type_, labels, _ in table("## Metrics")
        for name in coded(names)
    }

    assert shown == metrics_in_the_code()
