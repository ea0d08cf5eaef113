"""What follows from answers: the questions' defaults and computed values, without rendering.

For tests that go over thousands of answers, which would take copier hours.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import jinja2
import support
import yaml

PAGES = ("service", "capacity", "data", "timing", "platform")

_CASTS: dict[str, Callable[[Any], Any]] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": lambda value: bool(yaml.safe_load(str(value))),
}


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(support.REPOSITORY),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - no HTML here
    )
    environment.filters["regex_search"] = lambda value, pattern: re.search(pattern, value)
    environment.filters["regex_findall"] = lambda value, pattern: re.findall(pattern, value)
    environment.filters["to_json"] = json.dumps
    return environment


ENVIRONMENT = _environment()
QUESTIONS: dict[str, dict[str, Any]] = {
    name: question
    for page in PAGES
    for name, question in yaml.safe_load(
        (support.REPOSITORY / f"questions/{page}.yml").read_text("utf-8")
    ).items()
}


@cache
def _template(text: str) -> jinja2.Template:
    return ENVIRONMENT.from_string(text)


class RefusedError(Exception):
    """A validator complains."""


def answer(given: support.Answers) -> dict[str, Any]:
    """All answers and computed values, in the order of the questions.

    RefusedError says which answer is wrong.
    """
    context: dict[str, Any] = {"_copier_conf": {"data": dict(given)}}
    for name, question in QUESTIONS.items():
        computed = question.get("when") is False
        value = given.get(name, question["default"]) if not computed else question["default"]
        context[name] = _cast(question, value, context)
        if "validator" in question and not computed and _is_asked(question, context):
            complaint = _template(question["validator"]).render(context).strip()
            if complaint:
                raise RefusedError(f"{name}: {complaint}")
    return context


def _is_asked(question: dict[str, Any], context: dict[str, Any]) -> bool:
    """Copier checks no answer to a question that it doesn't ask."""
    when = question.get("when", True)
    return _template(when).render(context) == "True" if isinstance(when, str) else bool(when)


def _cast(question: dict[str, Any], value: object, context: dict[str, Any]) -> Any:
    if isinstance(value, str):
        value = _template(value).render(context).strip()
    if question.get("multiselect"):
        return yaml.safe_load(value) if isinstance(value, str) else value
    return _CASTS[question["type"]](value)


def rendered(path: str, context: dict[str, Any]) -> str:
    """A file of the template, by its path in `template/`."""
    text = (support.REPOSITORY / "template" / path).read_text("utf-8")
    return _template(text).render(context)
