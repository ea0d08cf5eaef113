"""The manifests hang together: with each other, with the answers and with the chassis (SPEC J3).

Built by the real kustomize, for answers that cover each pair of those that matter here. The
numbers, over the whole range of answers, stand in `test_kubernetes_numbers.py`.
"""

from typing import Any

import manifests
import pytest
from kubernetes_variants import OVERLAYS, VARIANTS
from manifests import Manifest

EACH_VARIANT = pytest.mark.parametrize(
    "number", range(len(VARIANTS)), ids=lambda number: f"variant-{number:02d}"
)
EACH_BUILD = pytest.mark.parametrize("overlay", [*OVERLAYS, "base"])


def answered(number: int, name: str, default: str) -> str:
    """What a variant answers to a question."""
    return VARIANTS[number].get(name, default)


@EACH_BUILD
@EACH_VARIANT
def test_every_reference_resolves(number: int, overlay: str, built: Any) -> None:
    """Nothing mounts, selects, scales or probes what isn't there.

    But for the Secret, which no file of a repository can hold: where the answers need one, the
    pods wait for it by its one name.
    """
    found = built(number, overlay)
    name = answered(number, "service_name", "payment-api")
    needs_secrets = answered(number, "database", "") == "postgresql"

    missing = {f"Secret {name}-secrets"} if needs_secrets else set()
    assert set(manifests.unresolved(found)) == missing
    assert not manifests.of_kind(found, "Secret")


@EACH_VARIANT
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_an_environment_of_its_own(number: int, overlay: str, built: Any) -> None:
    """All of it stands in a namespace that refuses more than restricted pods."""
    found = built(number, overlay)
    namespace = manifests.the(found, "Namespace")

    assert manifests.name_of(namespace).endswith(f"-{overlay}")
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    for manifest in found:
        if manifest is not namespace:
            assert manifest["metadata"]["namespace"] == manifests.name_of(namespace)
    images = {each["image"] for pod in manifests.pod_templates(found) for each in containers(pod)}
    name = answered(number, "service_name", "payment-api")
    assert images == {f"registry.example.com/{name}:0.1.0"}, "service and migration are one image"


def containers(template: Manifest) -> list[Manifest]:
    """All containers of a pod."""
    spec = template["spec"]
    assert "initContainers" not in spec
    found: list[Manifest] = spec["containers"]
    return found


@EACH_BUILD
@EACH_VARIANT
def test_pods_are_restricted(number: int, overlay: str, built: Any) -> None:
    """The profile `restricted` of Pod Security, a read-only root, and no token.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    """
    found = built(number, overlay)
    for template in manifests.pod_templates(found):
        pod = template["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & pod.keys()
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 1001,
            "runAsGroup": 1001,
            "fsGroup": 1001,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        for container in containers(template):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
        for volume in pod["volumes"]:
            assert "secret" in volume or volume["emptyDir"]["medium"] == "Memory"
    assert manifests.the(found, "ServiceAccount")["automountServiceAccountToken"] is False


@EACH_BUILD
@EACH_VARIANT
def test_nothing_secret_is_in_the_environment(number: int, overlay: str, built: Any) -> None:
    """Secrets are files; the ConfigMap holds none of their names."""
    found = built(number, overlay)
    for template in manifests.pod_templates(found):
        for container in containers(template):
            assert [set(source) for source in container["envFrom"]] == [{"configMapRef"}]
            assert "env" not in container
            mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
            assert mounts["/run/secrets"]["readOnly"] is True
    names = set(manifests.the(found, "ConfigMap")["data"])
    assert not {name for name in names if name.endswith(("_URL", "_KEY", "_TOKEN"))} - {
        "JWT_JWKS_URL"
    }


@EACH_VARIANT
def test_a_changed_setting_is_a_rollout(number: int, built: Any) -> None:
    """The ConfigMap's name changes with its content, and the pods refer to the new one."""
    staging, production = (built(number, overlay) for overlay in OVERLAYS)
    name = answered(number, "service_name", "payment-api")

    names = [manifests.name_of(manifests.the(each, "ConfigMap")) for each in (staging, production)]
    assert names[0] != names[1]
    assert all(each.startswith(f"{name}-settings-") for each in names)


@EACH_VARIANT
def test_a_rollout_and_an_emptied_node_get_through(number: int, built: Any) -> None:
    """At any number of replicas: somebody always serves during a rollout, and one may be moved."""
    found = built(number, "production")
    deployment = manifests.the(found, "Deployment")["spec"]
    scaler = manifests.the(found, "HorizontalPodAutoscaler")["spec"]
    budget = manifests.the(found, "PodDisruptionBudget")["spec"]
    rolling = deployment["strategy"]["rollingUpdate"]

    assert "replicas" not in deployment, "they are the autoscaler's"
    assert scaler["minReplicas"] == int(answered(number, "replicas_min", "3"))
    assert scaler["maxReplicas"] >= scaler["minReplicas"]
    assert rolling["maxSurge"] == 1
    assert rolling["maxUnavailable"] == (1 if scaler["minReplicas"] > 1 else 0)
    # Not so many of them have to be there: with a single one that would be never.
    assert "minAvailable" not in budget
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    for spread in deployment["template"]["spec"]["topologySpreadConstraints"]:
        assert spread["whenUnsatisfiable"] == "ScheduleAnyway"


@EACH_VARIANT
def test_the_network_lets_through_what_the_answers_need(number: int, built: Any) -> None:
    """And nothing else, for the service and for its migration."""
    found = built(number, "production")
    payments = answered(number, "archetype", "payments") == "payments"
    database = answered(number, "database", "") == "postgresql"
    jwt = answered(number, "auth", "none") == "jwt"
    needed: dict[int, bool] = {
        53: True,
        5432: database,
        6379: answered(number, "events", "log") == "redis",
        443: payments or jwt,
        4318: answered(number, "tracing", "false") == "true",
    }

    service = manifests.service(found)
    assert manifests.allowed(found, service, "ingress") == {"http", "management"}
    assert manifests.allowed(found, service, "egress") == {
        port for port, wanted in needed.items() if wanted
    }
    jobs = manifests.of_kind(found, "Job")
    assert len(jobs) == database
    for job in jobs:
        migration = job["spec"]["template"]
        assert manifests.allowed(found, migration, "ingress") == set()
        assert manifests.allowed(found, migration, "egress") == {53, 5432}
        for other in ("Service", "Deployment", "PodDisruptionBudget"):
            selector = manifests.the(found, other)["spec"]["selector"]
            assert not manifests.selects(selector, migration), f"{other} takes it for a replica"


def test_scraping_is_bounded_to_a_namespace(built: Any) -> None:
    """The management port tells details: not everybody may ask."""
    found = built(0, "production")
    policies = manifests.of_kind(found, "NetworkPolicy")
    rules = [rule for policy in policies for rule in policy["spec"].get("ingress", [])]

    (scraping,) = [rule for rule in rules if rule["ports"] == [{"port": "management"}]]
    assert scraping["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    ]
    ports = [port["targetPort"] for port in manifests.the(found, "Service")["spec"]["ports"]]
    assert ports == ["http"], "and no Service leads there"
