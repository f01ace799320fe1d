"""Counts the pods of each workload that are not ready."""

from collections import Counter

from exporter.ports import WatchedPod
from exporter.watch.restarts import Subject

ENDED = frozenset({"Succeeded", "Failed"})
"""Phases of a pod that runs no more and never will again. Kubernetes' controllers count neither
among a workload's pods: a ReplicaSet leaves an evicted one lying and makes another."""


def is_unready(pod: WatchedPod) -> bool:
    """Say whether a pod should serve and does not; one that ends or has ended should not."""
    return not (pod.ready or pod.deleting or pod.phase in ENDED)


class UnreadyPods:
    """Pods that are not ready, by workload; pure, and one step a pod whatever their number."""

    def __init__(self) -> None:
        self._subjects: dict[str, Subject] = {}
        self._counts: Counter[Subject] = Counter()

    def observe(self, pod: WatchedPod, subject: Subject | None) -> Subject | None:
        """Note a pod of a workload (None: of none); returns the one that it counted for before."""
        before = self.forget(pod.uid)
        if subject is not None and is_unready(pod):
            self._subjects[pod.uid] = subject
            self._counts[subject] += 1
        return before

    def forget(self, uid: str) -> Subject | None:
        """Note that a pod is gone; returns the workload that it counted for."""
        subject = self._subjects.pop(uid, None)
        if subject is not None:
            self._counts[subject] -= 1
            if not self._counts[subject]:
                del self._counts[subject]
        return subject

    def count(self, subject: Subject) -> int:
        """Return how many pods of a workload are not ready."""
        return self._counts[subject]
