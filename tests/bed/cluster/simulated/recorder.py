"""Events about objects, counted up when they repeat."""

from secrets import token_hex

from tests.bed.cluster.simulated.kinds import EVENT, NAMESPACE
from tests.bed.cluster.simulated.objects import Obj, name_of, namespace_of, number, text, uid_of
from tests.bed.cluster.simulated.store import Store


class Recorder:
    """Writes core/v1 Events."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._names: dict[tuple[str, str, str], str] = {}

    def normal(self, source: str, obj: Obj, reason: str, message: str) -> None:
        """Record what is as it should be."""
        self._record("Normal", source, obj, reason, message)

    def warning(self, source: str, obj: Obj, reason: str, message: str) -> None:
        """Record what is not."""
        self._record("Warning", source, obj, reason, message)

    def _record(self, kind: str, source: str, obj: Obj, reason: str, message: str) -> None:
        namespace = namespace_of(obj) or "default"
        if self._store.find(NAMESPACE, "", namespace) is None:
            return  # it went together with the object
        identity = (uid_of(obj), reason, message)
        name = self._names.get(identity, "")
        if name and self._store.find(EVENT, namespace, name):
            self._store.change(EVENT, namespace, name, self._again)
            return
        name = self._names[identity] = f"{name_of(obj)}.{token_hex(8)}"
        self._store.create(
            EVENT,
            {
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": {
                    "kind": text(obj, "kind"),
                    "apiVersion": text(obj, "apiVersion"),
                    "namespace": namespace_of(obj),
                    "name": name_of(obj),
                    "uid": uid_of(obj),
                },
                "type": kind,
                "reason": reason,
                "message": message,
                "count": 1,
                "firstTimestamp": self._store.now(),
                "lastTimestamp": self._store.now(),
                "eventTime": None,
                "source": {"component": source},
                "reportingComponent": source,
                "reportingInstance": "",
            },
        )

    def _again(self, event: Obj) -> None:
        event["count"] = number(event, "count") + 1
        event["lastTimestamp"] = self._store.now()
