"""Databases and the poolers before them."""

from collections.abc import Iterator

from exporter.morning.amounts import counted, span
from exporter.morning.finding import Finding, Mark
from exporter.morning.observed import Observed, Page


def databases(seen: Observed) -> Iterator[Finding]:
    """Tell which databases answer, with what is going on in them."""
    page = seen.page
    for series in page.of("kpi_postgres_up"):
        name = series.labels["database"]
        if series.value == 1:
            text = ", ".join(("is up", *_going_on(page, name)))
            yield Finding(Mark.GOOD, "Databases", name, text)
        else:
            step = "pg_isready with the address in the settings; then the database's own log"
            yield Finding(Mark.BAD, "Databases", name, "cannot be reached", step)


def _going_on(page: Page, name: str) -> Iterator[str]:
    """Tell what is known of a database's work."""
    used = page.value("kpi_postgres_connections_used", database=name)
    limit = page.value("kpi_postgres_max_connections", database=name)
    if used is not None and limit is not None:
        yield f"{used:.0f} of {limit:.0f} connections used"
    slow = page.value("kpi_postgres_slow_queries_running", database=name)
    if slow is not None:
        yield counted(slow, "slow query", "slow queries")
    oldest = page.value("kpi_postgres_oldest_transaction_seconds", database=name)
    if oldest is not None:
        yield f"oldest transaction {span(oldest)}"
    blocked = page.value("kpi_postgres_blocked_connections", database=name)
    if blocked:
        yield f"{counted(blocked, 'session')} waiting for a lock"


def poolers(seen: Observed) -> Iterator[Finding]:
    """Tell which poolers answer, and whether clients wait in them."""
    page = seen.page
    for series in page.of("kpi_pgbouncer_up"):
        name = series.labels["pgbouncer"]
        if series.value != 1:
            step = "pgbouncer's own log; does its console let the exporter's role in?"
            yield Finding(Mark.BAD, "Poolers", name, "cannot be reached", step)
            continue
        waiting = sum(
            each.value for each in page.of("kpi_pgbouncer_clients", pgbouncer=name, state="waiting")
        )
        waits = page.of("kpi_pgbouncer_longest_wait_seconds", pgbouncer=name)
        longest = max((each.value for each in waits), default=0.0)
        text = "is up, no client waits"
        if waiting:
            text = f"is up, {counted(waiting, 'client')} waiting, the first for {span(longest)}"
        yield Finding(Mark.GOOD, "Poolers", name, text)
