"""Roles and bindings: who holds everything, which roles are too wide, what a user may do."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from exporter.watch.objects import NO_META, Meta, View

GROUP = "rbac.authorization.k8s.io"
PREFIX = f"/apis/{GROUP}/v1"

ALL = "*"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
ANONYMOUS = "system:anonymous"
ACCOUNT = "system:serviceaccount"
BOOTSTRAPPING = "kubernetes.io/bootstrapping"
"""Label of the roles and bindings that the API server itself makes and keeps."""


class Rule(View, frozen=True):
    """What a role allows; every list may be missing."""

    verbs: list[str] | None = None
    api_groups: list[str] | None = None
    resources: list[str] | None = None
    resource_names: list[str] | None = None
    # camel case would make it nonResourceUrls.
    non_resource_urls: list[str] | None = msgspec.field(default=None, name="nonResourceURLs")


class Role(View, frozen=True):
    """A Role, or a ClusterRole (without a namespace)."""

    metadata: Meta = NO_META
    rules: list[Rule] | None = None

    @property
    def is_built_in(self) -> bool:
        """True for what every cluster has."""
        return BOOTSTRAPPING in (self.metadata.labels or {})


class Subject(View, frozen=True):
    """To whom a role is given."""

    kind: str = ""
    name: str = ""
    namespace: str = ""


class RoleRef(View, frozen=True):
    """The role that is given."""

    kind: str = ""
    name: str = ""


class Binding(View, frozen=True):
    """A RoleBinding, or a ClusterRoleBinding (without a namespace)."""

    metadata: Meta = NO_META
    subjects: list[Subject] | None = None
    role_ref: RoleRef = RoleRef()


@dataclass(frozen=True, slots=True)
class Rbac:
    """All roles and bindings of a cluster."""

    cluster_roles: Sequence[Role] = ()
    roles: Sequence[Role] = ()
    cluster_role_bindings: Sequence[Binding] = ()
    role_bindings: Sequence[Binding] = ()


class Holder(NamedTuple):
    """A subject, with the namespace of a service account (empty for users and groups)."""

    kind: str
    namespace: str
    name: str


class Grant(NamedTuple):
    """One rule that a user has, and where it comes from."""

    namespace: str
    """Where it holds; empty: in the whole cluster."""
    verbs: tuple[str, ...]
    resources: tuple[str, ...]
    """`deployments.apps`, `pods/exec`, `*.*`; empty when it is about addresses."""
    names: tuple[str, ...]
    """The objects that it is limited to; empty: all."""
    urls: tuple[str, ...]
    """Addresses of the API server that are no resources."""
    binding: str
    """`ClusterRoleBinding/name` or `RoleBinding/namespace/name`."""
    role: str
    """`ClusterRole/name` or `Role/namespace/name`."""


class Access(NamedTuple):
    """What a user may do, as far as RBAC says."""

    user: str
    groups: tuple[str, ...]
    grants: tuple[Grant, ...]
    dangling: tuple[str, ...]
    """Bindings of the user whose role does not exist; they give nothing until it does."""


def is_everything(rule: Rule) -> bool:
    """Say whether `rule` allows every verb on every resource of every group."""
    parts = (rule.verbs, rule.api_groups, rule.resources)
    return all(ALL in (part or ()) for part in parts) and not rule.resource_names


def is_wide(role: Role) -> bool:
    """Say whether a rule of `role` allows every verb, or is about every resource."""
    return any(
        ALL in (rule.verbs or ()) or ALL in (rule.resources or ()) for rule in role.rules or ()
    )


def wide_roles(rbac: Rbac) -> list[Role]:
    """Return the wide roles that are not Kubernetes' own."""
    roles = (*rbac.cluster_roles, *rbac.roles)
    return [role for role in roles if not role.is_built_in and is_wide(role)]


def admins(rbac: Rbac) -> list[Holder]:
    """Return who may do everything everywhere: holders of cluster-admin, by whatever name."""
    everything = {
        role.metadata.name
        for role in rbac.cluster_roles
        if any(is_everything(rule) for rule in role.rules or ())
    }
    found = {
        Holder(subject.kind, subject.namespace, subject.name)
        for binding in rbac.cluster_role_bindings
        if binding.role_ref.name in everything
        for subject in binding.subjects or ()
    }
    return sorted(found)


def groups_of(user: str, groups: Iterable[str]) -> tuple[str, ...]:
    """Return `groups` with those that the API server adds to whoever is impersonated.

    From "User impersonation" in Kubernetes' reference on authentication: a service account named
    without groups has those of service accounts, and everyone who is not anonymous is
    authenticated.
    """
    found = dict.fromkeys(groups)
    if not found and user.startswith(f"{ACCOUNT}:"):
        found = dict.fromkeys((f"{ACCOUNT}s", f"{ACCOUNT}s:{user.split(':')[2]}"))
    if not {AUTHENTICATED, UNAUTHENTICATED} & found.keys():
        found[UNAUTHENTICATED if user == ANONYMOUS else AUTHENTICATED] = None
    return tuple(found)


def access(rbac: Rbac, user: str, groups: Sequence[str] = ()) -> Access:
    """Return what `user` may do as a member of `groups`, cluster-wide first, then by namespace.

    RBAC only adds up, so this is all that it allows; other authorizers may allow more.
    """
    member = groups_of(user, groups)
    roles = {("ClusterRole", "", role.metadata.name): role for role in rbac.cluster_roles}
    roles |= {("Role", role.metadata.namespace, role.metadata.name): role for role in rbac.roles}
    grants: list[Grant] = []
    dangling: list[str] = []
    for binding in (*rbac.cluster_role_bindings, *rbac.role_bindings):
        if not any(_is(subject, user, member, binding) for subject in binding.subjects or ()):
            continue
        reference = binding.role_ref
        where = binding.metadata.namespace if reference.kind == "Role" else ""
        role = roles.get((reference.kind, where, reference.name))
        if role is None:
            dangling.append(binding_name(binding))
        else:
            grants += _grants(binding, role)
    grants.sort(key=lambda grant: grant.namespace)
    return Access(user, member, tuple(grants), tuple(dangling))


def within(found: Access, namespace: str) -> Access:
    """Return the part of `found` that counts in `namespace`."""
    kept = tuple(grant for grant in found.grants if grant.namespace in ("", namespace))
    return found._replace(grants=kept)


def _is(subject: Subject, user: str, groups: Sequence[str], binding: Binding) -> bool:
    """Say whether `subject` is the user; an account without a namespace is none anywhere."""
    match subject.kind:
        case "User":
            return subject.name == user
        case "Group":
            return subject.name in groups
        case "ServiceAccount":
            namespace = subject.namespace or binding.metadata.namespace
            return user == f"{ACCOUNT}:{namespace}:{subject.name}"
        case _:
            return False


def _grants(binding: Binding, role: Role) -> Iterator[Grant]:
    namespace = binding.metadata.namespace
    for rule in role.rules or ():
        # An address is nothing that a namespace could hold: the API server ignores it there.
        urls = () if namespace else tuple(rule.non_resource_urls or ())
        resources = tuple(
            _resource(resource, group)
            for group in rule.api_groups or ()
            for resource in rule.resources or ()
        )
        if urls or resources:
            yield Grant(
                namespace,
                tuple(rule.verbs or ()),
                resources,
                tuple(rule.resource_names or ()),
                urls,
                binding_name(binding),
                role_name(role),
            )


def _resource(resource: str, group: str) -> str:
    """Write a resource as kubectl does: `deployments.apps/scale`."""
    name, slash, subresource = resource.partition("/")
    return f"{name}.{group}{slash}{subresource}" if group else resource


def binding_name(binding: Binding) -> str:
    """Name a binding with its kind and namespace."""
    namespace, name = binding.metadata.namespace, binding.metadata.name
    return f"RoleBinding/{namespace}/{name}" if namespace else f"ClusterRoleBinding/{name}"


def role_name(role: Role) -> str:
    """Name a role with its kind and namespace."""
    namespace, name = role.metadata.namespace, role.metadata.name
    return f"Role/{namespace}/{name}" if namespace else f"ClusterRole/{name}"


def bindings_by_namespace(rbac: Rbac) -> Mapping[str, int]:
    """Count the RoleBindings of each namespace that has one."""
    found: dict[str, int] = {}
    for binding in rbac.role_bindings:
        found[binding.metadata.namespace] = found.get(binding.metadata.namespace, 0) + 1
    return found
