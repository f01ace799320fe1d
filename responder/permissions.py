"""What Kubernetes must allow the responder: exactly what its enabled runbooks ask for; pure.

Reads go into a ClusterRole, for the guide's assessment looks at every namespace. What changes
something goes into a Role of each namespace that the gate allows, and only for runbooks in act
mode: one that observes needs to see and not to touch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from exporter.shared.config import Section
from exporter.shared.rbac import READING, Rule, Verbs, add, rules, verbs_of
from responder.contract import ActionSpec
from responder.domain.planner import COLLECT_EVIDENCE
from responder.domain.policy import Mode, Policy
from responder.domain.values import Json, JsonObject

ENGINE = (
    "apps/deployments:get",
    "apps/statefulsets:get",
    "apps/daemonsets:get",
    "apps/replicasets:get",
    "core/pods:get",
)
"""What the gate and the walk from a pod to its workload read, whatever the runbooks do."""


@dataclass(frozen=True, slots=True)
class Permissions:
    """What is needed, by where it is needed."""

    reads: Verbs = field(default_factory=dict)
    """In the whole cluster."""
    writes: Verbs = field(default_factory=dict)
    """In each of `namespaces`."""
    namespaces: tuple[str, ...] = ()


def needed(
    policy: Policy, actions: Mapping[str, ActionSpec[Section]], by_hand: Iterable[str] = ()
) -> Permissions:
    """Return what the policy's runbooks need, and `by_hand`: actions that people run besides.

    Raises KeyError for an action that there is not.
    """
    reads, writes = verbs_of(ENGINE), verbs_of(())
    wanted = {COLLECT_EVIDENCE: Mode.OBSERVE} | dict.fromkeys(by_hand, Mode.ACT)
    for runbook in policy.runbooks:
        for step in runbook.steps:
            if wanted.get(step.action) is not Mode.ACT:
                wanted[step.action] = runbook.mode
    for name, mode in wanted.items():
        for place, verbs in verbs_of(actions[name].permissions).items():
            add(reads, place, verbs & READING)
            if mode is Mode.ACT:
                add(writes, place, verbs - READING)
    return Permissions(reads, writes, tuple(sorted(policy.gate.allow - policy.gate.deny)))


def manifests(permissions: Permissions, name: str, account_namespace: str) -> list[JsonObject]:
    """Return the roles and their bindings to the ServiceAccount `name` of `account_namespace`."""
    subject: JsonObject = {
        "kind": "ServiceAccount",
        "name": name,
        "namespace": account_namespace,
    }
    found = _role_and_binding("ClusterRole", name, None, rules(permissions.reads), subject)
    if permissions.writes:
        for namespace in permissions.namespaces:
            found += _role_and_binding("Role", name, namespace, rules(permissions.writes), subject)
    return found


def _role_and_binding(
    kind: str, name: str, namespace: str | None, allowed: list[Rule], subject: JsonObject
) -> list[JsonObject]:
    metadata: JsonObject = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    api = "rbac.authorization.k8s.io/v1"
    reference: JsonObject = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
    return [
        {"apiVersion": api, "kind": kind, "metadata": metadata, "rules": cast("Json", allowed)},
        {
            "apiVersion": api,
            "kind": f"{kind}Binding",
            "metadata": metadata,
            "roleRef": reference,
            "subjects": [subject],
        },
    ]
