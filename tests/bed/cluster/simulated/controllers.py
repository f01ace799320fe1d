"""Runs the controllers whenever something they look at has changed."""

import asyncio
import logging

from tests.bed.cluster.simulated import replicasets
from tests.bed.cluster.simulated.deletion import collect_garbage
from tests.bed.cluster.simulated.deployments import Rollout
from tests.bed.cluster.simulated.kinds import (
    DEPLOYMENT,
    NAMESPACE,
    POD,
    REPLICA_SET,
    SERVICE_ACCOUNT,
)
from tests.bed.cluster.simulated.objects import name_of
from tests.bed.cluster.simulated.recorder import Recorder
from tests.bed.cluster.simulated.store import Change, Store

LOOKED_AT = {DEPLOYMENT, REPLICA_SET, POD, NAMESPACE}


class Controllers:
    """Brings everything in line in one pass over all objects, again until nothing changes.

    The bed's clusters hold a few dozen objects, so a pass costs less than queues would.
    """

    def __init__(self, store: Store, recorder: Recorder) -> None:
        self._store = store
        self._recorder = recorder
        self._wake = asyncio.Event()
        self._litter = False

    async def run(self) -> None:
        """Follow the store until cancelled."""
        self._store.listeners.add(self._follow)
        self._wake.set()
        while True:
            due = self._pass()
            try:
                await asyncio.wait_for(self._wake.wait(), due)
            except TimeoutError:
                continue  # the deadline of a rollout is over
            self._wake.clear()

    def _follow(self, change: Change) -> None:
        self._litter = self._litter or change.type == "DELETED"
        if change.kind in LOOKED_AT:
            self._wake.set()

    def _pass(self) -> float | None:
        """Return in how many seconds another pass is due though nothing may have changed."""
        due: list[float] = []
        try:
            if self._litter:
                self._litter = False
                collect_garbage(self._store)
            for namespace in self._store.every(NAMESPACE):
                if self._store.find(SERVICE_ACCOUNT, name_of(namespace), "default") is None:
                    account = {"name": "default", "namespace": name_of(namespace)}
                    self._store.create(SERVICE_ACCOUNT, {"metadata": account})
            for deployment in self._store.every(DEPLOYMENT):
                rollout = Rollout(self._store, self._recorder, deployment)
                rollout.sync()
                if (seconds := rollout.deadline_seconds()) is not None:
                    due.append(seconds)
            for replica_set in self._store.every(REPLICA_SET):
                replicasets.sync(self._store, self._recorder, replica_set)
        except Exception:  # a mistake in here must be read in the log, not end the cluster
            logging.getLogger(__name__).exception("a pass of the controllers failed")
        return min(due, default=None)
