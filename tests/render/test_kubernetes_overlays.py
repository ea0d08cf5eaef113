"""What a user does to the manifests: components, patches, settings, and `make deploy`.

The examples are those of docs/kubernetes.md.
"""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import docs_code
import manifests
import pytest
import support
import yaml
from manifests import Manifest

ANSWERS = {"database": "postgresql", "events": "redis", "auth": "jwt", "tracing": "true"}


@pytest.fixture
def project(tmp_path: Path, shared_folder: Path, render: Callable[..., Path]) -> Path:
    """The project of a service that has everything, to be changed."""
    rendered = support.build_once(
        shared_folder / "kubernetes-project", lambda folder: render(folder, ANSWERS)
    )
    return shutil.copytree(rendered, tmp_path / "service")


def with_lines(project: Path, lines: str) -> list[Manifest]:
    """The overlay `production` after its user has added something to its kustomization."""
    folder = project / manifests.FOLDER / "overlays/production"
    file = folder / "kustomization.yaml"
    file.write_text(file.read_text("utf-8") + lines, "utf-8")
    return manifests.read(manifests.build(folder))


def test_the_prometheus_operator_finds_each_pod(project: Path) -> None:
    """Opted in, the ServiceMonitor finds a Service, and that finds pods, ready or not."""
    found = with_lines(project, "components: [../../components/service-monitor]\n")

    monitor = manifests.the(found, "ServiceMonitor")
    assert monitor["spec"]["endpoints"][0]["path"] == "/metrics"
    (service,) = [
        each
        for each in manifests.of_kind(found, "Service")
        if manifests.name_of(each) == "payment-api-management"
    ]
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["clusterIP"] == "None"
    assert {*manifests.unresolved(found)} == {"Secret payment-api-secrets"}
    assert manifests.namespaces(found) == {"payment-api-production"}


def test_a_prometheus_without_operator_finds_each_pod(project: Path) -> None:
    """Opted in, the pods say where their metrics are."""
    found = with_lines(project, "components: [../../components/scrape-annotations]\n")

    template = manifests.service(found)
    port = manifests.port_names(template["spec"])["management"]
    annotations = template["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port)
    assert annotations["prometheus.io/scrape"] == "true"
    assert annotations["prometheus.io/path"] == "/metrics"


def test_secrets_from_a_manager_resolve(project: Path) -> None:
    """Opted in, there is who makes the Secret that the pods mount."""
    found = with_lines(project, "components: [../../components/external-secrets]\n")

    assert not list(manifests.unresolved(found))


def test_a_setting_of_the_overlay_reaches_the_pods(project: Path) -> None:
    """`settings.env` is where the user sets a variable, the base's included."""
    settings = project / manifests.FOLDER / "overlays/production/settings.env"
    settings.write_text("LOG_FORMAT=console\nMAX_REQUESTS=4000\n", "utf-8")
    found = with_lines(project, "")

    data = manifests.the(found, "ConfigMap")["data"]
    assert data == {"LOG_FORMAT": "console", "MAX_REQUESTS": "4000"}


def test_references_that_lead_nowhere_are_found(project: Path) -> None:
    """The tests above would see a fault: each of these is one."""
    found = with_lines(project, "components: [../../components/service-monitor]\n")
    text = json.dumps(found)
    faults: Mapping[str, tuple[str, str]] = {
        "ServiceAccount other": (
            '"serviceAccountName": "payment-api"',
            '"serviceAccountName": "other"',
        ),
        "volume tmp": ('"/tmp", "name": "tmp"', '"/tmp", "name": "other"'),
        "port http of Service payment-api": (
            '"containerPort": 8000, "name": "http"',
            '"containerPort": 8000, "name": "web"',
        ),
        "port other of startupProbe": (
            '"path": "/health/startup", "port": "management"',
            '"path": "/health/startup", "port": "other"',
        ),
        "Deployment other": (
            '"kind": "Deployment", "name": "payment-api"',
            '"kind": "Deployment", "name": "other"',
        ),
        "port other of ServiceMonitor payment-api": (
            '"path": "/metrics", "port": "management"',
            '"path": "/metrics", "port": "other"',
        ),
    }
    for fault, (right, wrong) in faults.items():
        assert right in text, right
        assert fault in set(manifests.unresolved(json.loads(text.replace(right, wrong)))), fault


PAGE = (support.REPOSITORY / "docs/kubernetes.md").read_text("utf-8")
EXAMPLES = [(block.code.splitlines()[0], block.code) for block in docs_code.blocks(PAGE, "yaml")]


def examples(title: str) -> Mapping[str, str]:
    """The page's examples whose first line begins with this, by that line without its mark."""
    return {
        first.removeprefix("# "): code for first, code in EXAMPLES if first.startswith(f"# {title}")
    }


def with_example(project: Path, title: str) -> list[Manifest]:
    """The overlay `production` with what the page says to add to its kustomization."""
    (code,) = examples(title).values()
    return with_lines(project, code)


def test_the_pages_changes_hold(project: Path) -> None:
    """Who may call and where things are is narrowed and added to as the page says."""
    folder = project / manifests.FOLDER / "overlays/production"
    before = manifests.read(manifests.build(folder))
    (listed,) = [code for first, code in EXAMPLES if first == "# kustomization.yaml"]
    own, shipped = (
        (folder / "kustomization.yaml"),
        yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8")),
    )
    own.write_text(yaml.safe_dump({**shipped, **yaml.safe_load(listed)}), "utf-8")
    names = re.findall(r"^  - (?:path: )?(\w[\w-]*\.yaml)$", listed, re.MULTILINE)
    for name in set(names) - {"namespace.yaml"}:
        ((_, code),) = examples(name).items()
        (folder / name).write_text(code, "utf-8")
    after = manifests.read(manifests.build(folder))

    policies = {manifests.name_of(each): each for each in manifests.of_kind(after, "NetworkPolicy")}
    (caller,) = policies["payment-api-callers"]["spec"]["ingress"]
    assert "ingress-nginx" in json.dumps(caller["from"])
    (database,) = policies["payment-api-database"]["spec"]["egress"]
    assert database["to"] == [{"ipBlock": {"cidr": "10.20.0.0/24"}}]
    added = manifests.allowed(after, manifests.service(after), "egress")
    assert added - manifests.allowed(before, manifests.service(before), "egress") == {8000}
    assert manifests.the(after, "ServiceAccount")["imagePullSecrets"] == [{"name": "registry"}]
    assert set(manifests.unresolved(after)) == {"Secret payment-api-secrets"}


def test_the_pages_patches_for_deployment_tools_hold(project: Path, tmp_path: Path) -> None:
    """The Job is made anew by either, and with Argo CD the service comes after it."""
    flux = tmp_path / "flux"
    shutil.copytree(project, flux)

    found = with_example(project, "kustomization.yaml, for Argo CD")
    job = manifests.the(found, "Job")["metadata"]["annotations"]
    assert job["argocd.argoproj.io/hook"] == "Sync"
    for kind in ("Deployment", "HorizontalPodAutoscaler"):
        annotations = manifests.the(found, kind)["metadata"]["annotations"]
        assert annotations["argocd.argoproj.io/sync-wave"] == "1"

    found = with_example(flux, "kustomization.yaml, for Flux")
    job = manifests.the(found, "Job")["metadata"]["annotations"]
    assert job["kustomize.toolkit.fluxcd.io/force"] == "enabled"
    assert "checkov.io/skip1" in job, "and the rest is still there"


# A kubectl that builds with the real one, and only notes down the rest. Asked for the objects of a
# file it fails and prints none, as the real one does until all of them are there.
KUBECTL = """\
#!/bin/sh
case "$1" in
    kustomize) exec {kubectl} "$@" ;;
    get)
        case "$*" in *--filename*) echo "Error from server (NotFound)" >&2; exit 1 ;; esac
        if [ "$2" != secret ]; then cat {folder}/state; fi
        ;;
    *) echo "$@" | sed "s#--filename=[^ ]*#FILE#" >> {folder}/calls ;;
esac
"""


def deployed(project: Path, folder: Path, state: str) -> tuple[int, list[str]]:
    """What `make deploy` asks of the cluster while the Job says this, and how it ends."""
    real = support.require_engine("kubectl")
    stub = folder / "bin/kubectl"
    stub.parent.mkdir()
    stub.write_text(KUBECTL.format(kubectl=real, folder=folder), "utf-8")
    stub.chmod(0o755)
    (folder / "state").write_text(state)
    path = f"PATH={stub.parent}:{support.clean_environment()['PATH']}"
    command = ["env", path, "make", "deploy", "overlay=staging"]
    done = support.run(command, project, check=False)
    return done.returncode, (folder / "calls").read_text("utf-8").splitlines()


def test_a_rollout_comes_after_its_migration(project: Path, tmp_path: Path) -> None:
    """`make deploy` waits for the Job, whose predecessor it has deleted."""
    status, calls = deployed(project, tmp_path, "SuccessCriteriaMetComplete")

    assert status == 0
    assert calls == [
        "delete FILE --selector=app.kubernetes.io/name=payment-api,"
        "app.kubernetes.io/component=migration --ignore-not-found",
        "apply FILE --selector=app.kubernetes.io/component!=api",
        "apply FILE",
        "rollout status deployment/payment-api --namespace=payment-api-staging --timeout=20m",
    ]


def test_nothing_is_rolled_out_when_the_migration_fails(project: Path, tmp_path: Path) -> None:
    """The old version serves on; the log of the Job is shown."""
    status, calls = deployed(project, tmp_path, "FailureTargetFailed")

    assert status != 0
    assert calls[-1].startswith("logs ")
    assert "apply FILE" not in calls


def test_what_comes_first_is_all_that_a_migration_needs(project: Path) -> None:
    """Without the objects of the service itself the Job still has all that it refers to."""
    found = with_lines(project, "")
    first = [
        manifest
        for manifest in found
        if manifest["metadata"].get("labels", {}).get("app.kubernetes.io/component") != "api"
    ]

    assert {"Deployment", "HorizontalPodAutoscaler"}.isdisjoint(each["kind"] for each in first)
    missing = set(manifests.unresolved(first))
    # Policies of the service's own pods select nothing yet.
    assert {each for each in missing if not each.startswith("pods of NetworkPolicy")} == {
        "Secret payment-api-secrets"
    }
