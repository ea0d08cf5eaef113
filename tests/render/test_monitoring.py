"""Alert rules, their tests, the runbook and the dashboard agree, in each variant that differs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import monitoring
import pytest
import support

VARIANTS: dict[str, Mapping[str, str]] = {
    "minimal": {"archetype": "minimal"},
    "payments": {},
    "postgresql-redis": {"database": "postgresql", "events": "redis"},
    "inference": {"archetype": "inference", "service_name": "x" + "-1" * 14 + "z"},
    "inference-with-a-database": {"archetype": "inference", "database": "sqlite"},
}
DOCUMENTED = re.compile(r"^\| (`[a-z_`, ]+`) \| (gauge|counter|histogram) \|", re.MULTILINE)
OF_ALL = {"up"}
"""What Prometheus itself knows of a target."""


@pytest.fixture(params=list(VARIANTS))
def variant(
    request: pytest.FixtureRequest, tmp_path: Path, render: Callable[..., Path]
) -> tuple[Path, Mapping[str, str]]:
    """A rendered project and its answers."""
    answers = VARIANTS[request.param]
    return render(tmp_path / "service", answers), answers


@pytest.fixture
def project(variant: tuple[Path, Mapping[str, str]]) -> Path:
    """The project alone."""
    return variant[0]


def test_promtool_finds_no_fault(project: Path) -> None:
    """`make alerts`: the rules are rules, and each test of them is green."""
    support.require_engine("promtool")
    done = support.run(["make", "alerts"], project)
    assert "FAILED" not in done.stdout + done.stderr


def test_each_alert_is_complete(project: Path) -> None:
    """It says how bad it is, what is the matter, and where is written what to do."""
    headings = re.findall(r"^### (\w+)$", (project / "docs/runbook.md").read_text(), re.MULTILINE)
    tests = (project / "monitoring/rules_test.yml").read_text()
    found = monitoring.alerts(project)
    for alert in found:
        name = alert["alert"]
        assert alert["labels"]["severity"] in ("critical", "warning"), name
        told = alert["annotations"]
        assert set(told) == {"summary", "description", "runbook_url"}, name
        assert told["runbook_url"] == f"docs/runbook.md#{name.lower()}"
        assert f'alertname="{name}"' in tests, f"{name} fires in no test"
    assert Counter(headings) == Counter(alert["alert"] for alert in found)


def test_the_runbook_links_to_its_own_entries(project: Path) -> None:
    """Also where a variant leaves some out."""
    text = (project / "docs/runbook.md").read_text()
    headings = {heading.lower() for heading in re.findall(r"^#+ (\w+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings


def test_every_metric_is_one_that_the_variant_has(variant: tuple[Path, Mapping[str, str]]) -> None:
    """Of those in the documentation; what belongs to a database or to models only there."""
    project, answers = variant
    archetype = answers.get("archetype", "payments")
    page = (support.REPOSITORY / "docs/logs-and-metrics.md").read_text("utf-8")
    documented = {
        name: kind
        for names, kind in DOCUMENTED.findall(page)
        for name in re.findall(r"[a-z_]+", names)
    }
    assert len(documented) > 30
    left_out = ("database_", "outbox_") if answers.get("database") is None else ()
    if archetype == "payments":
        left_out = ()
    if archetype != "inference":
        left_out = (*left_out, "model_")
    exported = OF_ALL | {name for name in documented if not name.startswith(left_out)}
    for name, kind in documented.items():
        if name in exported and kind == "histogram":
            exported |= {f"{name}_{suffix}" for suffix in ("bucket", "count", "sum")}
    recorded = {rule["record"] for rule in monitoring.rules(project) if "record" in rule}
    for rule in monitoring.rules(project):
        known = (
            exported
            | recorded
            | {"custom:slo_availability:objective", "custom:slo_latency:objective"}
        )
        assert monitoring.names(rule["expr"]) <= known, rule
    for panel, query in monitoring.dashboard_queries(project, "x").items():
        assert monitoring.names(query), panel
        assert monitoring.names(query) <= exported, panel


def test_the_dashboard_is_one_that_grafana_takes(project: Path) -> None:
    """Ids are unique, panels don't overlap, and where the data come from is a variable."""
    dashboard = monitoring.dashboard(project)
    assert dashboard["schemaVersion"] >= 39
    variables = [variable["name"] for variable in dashboard["templating"]["list"]]
    assert variables == ["datasource", "job", "namespace", "instance"]
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert not [pair for pair in combinations(panels, 2) if overlap(*pair)]
    for panel in panels:
        if panel["type"] == "row":
            continue
        assert panel["description"], panel["title"]
        for target in panel["targets"]:
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            for selector in monitoring.selectors(target["expr"]):
                assert 'job="$job",namespace=~"$namespace",instance=~"$instance"' in selector


def overlap(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether two panels stand in the same place."""
    a, b = first["gridPos"], second["gridPos"]
    beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
    above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
    return not beside and not above
