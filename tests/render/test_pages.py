"""What pages have one write into a service, or type beside its files, is understood."""

import shlex
from collections.abc import Callable
from pathlib import Path

import docs_code
import pytest
import support
import yaml

DOCS = support.REPOSITORY / "docs"


@pytest.fixture
def project(tmp_path: Path, render: Callable[..., Path]) -> Path:
    """A service on PostgreSQL, with manifests."""
    return render(tmp_path / "service", {"database": "postgresql", "events": "redis"})


def block(name: str, language: str, part: str) -> str:
    """The block of a page with this in it."""
    text = (DOCS / name).read_text("utf-8")
    (code,) = (it.code for it in docs_code.blocks(text, language) if part in it.code)
    return code


def test_make_takes_the_steps_of_the_page_on_ci(project: Path) -> None:
    """They are run beside what the template has under the same names."""
    code = block("ci.md", "make", "ci-setup")
    (project / "local.mk").write_text(code, "utf-8")
    recipes = [line.strip() for line in code.splitlines() if line.startswith("\t")]

    done = support.run(["make", "--dry-run", "ci-setup", "ci-checks"], project)

    assert len(recipes) == 2
    for recipe in recipes:
        assert recipe.partition("  #")[0].replace("$(UV)", "uv") in done.stdout


def test_the_pipeline_can_be_used_by_another_workflow(project: Path) -> None:
    """The file that the page's workflow uses is there, and lets itself be called."""
    workflow = yaml.safe_load(block("ci.md", "yaml", "merge_group"))
    (used,) = (job["uses"] for job in workflow["jobs"].values())
    called = yaml.safe_load((project / used).read_text("utf-8"))
    assert "workflow_call" in called[True]  # YAML's word for `on`


def test_an_objective_of_ones_own_is_a_rule_that_is_asked_for(
    project: Path, tmp_path: Path
) -> None:
    """promtool takes it, and the shipped rules look at its name."""
    code = block("monitoring.md", "yaml", "custom:")
    file = tmp_path / "custom_rules.yml"
    file.write_text(code, "utf-8")
    support.run([support.require_engine("promtool"), "check", "rules", file], tmp_path)
    (group,) = yaml.safe_load(code)["groups"]
    rules = (project / "monitoring/rules.yml").read_text("utf-8")
    assert all(rule["record"] in rules for rule in group["rules"])


def test_the_secret_is_made_where_the_pods_look_for_it(project: Path) -> None:
    """In the overlay's namespace, by its name, with a key for each file; nothing is sent."""
    support.require_engine("kubectl")
    page = (DOCS / "kubernetes.md").read_text("utf-8")
    code = next(it.code for it in docs_code.blocks(page, "console") if "create secret" in it.code)
    apply, create = code.replace("\\\n", "").removeprefix("$ ").split("\n$ ")
    for key in ("database_url", "redis_url"):
        (project / key).write_text("secret")

    made = support.run([*shlex.split(create), "--dry-run=client", "--output=yaml"], project)

    secret = yaml.safe_load(made.stdout)
    (file,) = (project / word for word in shlex.split(apply) if word.endswith(".yaml"))
    namespace = yaml.safe_load(file.read_text("utf-8"))
    assert namespace["kind"] == "Namespace"
    assert secret["metadata"]["namespace"] == namespace["metadata"]["name"]
    assert set(secret["data"]) == {"database_url", "redis_url"}
    deployment = (project / "deploy/kubernetes/base/deployment.yaml").read_text("utf-8")
    assert f"secretName: {secret['metadata']['name']}\n" in deployment
    assert apply == f"kubectl apply -f {file.relative_to(project)}"  # asks a server, dry or not
