"""The responder's own tables, as the newest migration leaves them.

The rule for every change: expand only. A release may add a table, a nullable column or an index;
what it no longer uses is dropped one release later, so that the release before still runs on the
schema of the one after it. A migration is never edited once it was released.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from responder.domain.incident import IncidentStatus, RunStatus
from responder.domain.plan import Outcome, RunResult
from responder.domain.timeline import Kind, Phase
from responder.store.types import EnumText, JsonText, Micros, QueueState

metadata = MetaData()

Id = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER counts by itself in SQLite

inbox = Table(
    "inbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("received_at", Micros, nullable=False),
    Column("source", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("state", EnumText(QueueState), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("not_before", Micros),
    Column("error", Text, nullable=False),
    Column("ended_at", Micros),
    Column("claimed_by", Text),
    Index(
        "inbox_pending",
        "id",
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
    Index(
        "inbox_ended",
        "ended_at",
        sqlite_where=text("ended_at IS NOT NULL"),
        postgresql_where=text("ended_at IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", Micros, nullable=False),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Index("dead_letters_by_time", "at"),
    sqlite_autoincrement=True,
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Id, primary_key=True),
    Column("cluster", Text, nullable=False),
    Column("target_kind", Text, nullable=False),
    Column("target_namespace", Text, nullable=False),
    Column("target_name", Text, nullable=False),
    Column("status", EnumText(IncidentStatus), nullable=False),
    Column("title", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("labels", JsonText, nullable=False),
    Column("opened_at", Micros, nullable=False),
    Column("runbook", JsonText),
    Column("escalation", JsonText, nullable=False),
    Column("target_problem", Text, nullable=False),
    Column("resolved_at", Micros),
    Column("resolved_by", Text, nullable=False),
    Column("acked_at", Micros),
    Column("acked_by", Text, nullable=False),
    Column("told_level", Integer, nullable=False),
    Column("escalate_now", Text, nullable=False),
    Column("closed_at", Micros),
    Column("held_at", Micros),
    Column("held_by", Text),
    Index(
        "incidents_one_live_of_a_target",
        "cluster",
        "target_kind",
        "target_namespace",
        "target_name",
        unique=True,
        sqlite_where=text("status <> 'closed'"),
        postgresql_where=text("status <> 'closed'"),
    ),
    Index(
        "incidents_closed",
        "closed_at",
        sqlite_where=text("closed_at IS NOT NULL"),
        postgresql_where=text("closed_at IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)

episodes = Table(
    "episodes",
    metadata,
    Column("id", Id, primary_key=True),
    Column("cluster", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("incident_id", Id, ForeignKey("incidents.id"), nullable=False),
    Column("alert_name", Text, nullable=False),
    Column("labels", JsonText, nullable=False),
    Column("annotations", JsonText, nullable=False),
    Column("starts_at", Micros, nullable=False),
    Column("starts_at_text", Text, nullable=False),
    Column("last_seen_at", Micros, nullable=False),
    Column("ended_at", Micros),
    Column("receiver", Text),
    Column("held_by", Text),
    Index(
        "episodes_one_open_of_a_fingerprint",
        "cluster",
        "fingerprint",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index("episodes_of_fingerprint", "cluster", "fingerprint", "ended_at"),
    Index("episodes_of_incident", "incident_id"),
    sqlite_autoincrement=True,
)

runs = Table(
    "runs",
    metadata,
    Column("incident_id", Id, ForeignKey("incidents.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("runbook", JsonText, nullable=False),
    Column("target_kind", Text, nullable=False),
    Column("target_namespace", Text, nullable=False),
    Column("target_name", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("first_step", Integer, nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("status", EnumText(RunStatus), nullable=False),
    Column("result", EnumText(RunResult)),
    Column("reason", Text, nullable=False),
    Column("started_at", Micros),
    Column("ended_at", Micros),
    Column("not_before", Micros),
    PrimaryKeyConstraint("incident_id", "number"),
    Index(
        "runs_unfinished",
        "created_at",
        sqlite_where=text("status <> 'ended'"),
        postgresql_where=text("status <> 'ended'"),
    ),
)

steps = Table(
    "steps",
    metadata,
    Column("incident_id", Id, ForeignKey("incidents.id"), nullable=False),
    Column("step", Integer, nullable=False),
    Column("run", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target_kind", Text, nullable=False),
    Column("target_namespace", Text, nullable=False),
    Column("target_name", Text, nullable=False),
    Column("params", JsonText, nullable=False),
    Column("plan", JsonText),
    Column("verdict", JsonText),
    Column("intent_at", Micros),
    Column("boot", Text, nullable=False),
    Column("outcome", EnumText(Outcome)),
    Column("detail", Text, nullable=False),
    Column("facts", JsonText, nullable=False),
    Column("ended_at", Micros),
    Column("effect", Boolean, nullable=False),
    PrimaryKeyConstraint("incident_id", "step"),
    Index("steps_by_intent", "intent_at"),
)

timeline = Table(
    "timeline",
    metadata,
    Column("id", Id, primary_key=True),
    Column("incident_id", Id, ForeignKey("incidents.id"), nullable=False),
    Column("key", Text, nullable=False),
    Column("at", Micros, nullable=False),
    Column("phase", EnumText(Phase), nullable=False),
    Column("kind", EnumText(Kind), nullable=False),
    Column("text", Text, nullable=False),
    Column("facts", JsonText, nullable=False),
    Column("actor", Text, nullable=False),
    Index("timeline_key", "incident_id", "key", unique=True),
    sqlite_autoincrement=True,
)

evidence = Table(
    "evidence",
    metadata,
    Column("incident_id", Id, ForeignKey("incidents.id"), nullable=False),
    Column("step_key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("at", Micros, nullable=False),
    PrimaryKeyConstraint("incident_id", "step_key", "name"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("receiver", Text, nullable=False),
    Column("incident_id", Id, nullable=False),  # 0: a page about the responder itself
    Column("notification", JsonText, nullable=False),
    Column("created_at", Micros, nullable=False),
    Column("state", EnumText(QueueState), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Micros, nullable=False),
    Column("error", Text, nullable=False),
    Column("ended_at", Micros),
    Column("claimed_by", Text),
    Index(
        "outbox_pending",
        "next_at",
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
    Index("outbox_of_incident", "incident_id"),
    sqlite_autoincrement=True,
)

switches = Table(
    "switches",
    metadata,
    Column("name", Text, primary_key=True),
    Column("is_on", Boolean, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", Micros, nullable=False),
    Column("reason", Text),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),  # a hash: what is stored opens nothing
    Column("name", Text, nullable=False),
    Column("began_at", Micros, nullable=False),
    Column("ends_at", Micros, nullable=False),
    Column("ended_by", Text),
)

leases = Table(
    "leases",
    metadata,
    Column("executor", Text, primary_key=True),
    Column("taken_at", Micros, nullable=False),
    Column("renewed_at", Micros, nullable=False),
    Column("renewals", BigInteger, nullable=False),
)
