"""Indexes by which what is over is found when its time has come."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; only rows that have ended stand in those of queues and incidents."""
    for table, column, name in (
        ("inbox", "ended_at", "inbox_ended"),
        ("incidents", "closed_at", "incidents_closed"),
    ):
        over = sa.text(f"{column} IS NOT NULL")
        op.create_index(name, table, [column], sqlite_where=over, postgresql_where=over)
    op.create_index("dead_letters_by_time", "dead_letters", ["at"])
