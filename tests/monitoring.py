"""What the tests ask of a service's rules and dashboard."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)(\{[^}]*\})")
"""Every selector of a metric has braces here, which functions and labels don't have."""

_RANGE = re.compile(r"\[(\d+)([smh])\]")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_LONGEST = 20

# What Grafana puts in their place.
_VARIABLES = {
    "$__rate_interval": "10s",
    "$__range": "60s",
    "$namespace": ".*",
    "$instance": ".*",
}


def rules(project: Path) -> list[dict[str, Any]]:
    """The rules that the project ships, of all groups."""
    document = yaml.safe_load((project / "monitoring/rules.yml").read_text("utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def alerts(project: Path) -> list[dict[str, Any]]:
    """Those of them that are alerts."""
    return [rule for rule in rules(project) if "alert" in rule]


def dashboard(project: Path) -> dict[str, Any]:
    """The dashboard that the project ships."""
    text = (project / "monitoring/dashboard.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def dashboard_queries(project: Path, service: str) -> dict[str, str]:
    """What the dashboard asks, with its variables filled in, by panel and letter."""
    found = {}
    for panel in dashboard(project)["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"].replace("$job", service)
            for name, value in _VARIABLES.items():
                query = query.replace(name, value)
            found[f"{panel['title']} {target['refId']}"] = query
    return found


def selectors(expression: str) -> set[str]:
    """Each metric that an expression is about, with its labels."""
    return {name + labels for name, labels in SELECTOR.findall(expression)}


def names(expression: str) -> set[str]:
    """Each metric that an expression is about."""
    return {name for name, _ in SELECTOR.findall(expression)}


def hastened(project: Path, **thresholds: tuple[str, str]) -> str:
    """The shipped rules for a test that hasn't got five minutes, as a rules file.

    A minute becomes a second (and at most 20, and no less than 4, which hold a few scrapes), an
    alert fires after a second, and the thresholds of the alerts that are named are replaced.
    """
    document = yaml.safe_load((project / "monitoring/rules.yml").read_text("utf-8"))
    for group in document["groups"]:
        for rule in group["rules"]:
            rule["expr"] = _RANGE.sub(_shortened, rule["expr"])
            if "for" in rule:
                rule["for"] = "1s"
            if rule.get("alert") in thresholds:
                old, new = thresholds[rule["alert"]]
                assert rule["expr"].count(old) == 1, rule
                rule["expr"] = rule["expr"].replace(old, new)
    text: str = yaml.safe_dump(document)
    return text


def _shortened(found: re.Match[str]) -> str:
    seconds = int(found[1]) * _SECONDS[found[2]] / 60
    return f"[{max(4, min(_LONGEST, round(seconds)))}s]"
