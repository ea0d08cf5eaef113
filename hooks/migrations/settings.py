"""0.3.0: a service's settings derive from `AnsweredSettings`: they bring what the answers need."""

import re
from pathlib import Path

import steps

OLD_BASE = "class Settings(ChassisSettings):"
NEW_BASE = "class Settings(AnsweredSettings):"


def plan(project: Path) -> steps.Plan:
    """Change the base class in the user's `settings.py`, and what only the old one needed."""
    name = f"src/{steps.package_of(project)}/settings.py"
    text = steps.text_of(project, name)
    if "AnsweredSettings" in text:
        return steps.Plan()
    if OLD_BASE not in text or "from .answers import ANSWERS\n" not in text:
        return steps.Plan(notes=[f"{name}: derive Settings from AnsweredSettings, of .answers"])
    text = text.replace(OLD_BASE, NEW_BASE)
    text = text.replace("from .answers import ANSWERS\n", "from .answers import AnsweredSettings\n")
    text = text.replace("\n    answers: ClassVar[Answers] = ANSWERS\n", "")
    text = without_imports(text, "typing", {"ClassVar"})
    text = without_imports(text, ".chassis", {"Answers", "ChassisSettings"})
    return steps.Plan(write={name: text})


def without_imports(text: str, module: str, names: set[str]) -> str:
    """The text without these names in an import, where nothing uses them any more."""
    found = re.search(rf"^from {re.escape(module)} import ([\w, ]+)\n", text, re.MULTILINE)
    if found is None:
        return text
    rest = text.replace(found[0], "")
    kept = [
        name
        for name in found[1].split(", ")
        if name not in names or re.search(rf"\b{name}\b", rest)
    ]
    if kept:
        return text.replace(found[1], ", ".join(kept))
    return re.sub(r"\n{3,}(?=from|import)", "\n\n", rest)


if __name__ == "__main__":
    steps.run(plan)
