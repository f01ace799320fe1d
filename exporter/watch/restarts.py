"""Counts the restarts of each workload's containers over the last day."""

from collections import Counter
from datetime import datetime, timedelta
from heapq import heappop, heappush

from exporter.ports import ContainerView, WatchedPod

DAY = timedelta(days=1)

Subject = tuple[tuple[str, str], ...]


class RestartLog:
    """Restarts by workload, from the containers' own counters; pure, `now` is passed in.

    A counter first seen says more than nothing: of a pod younger than a day all restarts are of
    this day, of an older one at least the last is, if it ended within the day. From then on
    restarts are counted as they happen, and those of deleted pods stay counted.
    """

    def __init__(self) -> None:
        self._counters: dict[str, dict[str, int]] = {}
        self._subjects: dict[str, Subject] = {}
        self._pods: Counter[Subject] = Counter()
        self._totals: Counter[Subject] = Counter()
        self._times: dict[Subject, list[tuple[datetime, int]]] = {}
        """Heaps, oldest first, of what the totals are made of."""

    def observe(self, pod: WatchedPod, now: datetime) -> Subject | None:
        """Note a pod's counters; returns its workload, None for a pod of none."""
        if not pod.workload:
            return None
        subject = (
            ("namespace", pod.namespace),
            ("workload", pod.workload),
            ("workload_type", pod.workload_type),
        )
        if self._subjects.get(pod.uid) != subject:
            self.forget(pod.uid)
            self._subjects[pod.uid] = subject
            self._pods[subject] += 1
        counters = self._counters.setdefault(pod.uid, {})
        for container in pod.containers:
            before = counters.get(container.name)
            counters[container.name] = container.restarts
            if before is None:
                news = _first_seen(pod, container, now)
            else:
                news = max(0, container.restarts - before)
            if news:
                at = min(now, container.last_finished or now)
                heappush(self._times.setdefault(subject, []), (at, news))
                self._totals[subject] += news
        return subject

    def forget(self, uid: str) -> Subject | None:
        """Note that a pod is gone; returns its workload if it was the last one of it."""
        self._counters.pop(uid, None)
        subject = self._subjects.pop(uid, None)
        if subject is None:
            return None
        self._pods[subject] -= 1
        if self._pods[subject]:
            return None
        del self._pods[subject]
        return subject

    def per_day(self, subject: Subject, now: datetime) -> int:
        """Return the restarts of the last 24 hours, as far as they are known."""
        times = self._times.get(subject, [])
        while times and now - times[0][0] >= DAY:
            self._totals[subject] -= heappop(times)[1]
        return self._totals[subject]


def _first_seen(pod: WatchedPod, container: ContainerView, now: datetime) -> int:
    if pod.created is not None and now - pod.created < DAY:
        return container.restarts
    ended_today = container.last_finished is not None and now - container.last_finished < DAY
    return 1 if container.restarts and ended_today else 0
