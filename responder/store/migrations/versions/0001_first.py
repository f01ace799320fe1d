"""The tables of the first version."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create every table."""
    _queues()
    _incidents()
    _runs()
    _accounts()


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=nullable)


def _id() -> sa.Column[int]:
    return sa.Column("id", Id, primary_key=True)


def _of_incident() -> sa.Column[int]:
    return sa.Column("incident_id", Id, sa.ForeignKey("incidents.id"), nullable=False)


def _target() -> tuple[sa.Column[str], ...]:
    return _text("target_kind"), _text("target_namespace"), _text("target_name")


def _index(
    table: str, name: str, columns: list[str], where: str | None = None, *, unique: bool = False
) -> None:
    condition = None if where is None else sa.text(where)
    op.create_index(
        name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition
    )


def _queues() -> None:
    op.create_table(
        "inbox",
        _id(),
        _time("received_at"),
        _text("source"),
        sa.Column("body", sa.LargeBinary, nullable=False),
        _text("state"),
        _number("attempts"),
        _time("not_before", nullable=True),
        _text("error"),
        _time("ended_at", nullable=True),
        sqlite_autoincrement=True,
    )
    _index("inbox", "inbox_pending", ["id"], "state = 'pending'")
    op.create_table(
        "dead_letters",
        _id(),
        _time("at"),
        _text("source"),
        _text("reason"),
        sa.Column("size", sa.BigInteger, nullable=False),
        _text("sha256"),
        sa.Column("head", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "outbox",
        _id(),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        _text("receiver"),
        sa.Column("incident_id", Id, nullable=False),
        _text("notification"),
        _time("created_at"),
        _text("state"),
        _number("attempts"),
        _time("next_at"),
        _text("error"),
        _time("ended_at", nullable=True),
        sqlite_autoincrement=True,
    )
    _index("outbox", "outbox_pending", ["next_at"], "state = 'pending'")
    _index("outbox", "outbox_of_incident", ["incident_id"])


def _incidents() -> None:
    op.create_table(
        "incidents",
        _id(),
        _text("cluster"),
        *_target(),
        _text("status"),
        _text("title"),
        _text("severity"),
        _text("labels"),
        _time("opened_at"),
        _text("runbook", nullable=True),
        _text("escalation"),
        _text("target_problem"),
        _time("resolved_at", nullable=True),
        _text("resolved_by"),
        _time("acked_at", nullable=True),
        _text("acked_by"),
        _number("told_level"),
        _text("escalate_now"),
        _time("closed_at", nullable=True),
        sqlite_autoincrement=True,
    )
    _index(
        "incidents",
        "incidents_one_live_of_a_target",
        ["cluster", "target_kind", "target_namespace", "target_name"],
        "status <> 'closed'",
        unique=True,
    )
    op.create_table(
        "episodes",
        _id(),
        _text("cluster"),
        _text("fingerprint"),
        _of_incident(),
        _text("alert_name"),
        _text("labels"),
        _text("annotations"),
        _time("starts_at"),
        _text("starts_at_text"),
        _time("last_seen_at"),
        _time("ended_at", nullable=True),
        sqlite_autoincrement=True,
    )
    _index(
        "episodes",
        "episodes_one_open_of_a_fingerprint",
        ["cluster", "fingerprint"],
        "ended_at IS NULL",
        unique=True,
    )
    _index("episodes", "episodes_of_fingerprint", ["cluster", "fingerprint", "ended_at"])
    _index("episodes", "episodes_of_incident", ["incident_id"])


def _runs() -> None:
    op.create_table(
        "runs",
        _of_incident(),
        _number("number"),
        _text("runbook"),
        *_target(),
        _text("requested_by"),
        _number("first_step"),
        _time("created_at"),
        _text("status"),
        _text("result", nullable=True),
        _text("reason"),
        _time("started_at", nullable=True),
        _time("ended_at", nullable=True),
        sa.PrimaryKeyConstraint("incident_id", "number"),
    )
    _index("runs", "runs_unfinished", ["created_at"], "status <> 'ended'")
    op.create_table(
        "steps",
        _of_incident(),
        _number("step"),
        _number("run"),
        _text("key"),
        _text("action"),
        *_target(),
        _text("params"),
        _text("plan", nullable=True),
        _text("verdict", nullable=True),
        _time("intent_at", nullable=True),
        _text("boot"),
        _text("outcome", nullable=True),
        _text("detail"),
        _text("facts"),
        _time("ended_at", nullable=True),
        sa.Column("effect", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("incident_id", "step"),
    )
    _index("steps", "steps_by_intent", ["intent_at"])


def _accounts() -> None:
    op.create_table(
        "timeline",
        _id(),
        _of_incident(),
        _text("key"),
        _time("at"),
        _text("phase"),
        _text("kind"),
        _text("text"),
        _text("facts"),
        _text("actor"),
        sqlite_autoincrement=True,
    )
    _index("timeline", "timeline_key", ["incident_id", "key"], unique=True)
    op.create_table(
        "evidence",
        _of_incident(),
        _text("step_key"),
        _text("name"),
        _text("text"),
        _time("at"),
        sa.PrimaryKeyConstraint("incident_id", "step_key", "name"),
    )
    op.create_table(
        "switches",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("is_on", sa.Boolean, nullable=False),
        _text("set_by"),
        _time("set_at"),
    )
