"""The pictures: they can be read, in words too, and say what the service does."""

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import support
from browser import Browser
from template_chassis import chassis

PICTURES = sorted((support.REPOSITORY / "docs/pictures").glob("*.svg"))

WORDS = """
[...document.querySelectorAll('text')].map(each => {
  const { left, top, right, bottom } = each.getBoundingClientRect()
  return { words: each.textContent, left, top, right, bottom }
})
"""


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.stem)
def test_a_picture_stands_for_itself(picture: Path) -> None:
    """It needs no other file, runs nothing, and has its words for those who don't see it."""
    text = picture.read_text("utf-8")
    root = ElementTree.fromstring(text)  # noqa: S314 - our own
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not names & {"script", "image", "foreignObject"}
    assert not re.search(r"(?:href|src|@import|url\((?!#))", text)
    assert root.attrib["aria-labelledby"] == "title desc"
    said = {element.attrib.get("id"): element.text or "" for element in root}
    assert said["title"]
    assert len(said["desc"].split()) > 30


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.stem)
def test_a_page_shows_it(picture: Path) -> None:
    """With a text in its place."""
    pages = "".join(page.read_text("utf-8") for page in picture.parent.parent.rglob("*.md"))
    assert re.search(rf"!\[[^]]{{40,}}\]\(pictures/{picture.name}\)", pages)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.stem)
def test_its_words_are_not_in_each_others_way(picture: Path, site: str, chromium: Browser) -> None:
    """Nor cut off at its edges, whatever the fonts here are."""
    chromium.look(width=1280, dark=False)
    chromium.open(f"{site}pictures/{picture.name}")
    width, height = ElementTree.parse(picture).getroot().attrib["viewBox"].split()[2:]  # noqa: S314
    words: list[dict[str, Any]] = chromium.ask(WORDS)
    assert len(words) > 5
    for number, one in enumerate(words):
        assert one["left"] >= 0, one
        assert one["right"] <= float(width), one
        assert one["bottom"] <= float(height), one
        for other in words[number + 1 :]:
            beside = one["right"] <= other["left"] or other["right"] <= one["left"]
            above = one["bottom"] <= other["top"] + 3 or other["bottom"] <= one["top"] + 3
            assert beside or above, json.dumps([one, other])


def test_the_stop_takes_as_long_as_it_is_drawn() -> None:
    """Its times are those of the default answers, and as far apart as they are long."""
    answers = chassis("answers").Answers(
        service_name="a",
        description="a",
        template_version="1",
        cpu_limit=2,
        memory_limit_mib=1024,
        memory_per_worker_mib=150,
        workload="io",
        request_timeout_seconds=15,
        drain_seconds=10,
        keepalive_seconds=5,
    )
    budget = chassis("capacity.budget").ShutdownBudget.from_answers(answers)
    picture = (support.REPOSITORY / "docs/pictures/shutdown.svg").read_text("utf-8")
    ticks = re.findall(r'muted" x="(\d+)" y="40">(\d+)', picture)
    ends = [0, budget.drain, budget.drain + budget.linger, budget.graceful - budget.close]
    assert [int(time) for _, time in ticks] == [*ends, budget.graceful, budget.termination_grace]
    assert {(int(x) - 150) / 15 == int(time) for x, time in ticks} == {True}
    noticed = budget.readiness_period * budget.readiness_failures
    assert f"the third no, after {noticed} s at most" in picture
