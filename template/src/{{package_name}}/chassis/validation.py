"""Messages of validation errors that can be shown without showing what was validated.

Pydantic's own messages mostly speak of the type that was expected, but some quote the input,
and a validator of the user's may put anything into its ValueError. Settings hold passwords and
requests hold card numbers, so a message is only passed on where it can't repeat them.
"""

import re
from collections.abc import Iterable, Mapping

from pydantic import Secret, SecretBytes, SecretStr
from pydantic_core import ErrorDetails

# Pydantic's errors whose text is made of the schema alone.
# https://docs.pydantic.dev/latest/errors/validation_errors/
SCHEMA_ONLY = re.compile(
    r"missing|extra_forbidden|frozen_field|json_invalid|literal_error|enum|multiple_of"
    r"|(too|string_too|bytes_too)_(short|long)|(greater|less)_than(_equal)?|finite_number"
    r"|string_pattern_mismatch|string_unicode|url_(parsing|scheme|too_long)|decimal_\w+"
    r"|(\w+_)?(type|parsing|from_float)"
)

# Matches the pattern and quotes all the same.
QUOTING = "uuid_parsing"

HIDDEN = "is not accepted"


def safe_message(error: ErrorDetails, *, secret: bool = False) -> str:
    """Return the error's message, or a plain refusal where it might repeat the input.

    Of a `secret` input nothing is passed on but what the schema says, not even what seems
    not to repeat it.
    """
    kind, message = error["type"], error["msg"].removeprefix("Value error, ")
    if SCHEMA_ONLY.fullmatch(kind) and kind != QUOTING:
        return message
    if secret or kind == QUOTING or repeats(message, error.get("input")):
        return HIDDEN
    return message


def repeats(message: str, value: object) -> bool:
    """Tell whether a message holds any part of a value, down to words of three letters.

    Wrong in the safe direction: a word that is in both by chance counts as well.
    """
    words = (word for text in _texts(value) for word in re.findall(r"[^\W_]{3,}|^\w+$", text))
    return any(word.casefold() in message.casefold() for word in words)


def _texts(value: object) -> Iterable[str]:
    """Yield every leaf of a nested value as text, secrets in the clear."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, Secret | SecretStr | SecretBytes):
        yield from _texts(value.get_secret_value())
    elif isinstance(value, bytes):
        yield value.decode(errors="replace")
    elif value is not None:
        yield str(value)
