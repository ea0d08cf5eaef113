"""Faults of secrets, resources, settings and manifests."""

from collections.abc import Iterator

from doctor.edits import (
    COMPOSE,
    DEPLOYMENT,
    DOCKERFILE,
    KUSTOMIZATION,
    OVERLAY,
    OVERRIDE,
    PACKAGE,
    SETTINGS,
    WIRING,
    Edit,
    append,
    at,
    both,
    container,
    deployment,
    replace,
    wiring,
)


def of_secrets() -> Iterator[Edit]:
    """Secrets where everybody sees them."""
    for line in (
        "LEDGER_TOKEN=4f1c9a7e22",
        "DATABASE_URL=postgresql://payments:h4rdt0guess@db:5432/payments",
        "JWT_SECRET_KEY=0123456789abcdef0123456789abcdef",
    )[:2]:
        name = line.partition("=")[0]
        yield Edit(f"{name} in an overlay", append(SETTINGS, f"{line}\n"), "secrets-env", SETTINGS)
    env = container("env:\n  - name: STRIPE_API_KEY\n    value: 9a8b7c6d5e\n")
    yield Edit("a key in the pod's environment", env, "secrets-env", KUSTOMIZATION)
    plain = replace(
        COMPOSE,
        "POSTGRES_PASSWORD_FILE: /run/secrets/postgres_password",
        "POSTGRES_PASSWORD: hunter22",
    )
    yield Edit("a password in Compose", plain, "secrets-env", COMPOSE)
    baked = replace(DOCKERFILE, "ENV PATH=", "ENV GITHUB_TOKEN=1a2b3c4d\nENV PATH=")
    yield Edit("a token in the image", baked, "secrets-env", DOCKERFILE)
    for name, line in (
        ("a password in the code", 'DB_PASSWORD = "Tr0ub4dor&3"'),
        ("a URL with a password", 'LEDGER = "https://ledger:s3cr3tw0rd@ledger.example/"'),
        ("a key of a payment gateway", 'GATEWAY = "sk_' + 'live_4eC39HqLyjWDarjtT1zdp7dc"'),
    ):
        yield Edit(name, wiring("", "", above=f"{line}\n"), "credentials", WIRING)
    manifest = (
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  password: abcdef\n"
    )
    both_files = both(
        at(f"{OVERLAY}/secret.yaml", manifest),
        replace(KUSTOMIZATION, "  - namespace.yaml\n", "  - namespace.yaml\n  - secret.yaml\n"),
    )
    yield Edit("a Secret in an overlay", both_files, "credentials", f"{OVERLAY}/secret.yaml")
    made = append(
        KUSTOMIZATION, "\nsecretGenerator:\n  - name: payment-api-secrets\n    literals: [a=b]\n"
    )
    yield Edit("a Secret that is generated", made, "credentials", KUSTOMIZATION)
    pem = "-----BEGIN " + "PRIVATE KEY-----\nMIIEvQ\n"
    yield Edit("a private key", at("deploy/tls.key", pem), "credentials", "deploy/tls.key")


def of_resources() -> Iterator[Edit]:
    """Limits and connections."""
    unlimited = container("resources:\n  limits:\n    cpu: null\n")
    yield Edit("no limit of CPU", unlimited, "limits", DEPLOYMENT)
    sidecar = deployment(
        "template:\n  spec:\n    containers:\n      - name: proxy\n        image: envoy:v1.30\n"
    )
    yield Edit("a sidecar without limits", sidecar, "limits", KUSTOMIZATION)
    first = deployment(
        "template:\n  spec:\n    initContainers:\n"
        "      - name: first\n        image: busybox:1.36\n"
    )
    yield Edit("an initial container without limits", first, "limits", KUSTOMIZATION)
    mail = at(OVERRIDE, "services:\n  mail:\n    image: mailpit:v1.20\n")
    yield Edit("a service without limits", mail, "limits", OVERRIDE)
    pool = append(SETTINGS, "DATABASE_POOL_SIZE=20\n")
    yield Edit("a large pool", pool, "pool-budget", SETTINGS)
    scaler = append(
        KUSTOMIZATION,
        "\npatches:\n  - target: { kind: HorizontalPodAutoscaler }\n    patch: |-\n"
        "      - op: replace\n        path: /spec/maxReplicas\n        value: 60\n",
    )
    yield Edit("many replicas", scaler, "pool-budget", KUSTOMIZATION)
    server = replace(COMPOSE, "max_connections=100", "max_connections=20")
    yield Edit("a small PostgreSQL", server, "pool-budget", COMPOSE)


def of_the_project() -> Iterator[Edit]:
    """What can't start, or can't be built."""
    for line in ("DRAIN_SECONDS=40", "LOG_LEVEL=loud", "MAX_REQUESTS=abc", "BACKLOG=0"):
        text = append(SETTINGS, f"{line}\n")
        yield Edit(f"{line} in an overlay", text, "settings", None)
    broken = replace(f"{PACKAGE}/main.py", "from .wiring import wire", "from .wirring import wire")
    yield Edit("an application that can't be imported", broken, "settings", None)
    nobody = append(
        KUSTOMIZATION,
        "\npatches:\n  - patch: |-\n      apiVersion: apps/v1\n      kind: Deployment\n"
        "      metadata:\n        name: payments\n      spec:\n        minReadySeconds: 1\n",
    )
    yield Edit("a patch for nobody", nobody, "manifests", KUSTOMIZATION)
    missing = replace(
        KUSTOMIZATION, "  - namespace.yaml\n", "  - namespace.yaml\n  - ledger.yaml\n"
    )
    yield Edit("a file that isn't there", missing, "manifests", KUSTOMIZATION)
    misspelt = container("envFrom:\n  - configMapRef:\n      name: payment-api-setings\n")
    yield Edit("a ConfigMap that isn't there", misspelt, "manifests", KUSTOMIZATION)
    mount = container("volumeMounts:\n  - name: models\n    mountPath: /models\n")
    yield Edit("a volume that isn't there", mount, "manifests", KUSTOMIZATION)
    unknown = append(DOCKERFILE, "# doctor: allow everything: because it is Friday\n")
    yield Edit("an exception for nothing", unknown, "exceptions", DOCKERFILE)
    helm = append(KUSTOMIZATION, "\nhelmCharts:\n  - name: redis\n")
    yield Edit("a chart", helm, "manifests", KUSTOMIZATION, status="note")
