"""What a user does that is right, and that has to stay without a fault."""

import textwrap
from collections.abc import Iterator

import docs_code
import support
from doctor.edits import (
    KUSTOMIZATION,
    OVERRIDE,
    PACKAGE,
    PACKAGES,
    SETTINGS,
    WIRING,
    Edit,
    append,
    at,
    both,
    container,
    deployment,
    wiring,
)
from doctor.health_faults import CHECK_GATEWAY

ARGO = """
patches:
  - target: { kind: Job }
    patch: |-
      apiVersion: batch/v1
      kind: Job
      metadata:
        name: migration
        annotations:
          argocd.argoproj.io/hook: Sync
  - target: { kind: Deployment|HorizontalPodAutoscaler }
    patch: |-
      - op: add
        path: /metadata/annotations
        value: { argocd.argoproj.io/sync-wave: "1" }
"""


def honest() -> Iterator[Edit]:
    """What a user does that is right, and has to stay without a fault."""
    middleware = wiring(
        "from starlette.middleware.gzip import GZipMiddleware\n",
        "    service.add_middleware(GZipMiddleware)\n",
    )
    yield Edit("a middleware of one's own", middleware)
    yield Edit("more memory", container("resources:\n  limits:\n    memory: 2Gi\n"))
    yield Edit("a library in the image", append(PACKAGES, "libmagic1\n"))
    yield Edit(
        "a longer stop",
        both(
            append(
                SETTINGS,
                "DRAIN_SECONDS=20\nGRACEFUL_TIMEOUT_SECONDS=40\nTERMINATION_GRACE_SECONDS=60\n",
            ),
            deployment("template:\n  spec:\n    terminationGracePeriodSeconds: 60\n"),
        ),
    )
    yield Edit(
        "a resource that is closed",
        wiring(
            "from collections.abc import AsyncIterator\n"
            "from contextlib import asynccontextmanager\n",
            '    service.resource("ledger", open_ledger)\n',
            above=(
                "@asynccontextmanager\nasync def open_ledger() -> AsyncIterator[list[str]]:\n"
                "    entries: list[str] = []\n    try:\n        yield entries\n"
                "    finally:\n        entries.clear()\n"
            ),
        ),
    )
    yield Edit(
        "a check of a server of one's own",
        wiring(
            "import asyncio\n",
            '    service.health.register("ledger", ledger_answers, timeout=2.0)\n',
            above=(
                "async def ledger_answers() -> bool:\n"
                '    _, writer = await asyncio.open_connection("ledger", 5000)\n'
                "    writer.close()\n    return True\n"
            ),
        ),
    )
    yield Edit(
        "the components",
        append(
            KUSTOMIZATION,
            "\ncomponents:\n  - ../../components/service-monitor\n"
            "  - ../../components/external-secrets\n",
        ),
    )
    eu = (
        "resources: [../production]\nnamespace: eu\nnamePrefix: eu-\ncommonLabels: { region: eu }\n"
    )
    yield Edit(
        "an overlay of an overlay", at("deploy/kubernetes/overlays/eu/kustomization.yaml", eu)
    )
    sidecar = deployment(
        "template:\n  spec:\n    containers:\n      - name: proxy\n        image: envoy:v1.30\n"
        "        resources: { limits: { cpu: 100m, memory: 64Mi } }\n"
    )
    yield Edit("a sidecar with limits", sidecar)
    mail = "services:\n  mail:\n    image: mailpit:v1.20\n    mem_limit: 64m\n    cpus: '0.1'\n"
    yield Edit("a service more in Compose", at(OVERRIDE, mail))
    settings = f"{PACKAGE}/settings.py"
    yield Edit(
        "a secret setting",
        append(
            settings, '    ledger_token: SecretStr = Field(description="the ledger asks for it")\n'
        ),
    )
    yield Edit("Argo CD", append(KUSTOMIZATION, ARGO))
    yield Edit(
        "fewer workers", append(SETTINGS, "WEB_CONCURRENCY=2\n"), "workers", SETTINGS, status="note"
    )
    shown = docs_code.shown(support.REPOSITORY / "docs/doctor.md", "# doctor: allow")
    ledger = wiring(
        "import httpx2\n",
        textwrap.indent(shown, "    "),
        above=CHECK_GATEWAY.replace("gateway_answers", "ledger_answers"),
    )
    yield Edit("an exception", ledger, "external-services", WIRING, status="note")
