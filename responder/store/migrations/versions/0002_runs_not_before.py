"""Runs that start later: what was done for a while only is taken back."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add when a run may start; those that are there start at once."""
    op.add_column("runs", sa.Column("not_before", sa.BigInteger, nullable=True))
