# mypy: ignore-errors
"""Orders with a note."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = "app"
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("note", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("orders")
