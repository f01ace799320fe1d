"""What every aggregate needs to speak SQL: the two dialects' inserts, targets, pages."""

from sqlalchemy import ColumnElement, RowMapping, Select, Table, and_, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from responder.domain.values import Labels, Target
from responder.store.tables import leases

Insert = postgresql.Insert | sqlite.Insert
Rows = Select[tuple[object, ...]] | ReturningUpdate[tuple[object, ...]]
"""A statement that returns rows."""


def insert_into(connection: AsyncConnection, table: Table) -> Insert:
    """Return an insert that knows ON CONFLICT, in the connection's own dialect."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def claim(
    table: Table, executor: str, due: ColumnElement[bool], order: ColumnElement[object], limit: int
) -> ReturningUpdate[tuple[object, ...]]:
    """Return the statement that claims due rows for `executor` and returns them, in no order.

    A claim lasts as long as the lease of who made it: nobody else takes the row before that.
    """
    held = select(leases.c.executor).where(leases.c.executor == table.c.claimed_by).exists()
    free = or_(table.c.claimed_by.is_(None), table.c.claimed_by == executor, ~held)
    chosen = (
        select(table.c.id)
        .where(due, free)
        .order_by(order)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return (
        update(table)
        .where(table.c.id.in_(chosen.scalar_subquery()))
        .values(claimed_by=executor)
        .returning(*table.c)
    )


def target_values(target: Target) -> dict[str, str]:
    """Return a target as values of the three `target_*` columns."""
    return {
        "target_kind": target.kind,
        "target_namespace": target.namespace,
        "target_name": target.name,
    }


def target_of(row: RowMapping) -> Target:
    """Return the target of a row that has the three `target_*` columns."""
    return Target(row["target_kind"], row["target_namespace"], row["target_name"])


def is_about(table: Table, target: Target) -> ColumnElement[bool]:
    """Return the condition that a row is about `target`."""
    return and_(*(table.c[name] == value for name, value in target_values(target).items()))


def labels_value(labels: Labels) -> dict[str, str]:
    """Return labels as a JSON object."""
    return dict(labels)
