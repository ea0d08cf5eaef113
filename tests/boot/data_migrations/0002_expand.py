# mypy: ignore-errors
"""Expand: room for the new column, and for a version that writes that one alone."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it beside the old one."""
    op.add_column("orders", sa.Column("remark", sa.Text()))
    op.alter_column("orders", "note", nullable=True)


def downgrade() -> None:
    """Take it away."""
    op.execute("UPDATE orders SET note = remark WHERE note IS NULL")
    op.alter_column("orders", "note", nullable=False)
    op.drop_column("orders", "remark")
