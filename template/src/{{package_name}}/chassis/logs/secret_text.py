"""Credentials in running text: messages, reprs, tracebacks (SPEC row E4).

Hidden are credentials in URLs, ``Bearer`` and ``Basic`` tokens, ``Authorization`` and ``Cookie``
headers, private keys in PEM form, and ``password=...`` in the ways people and ``repr`` write it.
When in doubt a word is hidden: a log with a word too few can be read, a leaked token has to be
rotated.
"""

from __future__ import annotations

import functools
import re

MASK = "**********"  # what pydantic shows for a SecretStr
MAX_TEXT = 32 * 1024  # characters
MAX_SECRET = 8 * 1024  # characters; how far past the cut a secret is looked for

SECRET_KEYS = frozenset(
    {
        *("password", "passwd", "pwd", "passphrase", "credentials"),
        *("secret", "client_secret", "secret_key", "private_key", "access_key"),
        *("token", "access_token", "refresh_token", "id_token", "jwt", "api_key", "x-api-key"),
        *("authorization", "proxy-authorization", "cookie", "set-cookie", "session_id"),
        *("card_number", "pan", "cvv", "cvc", "iban"),
    }
)
"""Names of values that are hidden; case, ``-`` and ``_`` make no difference."""

SECRET_ENDINGS = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "secretkey",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
)
"""Names that end in one of these are hidden too: ``db_password``, ``stripe-api-key``."""


def _normal(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")


def _pattern(name: str) -> str:
    # "pan" must not be found in "company"; "token" may stand in "csrf_token".
    flexible = re.sub("[-_]", "[-_ ]?", name)
    return rf"\b{flexible}" if len(name) < 5 else flexible


_NORMAL_KEYS = frozenset(_normal(name) for name in SECRET_KEYS)
_NAMES = "|".join(_pattern(name) for name in sorted(SECRET_KEYS, key=len, reverse=True))

# Text is searched with a pattern only where one of these occurs: plain messages pay for none.
_HINTS = (
    *("pass", "pwd", "cred", "secret", "key", "token", "jwt"),
    *("auth", "cookie", "session", "card", "pan", "cv", "iban"),
)

_URL = re.compile(r"(://[^\s/:@]*):[^\s/?#]*@")
_TOKEN = re.compile(r"((?i:\bbearer)\s+|(?i:\bbasic)\s+(?=\w\S*[0-9A-Z+/=]))[\w.~+/=-]+")
_KEY = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?=-----END|\Z)", re.DOTALL)
_HEADER = re.compile(r"((?:authorization|cookie)\s*:\s*)[^\r\n\"']+", re.IGNORECASE)
_PAIR = re.compile(
    rf"""
    ( (?:{_NAMES})
      (?: (?:\\*["'])? \s* [:=] \s* | \\*["'] \s* , \s* )  # name=   "name":   'name',
      b? )
    ( \\*["'] )?
    (?(2) (?: (?!\2) . )+ | [^\s"',;&)\]}}]+ )             # quoted: up to the same quote
    """,
    re.IGNORECASE | re.VERBOSE,
)


@functools.lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Whether a value of this name is hidden."""
    normal = _normal(name)
    return normal in _NORMAL_KEYS or normal.endswith(SECRET_ENDINGS)


def scrub(text: str) -> str:
    """``text`` without credentials, cut at :data:`MAX_TEXT`; the same object if it has none."""
    length = len(text)
    if length > MAX_TEXT:
        # What the cut would leave of a secret is recognised by what follows the cut.
        kept = _scrub(text[: MAX_TEXT + MAX_SECRET])[:MAX_TEXT]
        return f"{kept}... (cut, {length} characters)"
    return _scrub(text)


def _scrub(text: str) -> str:
    lower = text.lower()
    if "private key-----" in lower:
        text = _KEY.sub(rf"\1{MASK}", text)
    if "bearer" in lower or "basic" in lower:
        text = _TOKEN.sub(rf"\1{MASK}", text)
    if ":" in text or "=" in text or "'" in text or '"' in text:
        for hint in _HINTS:
            if hint in lower:
                text = _PAIR.sub(rf"\1\2{MASK}", _HEADER.sub(rf"\1{MASK}", text))
                break
        if "@" in text:
            text = _URL.sub(r"\1:***@", text)
    return text
