"""From an alert's labels to the object it is about; label values are never trusted."""

import re
from dataclasses import dataclass

from responder.domain.policy import TargetRule
from responder.domain.values import KINDS, Labels, Target, valid_name, valid_namespace

WORKLOAD_TYPES = ("deployment", "statefulset", "daemonset")
"""Values that a kind may take from a label (`workload_type`, kubernetes-mixin's names)."""

_REFERENCE = re.compile(r"\$([a-zA-Z_][a-zA-Z0-9_]*)")
_SHOWN = 60
"""How much of a refused label value is repeated in the reason."""


@dataclass(frozen=True, slots=True)
class NeedsOwner:
    """The labels name only a pod: its workload is found by walking the pod's owners."""

    namespace: str
    pod: str


@dataclass(frozen=True, slots=True)
class Unresolvable:
    """The labels name no object that could be acted on; the reason in words."""

    reason: str


Resolution = Target | NeedsOwner | Unresolvable


@dataclass(frozen=True, slots=True)
class _Missing:
    label: str


def label_of(template: str) -> str | None:
    """Return the label that `$label` stands for, or None when `template` is a fixed word.

    Raises ValueError for anything between the two (`web-$tier`): an object's name is one label
    whole or none of it.
    """
    found = _REFERENCE.fullmatch(template)
    if found is None and "$" in template:
        raise ValueError(f"{template!r} mixes text and a label; write $label alone")
    return found.group(1) if found else None


def resolve(rule: TargetRule, labels: Labels) -> Resolution:
    """Say which object `labels` are about.

    A missing label leaves only the walk from the pod, where the rule allows it. A label that is
    there but is not a Kubernetes name is refused outright: whoever wrote it may be an attacker.
    """
    kind = _fill(rule.kind, labels)
    namespace = _fill(rule.namespace, labels)
    name = _fill(rule.object_name, labels)
    problems = [
        found.reason
        for found in (_kind(kind), _namespace(namespace), _name(name))
        if isinstance(found, Unresolvable)
    ]
    if problems:
        return Unresolvable(problems[0])
    if isinstance(kind, str) and isinstance(namespace, str) and isinstance(name, str):
        return Target(KINDS[kind.lower()], namespace, name)
    missing = next(part.label for part in (kind, namespace, name) if isinstance(part, _Missing))
    if rule.owner_of_pod and isinstance(namespace, str) and labels.get("pod"):
        pod = _name(labels["pod"])
        return pod if isinstance(pod, Unresolvable) else NeedsOwner(namespace, labels["pod"])
    return Unresolvable(f"the alert has no label {missing}, which target {rule.name} reads")


def _fill(template: str, labels: Labels) -> str | _Missing:
    label = label_of(template)
    if label is None:
        return template
    return labels.get(label) or _Missing(label)


def _kind(kind: str | _Missing) -> str | _Missing | Unresolvable:
    if isinstance(kind, _Missing) or kind.lower() in WORKLOAD_TYPES or kind in KINDS.values():
        return kind
    return Unresolvable(f"{_shown(kind)} is not one of {', '.join(WORKLOAD_TYPES)}")


def _namespace(namespace: str | _Missing) -> str | _Missing | Unresolvable:
    if isinstance(namespace, _Missing) or not namespace or valid_namespace(namespace):
        return namespace
    return Unresolvable(f"{_shown(namespace)} is not a Kubernetes namespace")


def _name(name: str | _Missing) -> str | _Missing | Unresolvable:
    if isinstance(name, _Missing) or valid_name(name):
        return name
    return Unresolvable(f"{_shown(name)} is not a Kubernetes name")


def _shown(value: str) -> str:
    return ascii(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…")
