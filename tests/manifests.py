"""Kubernetes manifests as kustomize builds them, and what they refer to."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import support
import yaml

Manifest = dict[str, Any]

FOLDER = "deploy/kubernetes"


def build(folder: Path) -> str:
    """What kustomize makes of a folder."""
    support.require_engine("kubectl")
    return support.run(["kubectl", "kustomize", "."], folder).stdout


def read(text: str) -> list[Manifest]:
    """The manifests in a text."""
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    """Those of one kind."""
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def the(manifests: list[Manifest], kind: str) -> Manifest:
    """The only one of its kind."""
    (manifest,) = of_kind(manifests, kind)
    return manifest


def service(manifests: list[Manifest]) -> Manifest:
    """The template of the service's pods."""
    template: Manifest = the(manifests, "Deployment")["spec"]["template"]
    return template


def name_of(manifest: Manifest) -> str:
    """Its name."""
    name: str = manifest["metadata"]["name"]
    return name


def pod_templates(manifests: list[Manifest]) -> list[Manifest]:
    """What pods are made of."""
    return [manifest["spec"]["template"] for manifest in manifests if _makes_pods(manifest)]


def _makes_pods(manifest: Manifest) -> bool:
    return manifest["kind"] in {"Deployment", "Job"}


def selects(selector: Mapping[str, Any], template: Manifest) -> bool:
    """Whether a selector by labels finds the pods of a template."""
    wanted = selector.get("matchLabels", selector)
    assert not selector.get("matchExpressions")
    found: bool = wanted.items() <= template["metadata"]["labels"].items()
    return found


def selectors(manifests: list[Manifest]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every selector of pods, with the place that it stands at."""
    for manifest in manifests:
        spec, place = manifest.get("spec", {}), f"{manifest['kind']} {name_of(manifest)}"
        if manifest["kind"] in {"Service", "Deployment", "PodDisruptionBudget"}:
            yield place, spec["selector"]
        elif manifest["kind"] == "NetworkPolicy":
            yield place, spec["podSelector"]
        if _makes_pods(manifest):
            for spread in spec["template"]["spec"].get("topologySpreadConstraints", []):
                yield f"{place}, {spread['topologyKey']}", spread["labelSelector"]


def unresolved(manifests: list[Manifest]) -> Iterator[str]:
    """Every reference that finds nothing, in words. Secrets that may be missing don't count."""
    names = {(manifest["kind"], name_of(manifest)) for manifest in manifests}
    made = {  # by the External Secrets operator
        ("Secret", manifest["spec"]["target"]["name"])
        for manifest in of_kind(manifests, "ExternalSecret")
    }
    templates = pod_templates(manifests)
    for template in templates:
        for kind, name in _referred(template["spec"]):
            if (kind, name) not in names | made:
                yield f"{kind} {name}"
        yield from _wrong_volumes(template["spec"])
        yield from _wrong_probes(template["spec"])
    for place, selector in selectors(manifests):
        if not any(selects(selector, template) for template in templates):
            yield f"pods of {place}"
    for scaler in of_kind(manifests, "HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        if (target["kind"], target["name"]) not in names:
            yield f"{target['kind']} {target['name']}"
    yield from _wrong_ports(manifests)


def _referred(pod: Manifest) -> Iterator[tuple[str, str]]:
    yield "ServiceAccount", pod["serviceAccountName"]
    for volume in pod["volumes"]:
        if "secret" in volume and not volume["secret"].get("optional"):
            yield "Secret", volume["secret"]["secretName"]
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]
    for container in pod["containers"]:
        for source in container.get("envFrom", []):
            for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
                if key in source:
                    yield kind, source[key]["name"]
        for variable in container.get("env", []):
            value = variable.get("valueFrom", {})
            for key, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
                if key in value:
                    yield kind, value[key]["name"]


def _wrong_volumes(pod: Manifest) -> Iterator[str]:
    volumes = {volume["name"] for volume in pod["volumes"]}
    mounted = {mount["name"] for each in pod["containers"] for mount in each["volumeMounts"]}
    for name in mounted ^ volumes:
        yield f"volume {name}"


def port_names(pod: Manifest) -> dict[str, int]:
    """The ports of a pod by name."""
    return {
        port["name"]: port["containerPort"]
        for container in pod["containers"]
        for port in container.get("ports", [])
    }


def _wrong_probes(pod: Manifest) -> Iterator[str]:
    for container in pod["containers"]:
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            port = container.get(kind, {}).get("httpGet", {}).get("port")
            if port is not None and port not in port_names(pod):
                yield f"port {port} of {kind}"


def _wrong_ports(manifests: list[Manifest]) -> Iterator[str]:
    templates = pod_templates(manifests)
    for service in of_kind(manifests, "Service"):
        for template in templates:
            if selects(service["spec"]["selector"], template):
                for port in service["spec"]["ports"]:
                    if port["targetPort"] not in port_names(template["spec"]):
                        yield f"port {port['targetPort']} of Service {name_of(service)}"
    for policy in of_kind(manifests, "NetworkPolicy"):
        for template in templates:
            if selects(policy["spec"]["podSelector"], template):
                for rule in policy["spec"].get("ingress", []):
                    for port in rule["ports"]:
                        if port["port"] not in port_names(template["spec"]):
                            yield f"port {port['port']} of NetworkPolicy {name_of(policy)}"
    services = of_kind(manifests, "Service")
    for monitor in of_kind(manifests, "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        found = [one for one in services if wanted <= one["metadata"]["labels"].items()]
        ports = {port["name"] for one in found for port in one["spec"]["ports"]}
        for endpoint in monitor["spec"]["endpoints"]:
            if endpoint["port"] not in ports:
                yield f"port {endpoint['port']} of ServiceMonitor {name_of(monitor)}"


def allowed(manifests: list[Manifest], template: Manifest, direction: str) -> set[object]:
    """The ports that policies open for a pod, `ingress` or `egress`.

    Everything where none isolates it. Who may be on the other side of a port isn't looked at.
    """
    policies = [
        policy["spec"]
        for policy in of_kind(manifests, "NetworkPolicy")
        if selects(policy["spec"]["podSelector"], template)
        and direction.capitalize() in policy["spec"]["policyTypes"]
    ]
    if not policies:
        return {"everything"}
    return {
        port["port"]
        for policy in policies
        for rule in policy.get(direction, [])
        for port in rule.get("ports", [{"port": "everything"}])
    }


_UNITS = {"m": 0.001, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "": 1}


def quantity(value: object) -> float:
    """A quantity of CPUs or bytes."""
    text = str(value)
    number = text.rstrip("mKGi") if text[-1:].isalpha() else text
    unit = text[len(number) :] if number != text else ""
    if text.endswith("Mi"):
        number, unit = text[:-2], "Mi"
    return float(number) * _UNITS[unit]


def namespaces(manifests: list[Manifest]) -> set[str]:
    """Where they stand."""
    return {each["metadata"].get("namespace") for each in manifests if each["kind"] != "Namespace"}
