# mypy: ignore-errors
"""Contract: the old column goes.

# migration-lint: allow contract: version 3 doesn't use it, and version 2 is gone
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop it."""
    op.drop_column("orders", "note")


def downgrade() -> None:
    """Bring it back, with what it would hold."""
    op.add_column("orders", sa.Column("note", sa.Text()))
    op.execute("UPDATE orders SET note = remark")
