"""Asks Alertmanager's API: at once for what was cut off a delivery, and every minute for the rest.

What a round finds goes the way of a webhook: it is written as a delivery of our own into the inbox,
and the episodes' own rules decide what it means when it is worked on. So a repeat, a crash or a
webhook that tells the same in between changes nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from exporter.shared.log import get_log
from responder.domain.alert import Alert, AlertStatus, Delivery
from responder.domain.episode import Episode
from responder.domain.reconciliation import (
    OURS_FOR,
    Asked,
    Findings,
    Here,
    Memory,
    Rest,
    decide,
    rest_of,
    unknown,
)
from responder.engine.envelope import encode_delivery
from responder.engine.services import Services
from responder.store.inbox import InboxItem, NewDelivery

log = get_log(__name__)

SOURCE = "runbookd"
"""Who delivered what a round found; no token and no user may be named so."""

A_DELIVERY = 100
"""Alerts written into one of our own; each is one transaction when it is worked on."""

TRIES = 3
"""How often those that gave no answer are asked for what was cut off, before people are told."""

RETRY = timedelta(seconds=2)
"""To the second try; longer to each later one."""

FRESH = timedelta(seconds=5)
"""How long what everybody answered holds for deliveries that had come before the question."""

CUT_OFF = " Learned from Alertmanager's API: its webhook had been cut off."
UNTOLD = " Learned from Alertmanager's API: no webhook had told of it."


@dataclass(frozen=True, slots=True)
class CutOff(Rest):
    """What a delivery left out, and whether to ask for it once more."""

    again: timedelta | None = None
    """Leave the delivery in the inbox for so long: somebody gave no answer."""


class Asking:
    """Asks for what was cut off deliveries that are worked on one after the other.

    All of them had come before the first question, so that one answer serves a storm. Where
    somebody gives no answer the others do not wait for it again: each is put off to a later try.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._asked = Asked(())
        self._until: datetime | None = None

    async def cut_off(self, item: InboxItem, delivery: Delivery) -> CutOff:
        """Return what `max_alerts` left out of a delivery; nothing where it left nothing out."""
        if not delivery.truncated:
            return CutOff(())
        if not self._services.alertmanagers.urls:
            return CutOff((), "no Alertmanager is asked (`alertmanagers` in the settings)")
        asked = await self._answers()
        rest = rest_of(delivery, asked)
        log.warning(
            "alerts_cut_off",
            receiver=delivery.receiver,
            cut_off=delivery.truncated,
            found=len(rest.found),
            problem=rest.problem,
        )
        again = RETRY * (item.attempts + 1) if rest.problem and asked.failures else None
        return CutOff(rest.found, rest.problem, again if item.attempts + 1 < TRIES else None)

    async def _answers(self) -> Asked:
        if self._until is None or (self._asked.is_whole and self._services.now() >= self._until):
            self._asked = await _ask(self._services, by_group=True)
            self._until = self._services.now() + FRESH
        return self._asked


def learned(item: InboxItem, rest: Rest) -> Callable[[Alert], str]:
    """Return what says of an alert of this delivery how it came to be known, if by no webhook."""
    if item.source == SOURCE:
        return lambda _: UNTOLD
    found = {alert.fingerprint for alert in rest.found}
    return lambda alert: CUT_OFF if alert.fingerprint in found else ""


async def reconcile(services: Services, memory: Memory) -> Memory:
    """Compare once what is open here with what the Alertmanagers list; return what to remember."""
    async with services.store.reading() as tx:
        if await tx.inbox.waits(SOURCE):
            return memory  # what the last round found is not worked on: it would be found again
    # The store is read after they were asked: what a webhook opens in between was seen by nobody.
    asked = await _ask(services)
    cluster, now = services.settings.cluster, services.now()
    async with services.store.reading() as tx:
        here = Here(
            cluster=cluster,
            open=[one for one in await tx.episodes.open_of_cluster(cluster) if not one.is_reported],
            ended={},
            receivers=frozenset(await tx.episodes.receivers(cluster, now - OURS_FOR)),
        )
        ended = await tx.episodes.ends(cluster, list(unknown(asked, here, now=now)))
    findings = decide(asked, replace(here, ended=ended), memory, now=now)
    bodies = list(_bodies(findings))
    if bodies or findings.held_by:
        async with services.store.transaction() as tx:
            for body in bodies:
                await tx.inbox.append(NewDelivery(now, SOURCE, body))
            for episode_id, url in findings.held_by.items():
                await tx.episodes.listed(episode_id, url)
    if bodies:
        firing = sum(map(len, findings.firing.values()))
        log.warning("alerts_reconciled", firing=firing, resolved=len(findings.over))
    return findings.memory


def _bodies(findings: Findings) -> Iterable[bytes]:
    """Write what a round found as deliveries."""
    found = dict(findings.firing)
    for episode in findings.over:
        since = findings.memory.absent[episode.fingerprint]
        found[episode.receiver] = [*found.get(episode.receiver, ()), _over(episode, since)]
    for receiver, alerts in found.items():
        for start in range(0, len(alerts), A_DELIVERY):
            yield encode_delivery(receiver, alerts[start : start + A_DELIVERY])


def _over(episode: Episode, since: datetime) -> Alert:
    return Alert(
        fingerprint=episode.fingerprint,
        status=AlertStatus.RESOLVED,
        labels=episode.labels,
        annotations=episode.annotations,
        starts_at=episode.starts_at,
        starts_at_text=episode.starts_at_text,
        ends_at=since,
    )


async def _ask(services: Services, *, by_group: bool = False) -> Asked:
    asked = await services.alertmanagers.ask(by_group=by_group)
    for failure in asked.failures.values():
        services.metrics.alertmanager_failures.labels(failure.partition(":")[0]).inc()
    answered = "all" if asked.is_whole else "some" if asked.answers else "none"
    services.metrics.reconciliations.labels(answered).inc()
    for url in asked.failures.keys() - services.unanswering:
        log.warning("alertmanager_gives_no_answer", url=url, error=asked.failures[url])
    for url in services.unanswering - asked.failures.keys():
        log.info("alertmanager_answers_again", url=url)
    services.unanswering.clear()
    services.unanswering.update(asked.failures)
    return asked
