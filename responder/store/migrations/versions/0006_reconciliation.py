"""What is asked of Alertmanager's API: who delivered an episode, and who was seen to list it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both; episodes of earlier releases have neither."""
    op.add_column("episodes", sa.Column("receiver", sa.Text))
    op.add_column("episodes", sa.Column("held_by", sa.Text))
