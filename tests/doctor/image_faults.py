"""Faults of the image."""

from collections.abc import Iterator

from doctor.edits import (
    COMPOSE,
    DEPLOYMENT,
    DOCKERFILE,
    KUSTOMIZATION,
    OVERRIDE,
    PACKAGES,
    Edit,
    append,
    at,
    container,
    deployment,
    instruction,
    replace,
)

ONE_STAGE = """\
FROM python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285
WORKDIR /app
COPY . .
RUN pip install --no-cache-dir --group chassis .
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 1001:1001
HEALTHCHECK CMD ["python", "-IS", "healthcheck.py"]
CMD ["gunicorn"]
"""


def of_the_image() -> Iterator[Edit]:
    """How it is built, what is in it, and what it runs as."""
    yield Edit("one stage", at(DOCKERFILE, ONE_STAGE), "multi-stage", DOCKERFILE)
    full = "python:3.13@sha256:" + "0" * 64
    distroless = "ARG RUNTIME_IMAGE=gcr.io/distroless/python3-debian13:nonroot@sha256:"
    for name, image in (
        ("the full image", full),
        ("the full Debian", full.replace("python:3.13", "debian:trixie")),
    ):
        change = replace(DOCKERFILE, distroless, f"ARG RUNTIME_IMAGE={image}\nARG OLD=")
        yield Edit(name, change, "full-base", DOCKERFILE)
    latest = "ARG RUNTIME_IMAGE=gcr.io/distroless/python3-debian13:latest\nARG OLD="
    yield Edit("latest", replace(DOCKERFILE, distroless, latest), "pinned-base", DOCKERFILE)
    untagged = replace(DOCKERFILE, "FROM ${BUILD_IMAGE} AS packages", "FROM debian AS packages")
    yield Edit("a builder without a tag", untagged, "pinned-base", DOCKERFILE)
    named = replace(KUSTOMIZATION, "newTag: 0.1.0", "newTag: latest")
    yield Edit("latest in an overlay", named, "pinned-base", KUSTOMIZATION)
    unnamed = replace(
        KUSTOMIZATION, "images:\n  - name: payment-api\n", "images:\n  - name: other\n"
    )
    yield Edit("no image in an overlay", unnamed, "pinned-base", DEPLOYMENT)
    redis = replace(COMPOSE, "redis:8.8.0", "redis")
    yield Edit("a server without a tag", redis, "pinned-base", COMPOSE)
    user = "USER 1001:1001\n"
    yield Edit("root", replace(DOCKERFILE, user, "USER root\n"), "non-root", DOCKERFILE)
    yield Edit("user 0", replace(DOCKERFILE, user, "USER 0:0\n"), "non-root", DOCKERFILE)
    pod = deployment("template:\n  spec:\n    securityContext:\n      runAsUser: 0\n")
    yield Edit("a pod as root", pod, "non-root", KUSTOMIZATION)
    allowed = container("securityContext:\n  runAsNonRoot: false\n")
    yield Edit("a container that may be root", allowed, "non-root", KUSTOMIZATION)
    as_root = at(OVERRIDE, "services:\n  app-1:\n    user: root\n")
    yield Edit("root in Compose", as_root, "non-root", OVERRIDE)
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"):
        unset = replace(DOCKERFILE, f"{name}=1", f"{name}=")
        yield Edit(f"{name} empty", unset, "python-env", DOCKERFILE)
    command = 'CMD ["gunicorn"]\n'
    for name, other in (
        ("shell form", "CMD gunicorn\n"),
        ("a shell", 'CMD ["sh", "-c", "alembic upgrade heads && gunicorn"]\n'),
        ("no command", ""),
    ):
        yield Edit(name, replace(DOCKERFILE, command, other), "exec-form", DOCKERFILE)
    shell = container("command: [/bin/sh, -c, gunicorn]\n")
    yield Edit("a shell in the pod", shell, "exec-form", KUSTOMIZATION)
    yield Edit("no .dockerignore", at(".dockerignore", None), "dockerignore", ".dockerignore")
    for line in ("!.env", "!tests/", "!.git", "!**/__pycache__/"):
        change = append(".dockerignore", f"{line}\n")
        yield Edit(f"{line} in .dockerignore", change, "dockerignore", ".dockerignore")
    compiler = append(PACKAGES, "build-essential\n")
    yield Edit("a compiler among the packages", compiler, "build-tools", PACKAGES)
    headers = instruction("RUN apt-get install --yes --no-install-recommends libpq-dev")
    yield Edit("headers in the last stage", headers, "build-tools", DOCKERFILE)
    yield Edit("curl among the packages", append(PACKAGES, "curl\n"), "conveniences", PACKAGES)
    vim = instruction("RUN apk update && apk add --no-cache vim")
    yield Edit("vim in the last stage", vim, "conveniences", DOCKERFILE)
    more = instruction("RUN apt-get update \\\n    && apt-get install --yes libmagic1")
    yield Edit("recommended packages", more, "recommends", DOCKERFILE)
    pip = instruction("RUN pip install requests")
    yield Edit("pip's cache", pip, "pip-cache", DOCKERFILE)
    uv = instruction("RUN uv pip install --system requests")
    yield Edit("uv's cache", uv, "pip-cache", DOCKERFILE)
