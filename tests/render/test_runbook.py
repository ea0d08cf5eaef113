"""The runbook's commands look where the service is, and ask what is understood.

What they find is seen beside a service that runs, in `tests/boot/test_runbook.py`.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import manifests
import pytest
import runbooks
import support
import yaml

VARIANTS: Mapping[str, Mapping[str, str]] = {
    "default": {},
    "minimal": {"archetype": "minimal"},
    "every-feature": support.EVERY_FEATURE,
    "inference": {"archetype": "inference", "database": "postgresql", "deploy": "[compose]"},
}
NOWHERE = """\
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: none, context: {cluster: none}}]
current-context: none
"""
NAMED = re.compile(r'\.(logger|message) == "([^"]+)"')


@pytest.fixture(scope="module", params=list(VARIANTS))
def project(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    render: Callable[..., Path],
) -> Path:
    """A rendered project."""
    return render(tmp_path_factory.mktemp("variant") / "service", VARIANTS[request.param])


@pytest.fixture
def clustered(tmp_path: Path, render: Callable[..., Path]) -> Path:
    """A project with manifests and a migration."""
    return render(tmp_path / "service", support.EVERY_FEATURE)


def test_it_looks_where_the_overlay_puts_the_service(clustered: Path) -> None:
    """In its namespace, at its pods and no others, by the names that they have."""
    page = runbooks.read(clustered)
    values = dict(line.split("=", 1) for line in runbooks.first(page) if re.match(r"[A-Z]+=", line))
    overlay = clustered / manifests.FOLDER / "overlays/production"
    built = manifests.read(manifests.build(overlay))
    wanted = {"matchLabels": dict(each.split("=") for each in values["PODS"].split(","))}

    assert {each["metadata"].get("namespace") for each in built} - {None} == {values["NS"]}
    selected = [manifests.selects(wanted, each) for each in manifests.pod_templates(built)]
    assert sorted(selected) == [False, True]
    assert manifests.selects(wanted, manifests.service(built))
    commands = [*runbooks.first(page), *runbooks.typed(page)]
    named = {it for line in commands for it in re.findall(r"(deployment|job)/([\w-]+)", line)}
    assert named == {
        (kind.lower(), manifests.name_of(manifests.the(built, kind)))
        for kind in ("Deployment", "Job")
    }


def test_kubectl_understands_its_commands(clustered: Path, tmp_path: Path) -> None:
    """Each of them in the namespace: what it complains of is that there is no cluster."""
    support.require_engine("kubectl")
    page = runbooks.read(clustered)
    (tmp_path / "config").write_text(NOWHERE)
    first = [line for line in runbooks.first(page) if line.startswith("kubectl")]
    commands = [line.partition(" >")[0] for line in first]
    commands += [line for line in runbooks.typed(page) if line.startswith("kubectl")]
    assert len(commands) > 6
    for command in [*commands, "logs"]:
        assert command == "logs" or command.startswith("kubectl -n $NS ")
        typed = command.replace("--replicas=N", "--replicas=4")
        done = runbooks.run(
            runbooks.prelude(page), f"cd {tmp_path}; {typed}", KUBECONFIG=str(tmp_path / "config")
        )
        assert "The connection to the server 127.0.0.1:1 was refused" in done.stderr, command


def test_compose_has_what_it_asks_compose_for(project: Path) -> None:
    """The services, and the address of the first one; where Compose is all there is."""
    page = runbooks.read(project)
    commands = [*runbooks.first(page), *runbooks.typed(page)]
    asked = [line for line in commands if "docker compose logs" in line]
    if not asked:
        assert "docker compose" not in page
        return
    text = (project / "compose.yaml").read_text("utf-8").replace("${NETWORK:-10.213.7}", "10.213.7")
    services = yaml.safe_load(text)["services"]
    for line in asked:
        words = re.sub(r".*docker compose logs|--tail \d+|--[\w-]+|; }$", "", line).split()
        assert words, line
        assert set(words) <= set(services), line
    (address,) = re.findall(r"^AT=([\d.]+):9000", "\n".join(runbooks.first(page)), re.MULTILINE)
    app = services.get("app") or services["app-1"]
    assert app["networks"]["front"]["ipv4_address"] == address


def test_promtool_understands_its_queries(project: Path, tmp_path: Path) -> None:
    """As an expression of a rule."""
    queries = runbooks.queries(runbooks.read(project))
    assert len(queries) >= 2
    rules = [{"record": f"query:{number}", "expr": it} for number, it in enumerate(queries)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "runbook", "rules": rules}]}), "utf-8")

    support.run([support.require_engine("promtool"), "check", "rules", file], tmp_path)


def test_the_log_has_the_names_that_it_is_searched_for(project: Path) -> None:
    """Loggers and messages, as the service's code has them."""
    (package,) = (it.parent for it in project.glob("src/*/wiring.py"))
    code = "".join(path.read_text("utf-8") for path in package.rglob("*.py"))
    found = {it for line in runbooks.typed(runbooks.read(project)) for it in NAMED.findall(line)}
    assert len(found) >= 5
    for kind, name in found:
        before = r"get_logger\(" if kind == "logger" else r"\.(?:error|exception)\(\s*"
        assert name == "..." or re.search(f'{before}"{re.escape(name)}"', code), name
