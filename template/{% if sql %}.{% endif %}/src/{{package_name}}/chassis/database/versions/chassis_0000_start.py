"""The beginning of the branch `chassis`, which the tables of the chassis hang from.

Revision: chassis_0000
"""

from collections.abc import Sequence

revision: str = "chassis_0000"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = "chassis"
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Nothing yet: a service may have tables of its own only."""


def downgrade() -> None:
    """Nothing."""
