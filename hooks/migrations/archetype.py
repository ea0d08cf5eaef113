"""0.2.0: there are archetypes. A service from before is a minimal one, whatever the default is."""

import re
from pathlib import Path

import steps


def plan(project: Path) -> steps.Plan:
    """Write the answer down that nobody was asked for."""
    answers = steps.text_of(project, steps.ANSWERS)
    if re.search(r"^archetype:", answers, re.MULTILINE):
        return steps.Plan()
    return steps.Plan(write={steps.ANSWERS: f"{answers.rstrip()}\narchetype: minimal\n"})


if __name__ == "__main__":
    steps.run(plan)
