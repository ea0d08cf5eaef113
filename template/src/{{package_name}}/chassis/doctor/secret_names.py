"""What looks like a secret: by its name, or by its value."""

import re

_NAME = re.compile(
    r"(^|_)(password|passwd|pwd|passphrase|secret|token|api_?key|access_?key|private_?key|"
    r"secret_?key|credentials?)$",
    re.IGNORECASE,
)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@'\"]*:(?P<password>[^\s/@'\"]+)@", re.IGNORECASE)
_FORMS = (
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("a key of AWS", re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a token of GitHub", re.compile(r"\b(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{50,})\b")),
    ("a token of GitLab", re.compile(r"\bglpat-[\w-]{20,}")),
    ("a key of Stripe", re.compile(r"\b[sr]k_live_[A-Za-z0-9]{16,}")),
    ("a token of Slack", re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}")),
    ("a key of Google", re.compile(r"\bAIza[\w-]{35}\b")),
    ("a token (JWT)", re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}")),
)
_STANDS_IN = re.compile(
    r"^$|^(x+|\*+|\.+|-+)$|^<.*>$|^[$%{]|change.?me|example|placeholder|^your[-_ ]|"
    r"^(none|null|password|passwd|pwd|pass|pw|secret|token)$",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name has a secret in it. `..._FILE` and `..._URL` don't."""
    return _NAME.search(name) is not None


def stands_in(value: str) -> bool:
    """Whether a value only holds a secret's place: empty, a variable, `change-me`."""
    return _STANDS_IN.search(value.strip()) is not None


def in_text(text: str) -> str | None:
    """What a text gives away by its form; None for most."""
    for what, pattern in _FORMS:
        if pattern.search(text):
            return what
    for match in _URL.finditer(text):
        if not stands_in(match["password"]):
            return "a password in a URL"
    return None
