"""What a plug-in asks of the API server, and the RBAC rules that allow just that; pure.

A permission is `GROUP/RESOURCE:VERB,VERB` (`apps/deployments:get,patch`; `core` is the group
without a name; a subresource follows its resource: `core/pods/log:get`), or a path that is no
resource: `/readyz:get`.
"""

from collections.abc import Iterable
from typing import TypedDict

READING = frozenset({"get", "list", "watch"})

Verbs = dict[tuple[str, str], set[str]]
"""(API group, resource) → verbs; the group is `/` for a path that is no resource."""

PATHS = "/"


class Rule(TypedDict, total=False):
    """One rule of a Role or ClusterRole, as rbac.authorization.k8s.io/v1 writes it."""

    apiGroups: list[str]
    resources: list[str]
    nonResourceURLs: list[str]
    verbs: list[str]


def verbs_of(permissions: Iterable[str]) -> Verbs:
    """Read permissions; the same place twice allows what either does."""
    found: Verbs = {}
    for permission in permissions:
        place, _, verbs = permission.partition(":")
        if place.startswith("/"):
            key = (PATHS, place)
        else:
            group, _, resource = place.partition("/")
            key = ("" if group == "core" else group, resource)
        add(found, key, set(verbs.split(",")))
    return found


def add(to: Verbs, place: tuple[str, str], verbs: set[str]) -> None:
    """Allow `verbs` at `place` too; no verb at all adds nothing."""
    if verbs:
        to[place] = to.get(place, set()) | verbs


def rules(verbs: Verbs) -> list[Rule]:
    """Return RBAC's rules in a stable order, resources of one group with the same verbs joined."""
    joined: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, resource), allowed in sorted(verbs.items()):
        joined.setdefault((group, tuple(sorted(allowed))), []).append(resource)
    return [
        Rule(nonResourceURLs=places, verbs=list(allowed))
        if group == PATHS
        else Rule(apiGroups=[group], resources=places, verbs=list(allowed))
        for (group, allowed), places in joined.items()
    ]
