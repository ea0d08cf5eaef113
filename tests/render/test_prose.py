"""A description is the user's prose: whatever it holds, the files stay valid and say it exactly."""

import ast
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import support
import yaml

DESCRIPTIONS = [
    'Says "hello"',
    "Don't panic",
    """Both 'single' and "double" quotes""",
    """Don't say "no" """.strip(),
    r"A backslash \ here, a \n there, and one at the end \\"[:-1],
    "{{ service_name }} {% raw %} {# no comment #}",
    "100 % {braces} ${shell} `ticks` <b>bold</b> & | > # : - [x]",
    "Zahlungen für Zürich – naïve ☃ 😀 日本語",
    "yes",
    "0x10",
    "null",
    "'''",
    '"""',
    "x" * 100,
]


@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_description_is_kept(description: str, tmp_path: Path, render: Callable[..., Path]) -> None:
    """The code, the project's metadata, the answers and the README all hold the very text."""
    project = render(tmp_path / "service", {"description": description})

    source = (project / "src/payment_api/answers.py").read_text("utf-8")
    keywords = next(node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    written = {keyword.arg: ast.literal_eval(keyword.value) for keyword in keywords.keywords}
    assert written["description"] == description

    metadata = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    assert metadata["project"]["description"] == description
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text("utf-8"))
    assert answers["description"] == description
    assert description in (project / "README.md").read_text("utf-8")
    support.run(["ruff", "format", "--check", "--no-cache", "src/payment_api/answers.py"], project)
    support.run(["ruff", "check", "--no-cache", "src/payment_api/answers.py"], project)
