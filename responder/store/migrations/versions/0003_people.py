"""What people do from the console: holds, reasons of switches, sessions."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is new; every new column of an old table may be missing."""
    op.add_column("incidents", sa.Column("held_at", sa.BigInteger))
    op.add_column("incidents", sa.Column("held_by", sa.Text))
    op.add_column("switches", sa.Column("reason", sa.Text))
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("began_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("ended_by", sa.Text),
    )
