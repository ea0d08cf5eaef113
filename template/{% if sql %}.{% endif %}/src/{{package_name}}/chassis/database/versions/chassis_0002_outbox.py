"""The outbox: events that wait to be published, and the lanes that relays take turns on.

Revision: chassis_0002
After: chassis_0001
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "chassis_0002"
down_revision: str | Sequence[str] | None = "chassis_0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_LANES = 4


def upgrade() -> None:
    """Make the tables."""
    time = sa.DateTime(timezone=True)
    op.create_table(
        "outbox_events",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lane", sa.SmallInteger(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("request_id", sa.Text()),
        sa.Column("created_at", time, nullable=False),
        sa.Column("published_at", time),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("parked_at", time),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_outbox_events")),
        sa.UniqueConstraint("id", name=op.f("uq_outbox_events_id")),
    )
    waits = sa.text("published_at IS NULL AND parked_at IS NULL")
    op.create_index(
        "ix_outbox_events_waiting",
        "outbox_events",
        ["lane", "sequence"],
        postgresql_where=waits,
        sqlite_where=waits,
    )
    is_parked = sa.text("published_at IS NULL AND parked_at IS NOT NULL")
    op.create_index(
        "ix_outbox_events_parked",
        "outbox_events",
        ["key", "sequence"],
        postgresql_where=is_parked,
        sqlite_where=is_parked,
    )
    lanes = op.create_table(
        "outbox_lanes",
        sa.Column("lane", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("claim", sa.Uuid()),
        sa.Column("held_until", sa.Double(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("lane", name=op.f("pk_outbox_lanes")),
    )
    op.bulk_insert(lanes, [{"lane": lane} for lane in range(_LANES)])
    op.create_table(
        "inbox_events",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("consumed_at", time, nullable=False),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_inbox_events")),
    )


def downgrade() -> None:
    """Drop the tables, and with them the events that wait."""
    op.drop_table("inbox_events")
    op.drop_table("outbox_lanes")
    op.drop_table("outbox_events")
