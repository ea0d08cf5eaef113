"""Edits of a service that the doctor is shown: faults, planted one at a time, and honest work.

Each is a change of files as a user makes it. A fault names the item that has to find it, and the
file that the finding has to point to.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Files = dict[str, str | None]
"""The new text of each file that changes; None for one that goes."""
Change = Callable[[Path], Files]

DOCKERFILE = "Dockerfile"
CONFIG = "gunicorn.conf.py"
PACKAGE = "src/payment_api"
WIRING = f"{PACKAGE}/wiring.py"
OVERLAY = "deploy/kubernetes/overlays/production"
KUSTOMIZATION = f"{OVERLAY}/kustomization.yaml"
SETTINGS = f"{OVERLAY}/settings.env"
BASE = "deploy/kubernetes/base"
DEPLOYMENT = f"{BASE}/deployment.yaml"
COMPOSE = "compose.yaml"
OVERRIDE = "compose.override.yaml"
PACKAGES = "deploy/image/packages.txt"


@dataclass(frozen=True)
class Edit:
    """A change with its name; `item` and `path` are those of the finding, None for honest work."""

    name: str
    change: Change
    item: str | None = None
    path: str | None = None
    base: str = "every-feature"
    status: str = "fail"


def replace(path: str, old: str, new: str) -> Change:
    """Put a text in the place of another one, which has to be there."""

    def change(project: Path) -> Files:
        text = (project / path).read_text("utf-8")
        assert old in text, f"{path} has no {old!r}"
        return {path: text.replace(old, new, 1)}

    return change


def append(path: str, text: str) -> Change:
    """Add lines to the end of a file."""
    return lambda project: {path: (project / path).read_text("utf-8") + text}


def at(path: str, text: str | None) -> Change:
    """Write one file anew, or delete it."""
    return lambda _: {path: text}


def both(*changes: Change) -> Change:
    """Several changes of different files."""
    return lambda project: {
        path: text for change in changes for path, text in change(project).items()
    }


def instruction(line: str) -> Change:
    """A line more in the last stage of the Dockerfile."""
    return replace(DOCKERFILE, "USER 1001:1001\n", f"USER 0\n{line}\nUSER 1001:1001\n")


def deployment(body: str) -> Change:
    """A patch of the Deployment in the overlay, below `spec`."""
    return append(
        KUSTOMIZATION,
        "\npatches:\n  - patch: |-\n      apiVersion: apps/v1\n      kind: Deployment\n"
        f"      metadata:\n        name: payment-api\n      spec:\n{_deeper(body)}",
    )


def _deeper(text: str) -> str:
    lines = text.strip("\n").splitlines()
    first = len(lines[0]) - len(lines[0].lstrip())
    return "".join(f"        {line[first:]}\n" for line in lines)


def container(text: str) -> Change:
    """A patch of the service's container in the overlay."""
    lines = text.strip("\n").splitlines()
    body = "".join(f"        {line}\n" for line in lines)
    return deployment(f"template:\n  spec:\n    containers:\n      - name: service\n{body}")


def wiring(imports: str, body: str, *, above: str = "") -> Change:
    """Code of the user's: imports, definitions, and lines at the end of `wire`."""

    def change(project: Path) -> Files:
        text = (project / WIRING).read_text("utf-8")
        text = text.replace(
            "from .chassis import Service\n", f"{imports}\nfrom .chassis import Service\n"
        )
        text = text.replace("\n\ndef wire(", f"\n\n{above}\n\ndef wire(")
        return {WIRING: text.rstrip("\n") + "\n" + body}

    return change


def importing(change: Change, line: str) -> Change:
    """The same, with an import line more."""

    def more(project: Path) -> Files:
        return {
            path: text.replace("from .chassis import", f"{line}from .chassis import", 1)
            for path, text in change(project).items()
            if text is not None
        }

    return more
