"""One line for an operator that says which settings are wrong, why, and what is allowed.

The line goes to logs that many may read: values are shown only of the chassis' own settings,
none of which is secret, and only when they came from the environment.
"""

import os
import re

from annotated_types import Ge, Le
from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError as SourceError

from ..validation import safe_message

CONFLICT = "chassis_conflict"
"""The type of the chassis' own errors: their text is the whole line, and holds no secret."""


def explain(error: ValidationError, settings: type[BaseModel], shown: frozenset[str]) -> str:
    """Explain a validation error in one line.

    ``settings`` is the class that refused, ``shown`` the names of fields that are no secret.
    """
    return _one_line("; ".join(_explain(e, settings, shown) for e in error.errors()))


def explain_source(error: SourceError) -> str:
    """Explain why a source of settings couldn't be read, which names a field or a file."""
    field = re.search(r'field "(\w+)"', str(error))
    return _one_line(f"{field[1].upper()} is refused: it must be JSON" if field else str(error))


def _explain(error: ErrorDetails, settings: type[BaseModel], shown: frozenset[str]) -> str:
    if error["type"] == CONFLICT:
        return error["msg"]
    path = [str(part) for part in error["loc"] if isinstance(part, str)]
    if not path:
        return _explain_together(error, settings, shown)
    name = "__".join(path).upper()
    if error["type"] == "missing":
        return f"{name} is missing: set it in the environment or as a file in SECRETS_DIR"
    field = settings.model_fields.get(path[0])
    value = _environment_value(name) if path[0] in shown else None
    subject = name if value is None else f"{name}={_clip(value)}"
    if path[0] in shown:
        reason = error["msg"].removeprefix("Value error, ")
    else:
        reason = safe_message(error, secret=field is not None and _is_secret(field))
    allowed = _allowed(field) if field is not None else ""
    return f"{subject} is refused: {reason[:1].lower()}{reason[1:]}{allowed}"


def _explain_together(error: ErrorDetails, settings: type[BaseModel], shown: frozenset[str]) -> str:
    if isinstance(given := error["input"], dict):
        error["input"] = {name: value for name, value in given.items() if name not in shown}
    return f"{settings.__name__} is refused: {safe_message(error)}"


def _allowed(field: FieldInfo) -> str:
    low = next((m.ge for m in field.metadata if isinstance(m, Ge)), None)
    high = next((m.le for m in field.metadata if isinstance(m, Le)), None)
    if field.annotation is bool:
        return " (allowed: true or false)"
    if low is None or high is None:
        return ""
    kind = "number" if field.annotation is float else "whole number"
    unset = "" if field.annotation in (int, float) else ", or empty"
    return f" (allowed: a {kind} from {low} to {high}{unset})"


def _is_secret(field: FieldInfo) -> bool:
    kinds = (SecretStr.__name__, SecretBytes.__name__, "Secret[")
    return any(kind in repr(field.annotation) for kind in kinds)


def _environment_value(name: str) -> str | None:
    return next((value for key, value in os.environ.items() if key.upper() == name), None)


def _clip(value: str) -> str:
    return repr(value if len(value) <= 60 else f"{value[:60]}...")


def _one_line(text: str) -> str:
    return " ".join(text.split())
