"""The service does what its OpenAPI document says, whatever is thrown at it (schemathesis)."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import support
from boot.fixtures import booting
from boot.harness import Ports, Service

pytestmark = [pytest.mark.boot, pytest.mark.slow, pytest.mark.timeout(600)]

HERE = Path(__file__).parent
SECRET = "only this test knows it, and whoever reads it"  # noqa: S105
CLAIMS = {"iss": "https://issuer.example", "aud": "payment-api", "sub": "a-shop"}

EXAMPLES = 300
"""For each operation and kind of data; a few thousand cases in all."""

VARIANTS = pytest.mark.parametrize("auth", ["none", "jwt"])


def environment(auth: str, folder: Path) -> dict[str, str]:
    """What the service is told."""
    told = {"DATABASE_URL": f"sqlite:///{folder}/payments.db", "DOCS_ENABLED": "true"}
    if auth == "jwt":
        told |= {"JWT_ISSUER": CLAIMS["iss"], "JWT_AUDIENCE": CLAIMS["aud"]}
        told |= {"JWT_ALGORITHMS": "HS256", "JWT_SECRET_KEY": SECRET}
    return told


def token(project: Path) -> str:
    """A token with both scopes, made with the service's own library."""
    claims = CLAIMS | {"exp": int(time.time()) + 3600, "scope": "payments:read payments:write"}
    code = f"import jwt; print(jwt.encode({claims!r}, {SECRET!r}, 'HS256'))"
    return support.run([".venv/bin/python", "-c", code], project).stdout.strip()


def strict(document: dict[str, dict[str, dict[str, dict[str, object]]]]) -> str:
    """The document without what allows any status: each has to be named where it occurs."""
    for operations in document["paths"].values():
        for operation in operations.values():
            del operation["responses"]["default"]  # type: ignore[attr-defined]
    return json.dumps(document)


@VARIANTS
def test_keeps_to_its_document(
    auth: str, installed: Callable[..., Path], ports: Ports, tmp_path: Path
) -> None:
    """All checks, thousands of cases: no 5xx, and no status that isn't documented."""
    project = installed({} if auth == "none" else {"auth": auth})
    told = environment(auth, tmp_path)
    done = subprocess.run(
        [".venv/bin/alembic", "upgrade", "heads"],
        cwd=project,
        env=support.clean_environment() | told,
        check=False,
    )
    assert done.returncode == 0

    with booting(project, ports) as boot:
        service = boot(WEB_CONCURRENCY="2", **told)
        output = throw_everything(service, tmp_path, token(project) if auth == "jwt" else None)
        failures = [entry for entry in service.logs() if entry["level"] in ("error", "critical")]

    assert not failures, failures
    cases = re.search(r"(\d+) generated", output)
    assert cases is not None, output
    assert int(cases[1]) >= 2000


def throw_everything(service: Service, folder: Path, bearer: str | None) -> str:
    """Run schemathesis against the service; its output, once it has found nothing."""
    schema = folder / "openapi.json"
    schema.write_text(strict(service.ask("/openapi.json").json()))
    program = Path(sys.executable).with_name("schemathesis")
    done = subprocess.run(
        [
            *(program, "run", schema, "--url", f"http://127.0.0.1:{service.port}"),
            *("--checks", "all", "--max-examples", str(EXAMPLES), "--seed", "1", "--no-color"),
        ],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(HERE),
            "SCHEMATHESIS_HOOKS": "openapi_hooks",
            "BEARER_TOKEN": bearer or "",
        },
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
