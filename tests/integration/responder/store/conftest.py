"""Every claim about the store is made on both databases."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from responder.domain.episode import Episode
from responder.domain.incident import Incident, IncidentStatus
from responder.domain.matchers import Matcher, MatchOp
from responder.domain.policy import Level, Mode, Runbook, StepDef
from responder.domain.values import Target
from responder.store.append import SqliteAppender
from responder.store.database import Store, Transaction
from tests.bed.postgres import Postgres

T0 = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
TARGET = Target("Deployment", "default", "task-manager")
RUNBOOK = Runbook(
    name="bad-release",
    matchers=(Matcher("severity", MatchOp.EQUAL, "critical"),),
    target="workload",
    mode=Mode.ACT,
    steps=(StepDef("rollback", {"to": "previous"}), StepDef("verify", {"kpi": "error_ratio"})),
)
LEVELS = (
    Level(timedelta(0), ("oncall-mail", "status-page")),
    Level(timedelta(minutes=1.5), ("senior-mail",)),
)


def minutes(number: float) -> datetime:
    return T0 + timedelta(minutes=number)


def an_incident(target: Target = TARGET, runbook: Runbook | None = RUNBOOK) -> Incident:
    return Incident(
        id=0,
        cluster="test",
        target=target,
        status=IncidentStatus.OPEN,
        title="KpiErrorRatioHigh on task-manager",
        severity="critical",
        labels={"alertname": "KpiErrorRatioHigh"},
        opened_at=T0,
        runbook=runbook,
        escalation=LEVELS,
    )


def an_episode(incident_id: int, fingerprint: str = "2bf80ebe93a0c1a6") -> Episode:
    return Episode(
        id=0,
        cluster="test",
        fingerprint=fingerprint,
        incident_id=incident_id,
        alert_name="KpiErrorRatioHigh",
        labels={"severity": "critical"},
        annotations={"summary": "20 % fail"},
        starts_at=T0,
        starts_at_text="2026-11-24T12:00:00.123456789Z",
        last_seen_at=T0,
    )


async def opened(tx: Transaction, target: Target = TARGET) -> int:
    return (await tx.incidents.open(an_incident(target))).id


async def limit_pages(store: Store, more: int | None) -> None:
    """Let a SQLite store's file grow by so many pages and no more; None lifts it."""
    async with store._connection(store._writer) as connection:
        used = (await connection.execute(text("PRAGMA page_count"))).scalar_one()
        most = f"PRAGMA max_page_count={used + more if more is not None else 2**30}"
        await connection.execute(text(most))
    assert isinstance(store._appender, SqliteAppender)
    await store._appender.run(lambda driver: driver.execute(most))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Return the address of a file that is not there yet."""
    return f"sqlite:///{tmp_path / 'own.db'}"


@pytest.fixture
async def postgres_url(postgres: Postgres, tmp_path: Path) -> str:
    """Return the address of an empty database."""
    return await postgres.create_database(tmp_path.name)


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(
    request: pytest.FixtureRequest, postgres: Postgres, sqlite_url: str, tmp_path: Path
) -> str:
    """Return the address of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return sqlite_url
    return await postgres.create_database(tmp_path.name)


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    opened_store = await Store.open(url, migrate=True)
    yield opened_store
    await opened_store.close()
