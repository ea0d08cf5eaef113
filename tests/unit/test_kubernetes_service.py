"""The manifests fit the service that they run, as that says itself when it is installed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import manifests
import support

# What is put into the Secret; the rest comes from the overlay's ConfigMap.
SECRETS = {
    "database_url": "postgresql://user:password@database:5432/payments",
    "redis_url": "redis://:password@redis:6379/0",
}

ASK = """
import json, os, sys
from payment_api.chassis.capacity import sizing
from payment_api.chassis.capacity.cgroup import Limits
from payment_api.chassis.server.management import Management
from payment_api.chassis.settings import load_settings
from payment_api.main import app
from payment_api.settings import Settings

settings = load_settings(Settings)
workers = sizing.size(settings.answers, Limits(), None, None).workers
fields = {name.upper() for name in Settings.model_fields}
json.dump({
    "paths": [route.path for route in Management(app).app().routes],
    "ports": [settings.bind_address, settings.management_bind_address],
    "secrets_dir": str(settings.secrets_dir),
    "grace": settings.termination_grace_seconds,
    "pool": settings.pool_size(workers).size,
    "workers": workers,
    "max_connections": settings.database_max_connections,
    "unknown": sorted(set(json.loads(sys.argv[1])) - fields),
}, sys.stdout)
"""


def test_the_service_takes_its_manifests(installed: Callable[..., Path], tmp_path: Path) -> None:
    """Ports, paths, settings and durations are the service's own, and its pools fit the rollout."""
    project = installed({"database": "postgresql", "events": "redis", "auth": "jwt"})
    for overlay in ("staging", "production"):
        found = manifests.read(
            manifests.build(project / manifests.FOLDER / "overlays" / overlay),
        )
        data = manifests.the(found, "ConfigMap")["data"]
        said = asked(project, tmp_path, data)
        pod = manifests.service(found)["spec"]
        (container,) = pod["containers"]

        assert said["unknown"] == [], "settings that the service doesn't know"
        ports = manifests.port_names(pod)
        assert said["ports"] == [f"0.0.0.0:{ports['http']}", f"0.0.0.0:{ports['management']}"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["path"] in said["paths"]
        assert pod["terminationGracePeriodSeconds"] == said["grace"]

        scaler = manifests.the(found, "HorizontalPodAutoscaler")["spec"]
        surge = manifests.the(found, "Deployment")["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
        pods = 2 * scaler["maxReplicas"] + surge
        assert said["pool"] >= 1
        assert said["pool"] * said["workers"] * pods + 1 <= said["max_connections"] - 9


def asked(project: Path, folder: Path, data: dict[str, str]) -> dict[str, Any]:
    """What the installed service says of itself with these settings, and with its secrets."""
    secrets = folder / "secrets"
    secrets.mkdir(exist_ok=True)
    for name, value in SECRETS.items():
        (secrets / name).write_text(value, "utf-8")
    environment = [
        f"{name}={value}" for name, value in (data | {"SECRETS_DIR": str(secrets)}).items()
    ]
    python = project / ".venv/bin/python"
    done = support.run(["env", *environment, python, "-c", ASK, json.dumps(list(data))], project)
    said: dict[str, Any] = json.loads(done.stdout)
    return said
