"""Which files a build sees, by `.dockerignore`.

The last pattern that matches decides, `!` takes a file back in, and a pattern that names a folder
holds for all below it. https://docs.docker.com/build/concepts/context/#dockerignore-files
"""

import re
from functools import lru_cache


class DockerIgnore:
    """The patterns of a file."""

    def __init__(self, text: str) -> None:
        self._patterns: list[tuple[bool, re.Pattern[str]]] = []
        for line in text.splitlines():
            pattern = line.strip()
            if not pattern or pattern.startswith("#"):
                continue
            exclude = not pattern.startswith("!")
            cleaned = pattern.lstrip("!").strip().strip("/").removeprefix("./")
            if cleaned:
                self._patterns.append((exclude, _expression(cleaned)))

    def leaves_out(self, path: str) -> bool:
        """Whether a file, told by its path with `/`, stays out of the build."""
        parts = path.split("/")
        ways = ["/".join(parts[: end + 1]) for end in range(len(parts))]
        out = False
        for exclude, pattern in self._patterns:
            if any(pattern.fullmatch(way) for way in ways):
                out = exclude
        return out


@lru_cache
def _expression(pattern: str) -> re.Pattern[str]:
    """Go's filepath.Match, and `**` for any number of folders."""
    result, index = "", 0
    while index < len(pattern):
        if pattern.startswith("**/", index):
            result += "(?:.*/)?"
            index += 3
        elif pattern.startswith("**", index):
            result += ".*"
            index += 2
        elif pattern[index] == "[" and (end := pattern.find("]", index)) > 0:
            result += pattern[index : end + 1]
            index = end + 1
        else:
            char = pattern[index]
            result += {"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char))
            index += 1
    return re.compile(result)
