"""The recording of `make demo`: it is what the demo writes today, and drawn as it was recorded."""

import ast
import json
import re
import sys
from pathlib import Path

import support
from browser import Browser

FOLDER = support.REPOSITORY / "docs/recording"
VARIES = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+(\.\d+)?")


def recorded() -> str:
    """What was written to the terminal, without colours."""
    lines = (FOLDER / "demo.cast").read_text("utf-8").splitlines()[1:]
    written = "".join(json.loads(line)[2] for line in lines)
    return re.sub(r"\x1b\[[\d;]*m", "", written).replace("\r\n", "\n")


def alike(text: str) -> str:
    """The text with 0 in place of all that is different at each run."""
    return VARIES.sub("0", text)


def test_the_drawing_is_that_of_the_recording() -> None:
    """`make recording` has made both."""
    script = support.REPOSITORY / "scripts/recording.py"

    support.run([sys.executable, script, "--check"], support.REPOSITORY)


def test_it_has_what_the_demo_says() -> None:
    """Each step that the script announces without looking at anything."""
    source = (support.REPOSITORY / "scripts/demo.py").read_text("utf-8")
    functions = {
        node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)
    }
    steps = [
        str(node.args[0].value)
        for name in ("scaffold", "show", "demo")
        for node in ast.walk(functions[name])
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "say"
        and isinstance(node.args[0], ast.Constant)
    ]
    assert len(steps) >= 5
    for step in steps:
        assert f"==> {step}\n" in recorded()


def test_the_readme_shows_the_same() -> None:
    """Line by line, as far as each is shown."""
    readme = (support.REPOSITORY / "README.md").read_text("utf-8")
    shown = readme.partition("```console\n$ make demo\n")[2].partition("```")[0]
    lines = [line.removesuffix("...").rstrip() for line in shown.splitlines()]
    assert len(lines) > 15
    for line in filter(None, lines):
        assert alike(line) in alike(recorded()), line


def test_it_tells_nothing_of_the_machine() -> None:
    """Where it was recorded, and by whom."""
    text = recorded()
    assert str(support.REPOSITORY) not in text
    assert not re.search(r"/(home|root|tmp|Users|work)/", text)
    assert str(Path.home()) not in text


def test_its_end_is_shown_where_motion_is_not_wanted(site: str, chromium: Browser) -> None:
    """The last line stands within the picture, and no line is wider than it."""
    chromium.look(width=1280, dark=False)
    chromium.open(f"{site}recording/demo.svg")
    edges = """[document.documentElement, ...document.querySelectorAll('text')].map(each => {
      const { right, bottom } = each.getBoundingClientRect()
      return [right, bottom]
    })"""
    (width, height), *lines = chromium.ask(edges)
    assert 0 < lines[-1][1] <= height
    assert max(right for right, _ in lines) <= width
