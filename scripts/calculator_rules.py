"""Make the data of the calculator, docs/assets/calculator/rules.js, from the template.

    .venv/bin/python scripts/calculator_rules.py

The questions, their bounds and their defaults are the questionnaire's, the durations and counts the
chassis'. What is computed of them stands in sizing.js, and a test compares that with the chassis.
With `--check` nothing is changed, and it fails if the file differs.
"""

import json
import re
import sys
from itertools import product
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))
import questionnaire  # noqa: E402 - stands there
from template_chassis import chassis  # noqa: E402

FILE = REPOSITORY / "docs/assets/calculator/rules.js"

ARCHETYPES = ("payments", "minimal", "inference")
DATABASES = ("none", "sqlite", "postgresql")
LEFT_OUT = {"package_name", "description"}
"""Questions that the calculator doesn't ask."""

_BOUNDS = re.compile(r'rules\.whole_number\(\w+, (\d+), (\d+), "(\w+)"\)')


def rules() -> dict[str, Any]:
    """All that the calculator has to know."""
    return {"questions": questions(), "defaults": defaults(), "constants": constants()}


def questions() -> dict[str, Any]:
    """What is asked, with its bounds or its choices."""
    return {
        name: described(question)
        for name, question in questionnaire.QUESTIONS.items()
        if question.get("when") is not False and name not in LEFT_OUT
    }


def described(question: dict[str, Any]) -> dict[str, Any]:
    """One question."""
    about: dict[str, Any] = {"help": question["help"].strip()}
    if bounds := _BOUNDS.search(question.get("validator", "")):
        about |= {"lowest": int(bounds[1]), "highest": int(bounds[2]), "unit": bounds[3]}
    if "choices" in question:
        choices = question["choices"]
        pairs = choices.items() if isinstance(choices, dict) else zip(choices, choices, strict=True)
        about["choices"] = {
            choice["value"] if isinstance(choice, dict) else choice: label
            for label, choice in pairs
        }
    about |= {"several": True} if question.get("multiselect") else {}
    return about


def defaults() -> dict[str, Any]:
    """The defaults of each archetype with each database, and the database of each archetype."""
    found: dict[str, Any] = {"database": {}}
    for archetype in ARCHETYPES:
        found["database"][archetype] = questionnaire.answer({"archetype": archetype})["database"]
    for archetype, database in product(ARCHETYPES, DATABASES):
        given = {"archetype": archetype, "database": database}
        answers = questionnaire.answer(given)
        found[f"{archetype} {database}"] = {
            name: answers[name] for name in questions() if name not in given
        }
    return found


def constants() -> dict[str, int]:
    """The chassis' durations and counts."""
    budget, pool = chassis("capacity.budget"), chassis("database.pool_size")
    sizing = chassis("capacity.sizing")
    return {
        "linger": budget.LINGER_SECONDS,
        "close": budget.CLOSE_SECONDS,
        "graceMargin": budget.GRACE_MARGIN_SECONDS,
        "graceHeadroom": budget.GRACE_HEADROOM_SECONDS,
        "probeTimeout": budget.HEALTH_CHECK_TIMEOUT_SECONDS + 1,
        "reserveShare": 4096 // sizing.reserve(4096),
        "reservedConnections": pool.RESERVED_CONNECTIONS,
        "surge": pool.SURGE,
        "sqlitePool": pool.SQLITE_POOL_SIZE,
    }


def main() -> int:
    """Write the file, or check it."""
    text = json.dumps(rules(), indent=2, ensure_ascii=False)
    made = f"// Made by scripts/{Path(__file__).name}.\nexport const RULES = {text}\n"
    if "--check" not in sys.argv:
        FILE.write_text(made, "utf-8")
    elif FILE.read_text("utf-8") != made:
        print(f"{FILE.name} isn't what the template says: run scripts/{Path(__file__).name}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
