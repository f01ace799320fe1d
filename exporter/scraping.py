"""Passes over the pods of an application: which are asked, and which workload each counts for."""

from collections.abc import Sequence
from datetime import timedelta

from exporter.application import Application
from exporter.merge import Classifier
from exporter.pages import Page, PageReader
from exporter.pod_group import Group
from exporter.podpages import Failures, Limits, PodPages, Reason, Unread, is_wanted
from exporter.ports import Clients, PodView
from exporter.shared.errors import TransientError

ASKING = 0.9
"""Part of the pass's time after which no pod is asked any more, so that those read still count."""

CLOCKS_DIFFER = timedelta(minutes=1)
"""How far the API server's clock may be from ours."""

Workload = tuple[str, str, str]
"""Namespace, name and kind; the latter two are empty for pods that nothing we know owns."""


class Scraping:
    """One application: its pods' last pages, merged by workload."""

    def __init__(
        self, application: Application, limits: Limits, window: timedelta, clients: Clients
    ) -> None:
        self._application = application
        self._limits = limits
        self._window = window
        self._clients = clients
        self.classifier = Classifier(application)
        self.reader = PageReader(
            self.classifier.prefixes, self.classifier, max_slots=limits.max_label_sets
        )
        self.pages = PodPages(application, self.reader, limits, clients.http, clients.clock)
        self.groups: dict[Workload, Group] = {}
        self._older: frozenset[str] | None = None
        self._since = clients.clock.now()
        self._passed: float | None = None

    async def run(self) -> None:
        """Read every ready pod once and bring the groups up to date.

        Raises TransientError when the pods are not known yet, there never was one, or none of them
        could be read.
        """
        app, clock = self._application, self._clients.clock
        pods = self._clients.pods.matching(app.namespace, app.selector)  # starts the stream, too
        if not self._clients.pods.synced:
            raise TransientError("the pod stream is not synced yet")
        pods = [pod for pod in pods if not app.annotated or is_wanted(pod)]
        if self._older is None:
            self._older, self._since = frozenset(pod.uid for pod in pods), clock.now()
        for pod in pods:
            self._group(pod).seen = clock.monotonic()
        failures = await self._read([pod for pod in pods if pod.ready])
        if failures and not any(group.reading for group in self.groups.values()):
            raise TransientError(failures[0][1].text)
        if not any(workload for _, workload, _ in self.groups):
            raise TransientError(f"application {app.name} has no ready pod with a known workload")
        self._close(pods)

    async def _read(self, pods: Sequence[PodView]) -> Failures:
        """Read the pages of `pods` into their groups; return what was in the way of others."""
        failures: Failures = [
            (pod, Unread(Reason.NO_WORKLOAD, f"pod {pod.name} belongs to no known workload"))
            for pod in pods
            if not self._label(pod)[1]
        ]
        asked = [pod for pod in pods if self._label(pod)[1]]
        failures += await self.pages.read_all(asked, ASKING * self._limits.pass_timeout, self._take)
        for pod, outcome in failures:
            self._group(pod).failures[outcome.reason] += 1
        return failures

    def _take(self, pod: PodView, page: Page) -> None:
        self._group(pod).add(pod.uid, page, self.reader, baseline=self._is_older(pod))

    def _is_older(self, pod: PodView) -> bool:
        """Say whether the pod's first page counts requests of before we looked."""
        if self._older is not None and pod.uid in self._older:
            return True
        # It came later, but was there before: labelled or annotated since.
        return pod.created is not None and pod.created < self._since - CLOCKS_DIFFER

    def _label(self, pod: PodView) -> Workload:
        """Return the workload that the requests of `pod` are published for."""
        app = self._application
        if app.workload:
            return pod.namespace, app.workload, app.workload_type
        return pod.namespace, pod.workload, pod.workload_type

    def _group(self, pod: PodView) -> Group:
        label = self._label(pod)
        if label not in self.groups:
            self.groups[label] = Group(self._application, self._window)
        return self.groups[label]

    def _close(self, pods: Sequence[PodView]) -> None:
        """End the pass: what it brought goes into totals and windows."""
        now = self._clients.clock.monotonic()
        passed, self._passed = self._passed, now
        living = {pod.uid for pod in pods}
        for label, group in list(self.groups.items()):
            if group.is_gone(now):
                del self.groups[label]
            else:
                group.close(living, None if passed is None else now - passed)
        self._make_room()

    def _make_room(self) -> None:
        """Forget lines that no pod writes any more, where there is no room for new ones.

        One in ten must be such a line: to learn the unwanted ones again costs as much as they did.
        """
        bound = self._limits.max_label_sets
        if self.reader.known < bound:
            return
        used = set[int]().union(*(group.used_slots() for group in self.groups.values()))
        if len(used) <= 0.9 * bound:
            moved = self.reader.forget(used)
            for group in self.groups.values():
                group.renumber(moved)
