"""What users do to their services between two updates.

Each edit is made to a project as an earlier release has made it, if that has what the edit is
about, and names the files that are the user's then: no update may change a byte of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import support

PACKAGE = "src/payment_api"

ORDERS = '''"""Orders."""

from fastapi import APIRouter

router = APIRouter(prefix="/orders")


@router.get("/{number}")
async def order(number: int) -> dict[str, int]:
    """Return one order."""
    return {"number": number}
'''

MIDDLEWARE = '''"""Says who has answered."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Signature:
    """Adds a header to every reply."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""

        async def signed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-answered-by", b"us")]
            await send(message)

        await self._app(scope, receive, signed)
'''

MIGRATION = '''"""Orders.

Revision: 0002
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | Sequence[str] | None = {down}
branch_labels: str | Sequence[str] | None = {label}
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Make the table."""
    op.create_table("orders", sa.Column("number", sa.Integer(), primary_key=True))


def downgrade() -> None:
    """Drop it."""
    op.drop_table("orders")
'''

TESTS = '''"""Tests of our own."""

from fastapi.testclient import TestClient


def test_an_order(client: TestClient) -> None:
    """Our route, behind our middleware."""
    reply = client.get("/orders/7")

    assert reply.json() == {"number": 7}
    assert reply.headers["x-answered-by"] == "us"
'''

Made = Iterator[str]
"""The files that were changed, made or deleted."""


class Edit(NamedTuple):
    """One thing that a user does."""

    name: str
    make: Callable[[Path], Made]


def replace(path: Path, old: str, new: str, count: int = -1) -> None:
    """Replace text that must be there; `count` times, or wherever it stands."""
    text = path.read_text("utf-8")
    assert old in text, f"{path} doesn't hold {old!r}"
    path.write_text(text.replace(old, new, count), "utf-8")


def append(path: Path, text: str) -> None:
    """Add to the end of a file, which may not be there yet."""
    before = path.read_text("utf-8") if path.is_file() else ""
    path.write_text(before + text, "utf-8")


def own_routes(project: Path) -> Made:
    """A router of their own, registered beside the sample's."""
    package = project / PACKAGE
    (package / "orders.py").write_text(ORDERS)
    replace(
        package / "wiring.py",
        "    service.include_router(",
        "    service.include_router(orders.router)\n    service.include_router(",
    )
    replace(
        package / "wiring.py",
        "from .chassis import Service\n",
        "from . import orders\nfrom .chassis import Service\n",
    )
    yield from (f"{PACKAGE}/orders.py", f"{PACKAGE}/wiring.py")


def own_middleware(project: Path) -> Made:
    """A middleware of their own."""
    package = project / PACKAGE
    (package / "signature.py").write_text(MIDDLEWARE)
    before = "    service.include_router("
    replace(package / "wiring.py", before, f"    service.add_middleware(Signature)\n{before}", 1)
    text = (package / "wiring.py").read_text("utf-8")
    last = [line for line in text.splitlines() if line.startswith("from .")][-1]
    replace(package / "wiring.py", f"{last}\n", f"{last}\nfrom .signature import Signature\n")
    yield from (f"{PACKAGE}/signature.py", f"{PACKAGE}/wiring.py")


def own_tests(project: Path) -> Made:
    """Tests of what they have added."""
    (project / "tests/test_orders.py").write_text(TESTS)
    yield "tests/test_orders.py"


def own_migration(project: Path) -> Made:
    """A migration of their own, after the sample's."""
    versions = project / "migrations/versions"
    if versions.is_dir():
        first = not list(versions.glob("0001*.py"))
        down, label = ("None", '"app"') if first else ('"0001"', "None")
        (versions / "0002_orders.py").write_text(MIGRATION.format(down=down, label=label))
        yield "migrations/versions/0002_orders.py"


def own_dependency(project: Path) -> Made:
    """What `uv add` and `uv add --dev` write, and a version of their own."""
    file = project / "pyproject.toml"
    text = file.read_text("utf-8")
    if "dependencies = []" in text:
        replace(file, "dependencies = []", 'dependencies = [\n    "tabulate>=0.9",\n]')
    else:
        replace(file, "\ndependencies = [\n", '\ndependencies = [\n    "tabulate>=0.9", # tables\n')
    if "dev = [{" in text:
        replace(
            file,
            'dev = [{ include-group = "tools" }]',
            'dev = [\n    "types-tabulate>=0.9",\n    { include-group = "tools" },\n]',
        )
    else:
        replace(file, "dev = [", 'dev = ["types-tabulate>=0.9", ')
    replace(file, 'version = "0.1.0"', 'version = "3.2.1"')
    yield "pyproject.toml"


def own_settings(project: Path) -> Made:
    """A setting of their own."""
    file = project / PACKAGE / "settings.py"
    text = file.read_text("utf-8")
    assert 'read yet.\n    """\n' in text
    replace(file, 'read yet.\n    """\n', 'read yet.\n    """\n\n    orders_per_page: int = 20\n')
    yield f"{PACKAGE}/settings.py"


def edited_readme(project: Path) -> Made:
    """A README that says what theirs is."""
    replace(project / "README.md", "# payment-api\n", "# Payments\n\nAsk Ada before a release.\n")
    yield "README.md"


def deleted_example(project: Path) -> Made:
    """The sample's own tests go, since the sample will."""
    for name in ("tests/test_greeting.py", "tests/test_reconcile.py", "tests/test_training.py"):
        if (project / name).is_file():
            (project / name).unlink()
            yield name


def renamed_module(project: Path) -> Made:
    """The sample's module gets a name of theirs."""
    package = project / PACKAGE
    old, new = ("routes/greeting.py", "routes/welcome.py")
    if (package / old).is_file():
        (package / old).rename(package / new)
        replace(
            package / "wiring.py", "from .routes import greeting", "from .routes import welcome"
        )
        replace(package / "wiring.py", "greeting.router", "welcome.router")
        yield from (f"{PACKAGE}/{old}", f"{PACKAGE}/{new}", f"{PACKAGE}/wiring.py")
    old, new = ("payments/currencies.py", "payments/money.py")
    if (package / old).is_file():
        (package / old).rename(package / new)
        users = [
            one
            for one in (package / "payments").glob("*.py")
            if "currencies" in one.read_text("utf-8")
        ]
        for one in users:
            replace(one, "currencies", "money")
        yield from (f"{PACKAGE}/{old}", f"{PACKAGE}/{new}")
        yield from (f"{PACKAGE}/payments/{one.name}" for one in users)


def own_target(project: Path) -> Made:
    """A make target of their own, and a step of CI."""
    append(project / "local.mk", "\nseed: ## Fill the database\n\t@true\n")
    append(project / "local.mk", "\nci-checks::\n\t@echo checked by us\n")
    yield "local.mk"


def own_overlay_patch(project: Path) -> Made:
    """A variable, a patch and a manifest of their own."""
    overlay = project / "deploy/kubernetes/overlays/production"
    if overlay.is_dir():
        append(overlay / "settings.env", "ORDERS_PER_PAGE=50\n")
        (overlay / "note.yaml").write_text(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: note\ndata:\n  owner: us\n"
        )
        (overlay / "longer.yaml").write_text(
            "- op: replace\n  path: /spec/progressDeadlineSeconds\n  value: 1200\n"
        )
        replace(
            overlay / "kustomization.yaml", "  - ../../base\n", "  - ../../base\n  - note.yaml\n"
        )
        append(
            overlay / "kustomization.yaml",
            "patches:\n  - path: longer.yaml\n    target:\n      kind: Deployment\n",
        )
        for name in ("settings.env", "note.yaml", "longer.yaml", "kustomization.yaml"):
            yield f"deploy/kubernetes/overlays/production/{name}"


def own_system_package(project: Path) -> Made:
    """A Debian package in the image, and a variable under Compose."""
    if (project / "deploy/image/packages.txt").is_file():
        append(project / "deploy/image/packages.txt", "libpq5\n")
        yield "deploy/image/packages.txt"
    if (project / "deploy/compose/service.env").is_file():
        append(project / "deploy/compose/service.env", "ORDERS_PER_PAGE=50\n")
        yield "deploy/compose/service.env"


def own_alert(project: Path) -> Made:
    """A rule of their own, and what they have learnt, in the runbook."""
    if (project / "monitoring/custom_rules.yml").is_file():
        append(project / "monitoring/custom_rules.yml", "# Ours will stand here.\n")
        yield "monitoring/custom_rules.yml"
    if (project / "docs/runbook.md").is_file():
        append(project / "docs/runbook.md", "\n## Ours\n\nAsk Ada.\n")
        yield "docs/runbook.md"


EDITS = [
    Edit(function.__name__.replace("_", " "), function)
    for function in (
        own_routes,
        own_middleware,
        own_tests,
        own_migration,
        own_dependency,
        own_settings,
        edited_readme,
        deleted_example,
        renamed_module,
        own_target,
        own_overlay_patch,
        own_system_package,
        own_alert,
    )
]


def content(project: Path, names: set[str]) -> dict[str, bytes | None]:
    """What the files hold; None for one that isn't there."""
    return {
        name: (project / name).read_bytes() if (project / name).is_file() else None
        for name in sorted(names)
    }


def make_all(project: Path) -> set[str]:
    """Do all of it, commit it, and return the files that are the user's."""
    mine = {name for edit in EDITS for name in edit.make(project)}
    support.run(["ruff", "format", "--quiet", "--no-cache", "."], project)
    support.run(["ruff", "check", "--quiet", "--no-cache", "--fix", "--select", "I", "."], project)
    support.commit_all(project, "Our own work")
    return mine
