"""What Alertmanager's API says now, against what is known here: what was missed, what is over.

A webhook may be cut off (`max_alerts`), and a resolve may never be sent: Alertmanager forgets its
alerts at a restart and tells nothing of what ends while it is silenced. Presence in the API is
proof that an alert fires. Absence proves little, and only together: everybody who was asked has
answered and has run for long enough to have been told of it anew; one of them had held this very
alert before and is still reached by those who send alerts; and it has stayed away for a while.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from responder.domain.alert import Alert, AlertStatus, Delivery
from responder.domain.episode import Episode
from responder.domain.values import Labels

PATIENCE = timedelta(minutes=5)
"""How long webhooks get to tell of something before the API is believed: a group's wait, interval
and tries together are shorter with rules/alertmanager.yaml."""

ABSENT_FOR = timedelta(minutes=2)
"""How long an alert must stay out of the list: behind one address there may be several peers, and
one that has just started says for a minute that nothing fires."""

AGAIN = timedelta(hours=1)
"""When an alert that was taken in and is still unknown here is tried again: something is wrong with
it, which people have been told."""

OURS_FOR = timedelta(days=7)
"""How long a receiver is taken for ours after its last webhook: its alerts may go to somebody else
today, and the API does not say to whom."""

TOLD_ANEW = timedelta(hours=1)
"""How long after its start an Alertmanager may not hold what it held before: an alert is sent again
no oftener than its rule is evaluated, and few rules are evaluated less often than that."""


@dataclass(frozen=True, slots=True)
class Held:
    """One alert that an Alertmanager holds, so that it fires."""

    alert: Alert
    receivers: frozenset[str]
    """Whom the routes name for it."""
    is_told: bool
    """False while it is silenced or inhibited: it goes on, and nobody is to hear of it."""
    group: Labels | None = None
    """What its group has in common, where it was asked for by group: then it is held once for each
    group, whose receiver alone is named."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one Alertmanager said."""

    url: str
    started_at: datetime
    resolve_timeout: timedelta
    """Within this, a sender that names no end comes again."""
    receivers: frozenset[str]
    """All of its configuration."""
    timed: frozenset[str]
    """Receivers that are not told at certain times (`mute_time_intervals`,
    `active_time_intervals`). The list of alerts does not say which times those are."""
    held: Sequence[Held]


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking every Alertmanager once."""

    answers: Sequence[Answer]
    failures: Mapping[str, str] = field(default_factory=dict)
    """Address → `<reason>: <detail>` of those that gave no answer."""

    @property
    def is_whole(self) -> bool:
        """Whether everybody answered."""
        return bool(self.answers) and not self.failures


@dataclass(frozen=True, slots=True)
class Rest:
    """What `max_alerts` cut off a delivery, as far as it can be known."""

    found: Sequence[Alert]
    problem: str = ""
    """Why more may have been cut off than was found; empty when nothing is missing."""


def rest_of(delivery: Delivery, asked: Asked) -> Rest:
    """Return the alerts of a truncated delivery's group that are not in it.

    Cut off may also be what has resolved: the API does not list that, and it opens nothing. So
    fewer may be found than were cut off, if only everybody was asked who could know.
    """
    group: dict[str, Alert] = {}
    for held in _all(asked):
        of_group = held.group == delivery.group_labels and delivery.receiver in held.receivers
        if held.is_told and of_group:
            group.setdefault(held.alert.fingerprint, held.alert)
    delivered = {alert.fingerprint: alert.status for alert in delivery.alerts}
    found = [alert for name, alert in group.items() if name not in delivered]
    if len(found) >= delivery.truncated:
        return Rest(found)
    if asked.failures:
        return Rest(found, _told(asked.failures))
    firing = {name for name, status in delivered.items() if status is AlertStatus.FIRING}
    known = any(delivery.receiver in answer.receivers for answer in asked.answers)
    if not known or (firing and not firing & group.keys()):
        return Rest(found, "no Alertmanager that was asked knows the group")
    return Rest(found)


def _told(failures: Mapping[str, str]) -> str:
    return "; ".join(f"{url}: {why}" for url, why in failures.items())


@dataclass(frozen=True, slots=True)
class Here:
    """What is known here."""

    cluster: str
    open: Sequence[Episode]
    """Those of alerts; what people report, no Alertmanager knows."""
    ended: Mapping[str, datetime]
    """Fingerprint → end of the newest episode that is over."""
    receivers: frozenset[str]
    """Names under which Alertmanagers delivered to us within `OURS_FOR`."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What earlier rounds found. Lost at a restart, after which everything takes longer."""

    absent: Mapping[str, datetime] = field(default_factory=dict)
    """Fingerprint of an open episode → since when nobody lists it."""
    taken: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    """(fingerprint, startsAt) of what was taken in → when."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What follows from one round."""

    firing: Mapping[str, Sequence[Alert]]
    """To be taken in, by receiver."""
    over: Sequence[Episode]
    """Resolved, without a word of it."""
    held_by: Mapping[int, str]
    """Episode → address that was seen to hold it, where that is news."""
    memory: Memory


@dataclass(frozen=True, slots=True)
class Unknown:
    """What fires there for us and has no open episode."""

    alert: Alert
    receiver: str
    resolve_timeout: timedelta
    """Of the Alertmanager that lists it."""


def unknown(asked: Asked, here: Here, *, now: datetime) -> dict[str, Unknown]:
    """Return what fires there for us and is unknown here, by fingerprint.

    With several Alertmanagers the earliest start stands, as within one of them. What any of them
    keeps silent is left out: a silence reaches the others late, and an inhibition never does. One
    that has just started may not know yet what inhibits, so that it is not believed at first.
    """
    left_out = {episode.fingerprint for episode in here.open}
    left_out |= {held.alert.fingerprint for held in _all(asked) if not held.is_told}
    timed = _timed(asked)
    found: dict[str, Unknown] = {}
    for answer in asked.answers:
        if now - answer.started_at < PATIENCE:
            continue
        ours = here.receivers - timed
        for held in answer.held:
            alert, to = held.alert, sorted(ours & held.receivers)
            of_us = alert.labels.get("cluster", here.cluster) == here.cluster
            if not (to and of_us) or alert.fingerprint in left_out:
                continue
            before = found.get(alert.fingerprint)
            if before is None or alert.starts_at < before.alert.starts_at:
                found[alert.fingerprint] = Unknown(alert, to[0], answer.resolve_timeout)
    return found


def decide(asked: Asked, here: Here, memory: Memory, *, now: datetime) -> Findings:
    """Say what was missed and what is over."""
    firing: dict[str, list[Alert]] = {}
    taken = {key: at for key, at in memory.taken.items() if now - at < AGAIN}
    for name, one in unknown(asked, here, now=now).items():
        alert = _since(here.ended.get(name), one.alert)
        came_back = alert.starts_at > one.alert.starts_at
        key = (name, alert.starts_at_text)
        if key in taken or now - alert.starts_at < _wait(one, came_back=came_back):
            continue
        taken[key] = now
        firing.setdefault(one.receiver, []).append(alert)
    listed = _listed(asked)
    absent = _absent(asked, here, memory, listed, now)
    over = [
        episode
        for episode in here.open
        if episode.fingerprint in absent
        and now - absent[episode.fingerprint] >= ABSENT_FOR
        and _had_time(asked, episode, now)
    ]
    return Findings(
        firing=firing,
        over=over,
        held_by={
            episode.id: listed[episode.fingerprint]
            for episode in here.open
            if episode.fingerprint in listed
            and episode.held_by not in {answer.url for answer in asked.answers}
        },
        memory=Memory(absent, taken),
    )


def _wait(one: Unknown, *, came_back: bool) -> timedelta:
    """Return how long after its start presence is no proof that a webhook is missing.

    Under a start before the end that is known here it may only be left over: an Alertmanager that
    did not hear of the end lists the alert until its `resolve_timeout` is over. This does not cover
    a sender that names a later end itself. Prometheus names one that is four evaluation or resend
    intervals ahead, the longer of the two: by Alertmanager's own timeout of five minutes that is
    more than the wait where rules are evaluated every three minutes or less often. There an alert
    that is over may open once more, until it is listed no longer.
    """
    return PATIENCE + one.resolve_timeout if came_back else PATIENCE


def _since(ended: datetime | None, alert: Alert) -> Alert:
    """Return an alert that starts no earlier than the end of what was known of it.

    It came back under its old start: Prometheus could not reach Alertmanager for a while, say. By
    that start a delivery of it would be taken for one that is late.
    """
    if ended is None or ended <= alert.starts_at:
        return alert
    return replace(alert, starts_at=ended, starts_at_text=ended.isoformat())


def _listed(asked: Asked) -> dict[str, str]:
    """Return what anybody lists, whoever is told of it: fingerprint → address."""
    return {
        held.alert.fingerprint: answer.url
        for answer in reversed(asked.answers)
        for held in answer.held
    }


def _absent(
    asked: Asked, here: Here, memory: Memory, listed: Mapping[str, str], now: datetime
) -> dict[str, datetime]:
    """Return what nobody lists any more of those who did: fingerprint → since when.

    A delivery that comes in between begins it anew: what it told is newer than the absence. What
    goes to a receiver that is not told at certain times never counts: nothing fires anew for it
    here, and an end that is wrong would stay.
    """
    if not asked.is_whole or not all(_is_settled(answer, now) for answer in asked.answers):
        return {}
    holders = {answer.url: answer for answer in asked.answers}
    timed = _timed(asked)
    absent: dict[str, datetime] = {}
    for episode in here.open:
        holder = holders.get(episode.held_by)
        if holder is None or episode.receiver in timed or _has_forgotten(holder, episode, now):
            continue
        if episode.fingerprint not in listed:
            since = memory.absent.get(episode.fingerprint, now)
            absent[episode.fingerprint] = now if since < episode.last_seen_at else since
    return absent


def _timed(asked: Asked) -> frozenset[str]:
    """Return the receivers that anybody does not tell at certain times."""
    return frozenset().union(*(answer.timed for answer in asked.answers))


def _is_settled(answer: Answer, now: datetime) -> bool:
    """Say whether it has run for long enough that most senders came again."""
    return now - answer.started_at >= PATIENCE + answer.resolve_timeout


def _has_forgotten(holder: Answer, episode: Episode, now: datetime) -> bool:
    """Say whether it may have forgotten the alert at a restart, with nobody to tell it anew yet.

    Rules that are evaluated seldom are sent again as seldom. And where it lists nothing at all,
    Prometheus may be down, too, or may not find it: as soon as it lists any alert, somebody does.
    """
    if holder.started_at <= episode.last_seen_at:
        return False
    return not holder.held or now - holder.started_at < TOLD_ANEW


def _had_time(asked: Asked, episode: Episode, now: datetime) -> bool:
    """Say whether the last delivery is so long ago that a webhook should have told the end."""
    longest = max(answer.resolve_timeout for answer in asked.answers)
    return now - episode.last_seen_at >= PATIENCE + longest


def _all(asked: Asked) -> Iterable[Held]:
    return (held for answer in asked.answers for held in answer.held)
