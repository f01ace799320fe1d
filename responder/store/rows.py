"""What every aggregate needs to speak SQL: the two dialects' inserts, targets, pages."""

from sqlalchemy import ColumnElement, RowMapping, Table, and_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from responder.domain.values import Labels, Target

Insert = postgresql.Insert | sqlite.Insert


def insert_into(connection: AsyncConnection, table: Table) -> Insert:
    """Return an insert that knows ON CONFLICT, in the connection's own dialect."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


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
