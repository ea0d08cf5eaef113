"""The pages that list questions, endpoints and alerts say what the template says."""

import ast
import re
import sys

import questionnaire
import support

TEMPLATE = support.REPOSITORY / "template"


def test_the_pages_are_what_the_template_says() -> None:
    """`scripts/reference_pages.py` has been run."""
    script = support.REPOSITORY / "scripts/reference_pages.py"

    support.run([sys.executable, script, "--check"], support.REPOSITORY)


def test_the_exit_codes_are_those_of_the_code() -> None:
    """Where a program has a name for one, it is on the page, and the page has no other."""
    page = (support.REPOSITORY / "docs/exit-codes.md").read_text("utf-8")
    listed = {int(code) for code in re.findall(r"^\|[^|]*\| (\d+) \|", page, re.MULTILINE)}
    constants = {
        "server/master.py": {"_EX_CONFIG": 78},
        "server/worker.py": {"_FAILED": 1},
        "doctor/__main__.py": {"_UNUSABLE": 2},
    }
    for name, expected in constants.items():
        source = (TEMPLATE / "src/{{package_name}}/chassis" / name).read_text("utf-8")
        found = {
            ast.unparse(node.targets[0]): node.value.value
            for node in ast.parse(source).body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        }
        assert expected.items() <= found.items()
    assert listed == {0, 1, 2, 3, 78, 255}


def test_each_question_stands_in_the_readme() -> None:
    """With all that copier asks, and nothing else."""
    readme = (support.REPOSITORY / "README.md").read_text("utf-8")
    rows = readme.partition("\n| question | default | |\n")[2].partition("\n\n")[0]
    listed = [
        name for row in rows.splitlines()[1:] for name in re.findall(r"`(\w+)`", row.split("|")[1])
    ]
    asked = {
        name
        for name, question in questionnaire.QUESTIONS.items()
        if question.get("when") is not False and question.get("ask", True)
    }

    assert len(listed) == len(set(listed))
    assert set(listed) == asked
