"""Leases of the replicas that share a database."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the leases (one process alone on its files needs none), and who works on what."""
    op.create_table(
        "leases",
        sa.Column("executor", sa.Text, primary_key=True),
        sa.Column("taken_at", sa.BigInteger, nullable=False),
        sa.Column("renewed_at", sa.BigInteger, nullable=False),
        sa.Column("renewals", sa.BigInteger, nullable=False),
    )
    op.add_column("inbox", sa.Column("claimed_by", sa.Text))
    op.add_column("outbox", sa.Column("claimed_by", sa.Text))
