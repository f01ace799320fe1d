"""Episodes; at most one is open per (cluster, fingerprint), and the database holds that."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import RowMapping, Select, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from responder.domain.episode import Episode
from responder.store.rows import labels_value
from responder.store.tables import episodes
from responder.store.types import Micros

NEWEST = 10_000
"""Episodes that are looked through for receivers, however many are kept."""

AT_ONCE = 500
"""Fingerprints in one statement; SQLite takes 32,766 parameters."""


def _episode(row: RowMapping) -> Episode:
    return Episode(
        id=row["id"],
        cluster=row["cluster"],
        fingerprint=row["fingerprint"],
        incident_id=row["incident_id"],
        alert_name=row["alert_name"],
        labels=row["labels"],
        annotations=row["annotations"],
        starts_at=row["starts_at"],
        starts_at_text=row["starts_at_text"],
        last_seen_at=row["last_seen_at"],
        ended_at=row["ended_at"],
        receiver=row["receiver"] or "",
        held_by=row["held_by"] or "",
    )


class Episodes:
    """The `episodes` table within one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def open_for(self, cluster: str, fingerprint: str) -> Episode | None:
        """Return the open episode of an alert."""
        return await self._first(
            self._of(cluster, fingerprint).where(episodes.c.ended_at.is_(None))
        )

    async def last_ended(self, cluster: str, fingerprint: str) -> Episode | None:
        """Return the closed episode of an alert that ended last."""
        return await self._first(
            self._of(cluster, fingerprint)
            .where(episodes.c.ended_at.is_not(None))
            .order_by(episodes.c.ended_at.desc(), episodes.c.id.desc())
        )

    async def known(self, cluster: str, fingerprints: Collection[str]) -> set[str]:
        """Return which of these alerts have an episode, open or closed."""
        found: set[str] = set()
        left = list(fingerprints)
        for start in range(0, len(left), AT_ONCE):
            few = left[start : start + AT_ONCE]
            statement = select(episodes.c.fingerprint).where(
                episodes.c.cluster == cluster, episodes.c.fingerprint.in_(few)
            )
            found |= set((await self._connection.execute(statement)).scalars())
        return found

    async def start(self, episode: Episode) -> Episode:
        """Open an episode; its id is given here, whatever the value says.

        Raises ConflictError when one is open for the fingerprint.
        """
        statement = insert(episodes).values(
            cluster=episode.cluster,
            fingerprint=episode.fingerprint,
            incident_id=episode.incident_id,
            alert_name=episode.alert_name,
            labels=labels_value(episode.labels),
            annotations=labels_value(episode.annotations),
            starts_at=episode.starts_at,
            starts_at_text=episode.starts_at_text,
            last_seen_at=episode.last_seen_at,
            ended_at=episode.ended_at,
            receiver=episode.receiver,
            held_by=episode.held_by,
        )
        result = await self._connection.execute(statement.returning(episodes))
        return _episode(result.mappings().one())

    async def seen(self, episode: Episode) -> None:
        """Record what another delivery of an open episode changed: when, by whom, and its words."""
        await self._connection.execute(
            update(episodes)
            .where(episodes.c.id == episode.id)
            .values(
                last_seen_at=episode.last_seen_at,
                annotations=labels_value(episode.annotations),
                starts_at=episode.starts_at,
                receiver=episode.receiver,
            )
        )

    async def end(self, episode_id: int, ended_at: datetime) -> None:
        """Close an episode."""
        await self._connection.execute(
            update(episodes).where(episodes.c.id == episode_id).values(ended_at=ended_at)
        )

    async def listed(self, episode_id: int, held_by: str) -> None:
        """Record which Alertmanager was seen to list an open episode."""
        await self._connection.execute(
            update(episodes).where(episodes.c.id == episode_id).values(held_by=held_by)
        )

    async def open_of_cluster(self, cluster: str) -> list[Episode]:
        """Return every open episode, also of incidents that are over."""
        return await self._all(
            select(episodes)
            .where(episodes.c.cluster == cluster, episodes.c.ended_at.is_(None))
            .order_by(episodes.c.id)
        )

    async def ends(self, cluster: str, fingerprints: Sequence[str]) -> dict[str, datetime]:
        """Return when the newest closed episode of each alert ended, where there is one."""
        newest = func.max(episodes.c.ended_at, type_=Micros).label("ended_at")
        found: dict[str, datetime] = {}
        for start in range(0, len(fingerprints), AT_ONCE):
            few = fingerprints[start : start + AT_ONCE]
            rows = await self._connection.execute(
                select(episodes.c.fingerprint, newest)
                .where(episodes.c.cluster == cluster, episodes.c.fingerprint.in_(few))
                .where(episodes.c.ended_at.is_not(None))
                .group_by(episodes.c.fingerprint)
            )
            found |= {row.fingerprint: row.ended_at for row in rows}
        return found

    async def receivers(self, cluster: str, since: datetime) -> set[str]:
        """Return the names under which webhooks told of episodes after `since`."""
        newest = (
            select(episodes.c.receiver, episodes.c.last_seen_at)
            .where(episodes.c.cluster == cluster)
            .order_by(episodes.c.id.desc())
            .limit(NEWEST)
            .subquery()
        )
        rows = await self._connection.execute(
            select(newest.c.receiver).where(newest.c.last_seen_at >= since).distinct()
        )
        return {name for (name,) in rows if name}

    async def of_incident(self, incident_id: int) -> list[Episode]:
        """Return every episode of an incident, in the order they began here."""
        return await self._all(
            select(episodes).where(episodes.c.incident_id == incident_id).order_by(episodes.c.id)
        )

    async def open_of_incident(self, incident_id: int) -> list[Episode]:
        """Return the open episodes of an incident."""
        return await self._all(
            select(episodes)
            .where(episodes.c.incident_id == incident_id, episodes.c.ended_at.is_(None))
            .order_by(episodes.c.id)
        )

    @staticmethod
    def _of(cluster: str, fingerprint: str) -> Select[tuple[object, ...]]:
        return select(episodes).where(
            episodes.c.cluster == cluster, episodes.c.fingerprint == fingerprint
        )

    async def _first(self, statement: Select[tuple[object, ...]]) -> Episode | None:
        row = (await self._connection.execute(statement.limit(1))).mappings().first()
        return None if row is None else _episode(row)

    async def _all(self, statement: Select[tuple[object, ...]]) -> list[Episode]:
        return [_episode(row) for row in (await self._connection.execute(statement)).mappings()]
