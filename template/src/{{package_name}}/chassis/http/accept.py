"""Which of several forms of a reply a client prefers, by its `Accept` header.

RFC 9110, section 12.5.1. Parameters other than `q` make no difference: the forms offered here have
none. An element that isn't well-formed is left out, as if the client hadn't sent it.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_ELEMENT = re.compile(rf'(?:{_QUOTED}|[^",])+')
"""What stands between two commas that aren't quoted."""
_RANGE = re.compile(rf"\s*({_WORD})/({_WORD})\s*")
_PARAMETER = re.compile(rf";\s*(?:({_WORD})=({_WORD}|{_QUOTED})\s*)?")
_WEIGHT = re.compile(r"0(?:\.\d{0,3})?|1(?:\.0{0,3})?")
_LONGEST = 1000
"""Characters of a header that is looked at: finding the quotes takes the square of its length."""


class _Range(NamedTuple):
    kind: str
    subtype: str
    weight: float

    def specificity_for(self, kind: str, subtype: str) -> int:
        """How closely it names a form: 3 exactly, 2 its kind, 1 anything, 0 not at all."""
        if (self.kind, self.subtype) == (kind, subtype):
            return 3
        if self.subtype != "*":
            return 0
        if self.kind == kind:
            return 2
        return 1 if self.kind == "*" else 0


def preferred(accept: str | None, offers: Sequence[str]) -> str:
    """The media type of `offers` that the client likes best, in lower case.

    Of several that it likes equally the one that it names more closely, and of these the first.
    The first as well when there is no header, when it is absurdly long, and when nothing is
    acceptable: an answer in an unwanted form serves a client better than none.
    """
    ranges = list(_ranges(accept)) if accept and len(accept) <= _LONGEST else []
    if not ranges:
        return offers[0]

    def liking(offer: str) -> tuple[float, int]:
        kind, _, subtype = offer.partition("/")
        closeness, weight = max((r.specificity_for(kind, subtype), r.weight) for r in ranges)
        return (weight, closeness) if closeness and weight else (0, 0)

    return max(offers, key=liking)  # of equals the first


def _ranges(accept: str) -> Iterator[_Range]:
    for element in _ELEMENT.findall(accept):
        found = _RANGE.match(element)
        if found is None:
            continue
        weight = _weight(element[found.end() :])
        kind, subtype = found[1].lower(), found[2].lower()
        if weight is not None and (kind != "*" or subtype == "*"):
            yield _Range(kind, subtype, weight)


def _weight(parameters: str) -> float | None:
    """The quality, from 0 to 1; None where something isn't well-formed."""
    weight, position = 1.0, 0
    while position < len(parameters):
        found = _PARAMETER.match(parameters, position)
        if found is None:
            return None
        if found[1] and found[1].lower() == "q":
            if not _WEIGHT.fullmatch(found[2]):
                return None
            weight = float(found[2])
        position = found.end()
    return weight
