"""What the product's accounts may do, and what the API server's audit log says that they did."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from typing_extensions import override

from tests.bed.cluster.client import at, items
from tests.bed.cluster.real import RealCluster
from tests.bed.release import NAMESPACE, RELEASE

PART_OF = "app.kubernetes.io/part-of=runbookd"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}-"
ENDED = "ResponseComplete"
BORROWER = "borrower"
"""User agent of a test that uses one of the accounts: what it asks for, the product does not."""
STARTED = "ResponseStarted"
"""The stage of a watch that is still open."""
BINDINGS = "clusterrolebindings"
READS = {"get", "list", "watch"}


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb of one program on one kind of object, or on one path."""

    program: str
    group: str
    """Empty for the core group, `/` for a path."""
    resource: str
    """Plural and subresource, or the path."""
    verb: str

    @override
    def __str__(self) -> str:
        """Return it in one line."""
        return f"{self.program}: {self.verb} {self.group}/{self.resource}".replace("//", "/")


def granted(cluster: RealCluster) -> set[Right]:
    """Return what the release's Roles and ClusterRoles give."""
    selected = ("-l", PART_OF, "--all-namespaces", "-o", "json")
    found = json.loads(cluster.kubectl("get", "clusterroles,roles", *selected))
    return {right for role in items(found) for right in _of_role(role)}


def _of_role(role: Mapping[str, object]) -> Iterator[Right]:
    labels = at(role, "metadata.labels")
    program = str(labels["app.kubernetes.io/name"]) if isinstance(labels, dict) else ""
    for rule in items(role, "rules"):
        groups, resources = _texts(rule, "apiGroups"), _texts(rule, "resources")
        places = [(group, resource) for group in groups for resource in resources]
        places += [("/", path) for path in _texts(rule, "nonResourceURLs")]
        verbs = _texts(rule, "verbs")
        yield from (Right(program, *place, verb) for place in places for verb in verbs)


def _texts(rule: Mapping[str, object], key: str) -> list[str]:
    found = rule.get(key)
    return [str(text) for text in found] if isinstance(found, list) else []


def used(cluster: RealCluster, *, but_by: str = "") -> dict[Right, set[int]]:
    """Return what the product's accounts asked for, with the statuses of the answers.

    `but_by` is a user agent that only borrowed an account. What a pod is refused while its release
    is removed, whose Roles go before it ends, does not count.
    """
    found: dict[Right, set[int]] = {}
    bound = True
    for line in cluster.places.audit_log.read_text().splitlines():
        event = json.loads(line)
        if _binds(event):
            bound = event["verb"] != "delete"
        user = str(at(event, "user.username"))
        if not user.startswith(ACCOUNT) or event["stage"] not in {ENDED, STARTED}:
            continue
        if but_by and event.get("userAgent") == but_by:
            continue
        right = _of_event(user.removeprefix(ACCOUNT), event)
        status = at(event, "responseStatus.code")
        if bound or status != HTTPStatus.FORBIDDEN:
            found.setdefault(right, set()).add(status if isinstance(status, int) else 0)
    return found


def _binds(event: Mapping[str, object]) -> bool:
    """Say whether the request gives the release's rights or takes them."""
    what, name = at(event, "objectRef.resource"), str(at(event, "objectRef.name"))
    return (
        what == BINDINGS
        and name.startswith(f"{NAMESPACE}-{RELEASE}-")
        and event["verb"] not in READS
    )


def _of_event(program: str, event: Mapping[str, object]) -> Right:
    resource, verb = at(event, "objectRef.resource"), str(event["verb"])
    if resource is None:
        path = str(event["requestURI"]).partition("?")[0]
        return Right(program, "/", path, verb)
    subresource = at(event, "objectRef.subresource")
    whole = f"{resource}/{subresource}" if subresource else str(resource)
    return Right(program, str(at(event, "objectRef.apiGroup") or ""), whole, verb)
