"""Roles and bindings of a small company, as YAML-like objects: good ones and careless ones."""

from collections.abc import Sequence

Object = dict[str, object]

VERSION = "rbac.authorization.k8s.io/v1"


def role(name: str, *rules: Object, namespace: str = "") -> Object:
    """Return a Role, or a ClusterRole where no namespace is given."""
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    kind = "Role" if namespace else "ClusterRole"
    return {"apiVersion": VERSION, "kind": kind, "metadata": metadata, "rules": list(rules)}


def binding(name: str, of: str, *subjects: Object, namespace: str = "") -> Object:
    """Return a binding of `of` (`ClusterRole/view`) to `subjects`."""
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    kind, _, role_name = of.partition("/")
    return {
        "apiVersion": VERSION,
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role_name},
        "subjects": list(subjects),
    }


def user(name: str) -> Object:
    return {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name}


def group(name: str) -> Object:
    return {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": name}


def account(name: str, namespace: str) -> Object:
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def rule(verbs: str, group_: str, resources: str, *names: str) -> Object:
    """Return a rule; verbs and resources are words in a text."""
    found: Object = {
        "verbs": verbs.split(),
        "apiGroups": [group_],
        "resources": resources.split(),
    }
    return found | ({"resourceNames": list(names)} if names else {})


CLUSTER_ROLES: Sequence[Object] = (
    role("anything", rule("*", "*", "*")),
    role(
        "node-reader",
        rule("get list", "", "nodes"),
        {"verbs": ["get"], "nonResourceURLs": ["/metrics"]},
    ),
    role("all-verbs", rule("*", "apps", "deployments")),
)
ROLES: Sequence[Object] = (
    role(
        "deployer",
        rule("get list patch", "apps", "deployments deployments/scale"),
        rule("get", "", "secrets", "postgres-secret"),
        namespace="shop",
    ),
)
CLUSTER_ROLE_BINDINGS: Sequence[Object] = (
    binding("root", "ClusterRole/cluster-admin", user("root@example.com")),
    binding("robots", "ClusterRole/anything", account("robot", "tools"), group("ops")),
    binding("nodes", "ClusterRole/node-reader", user("ann@example.com")),
    binding("wide", "ClusterRole/all-verbs", group("developers")),
    binding("lost", "ClusterRole/is-not-there", user("ann@example.com")),
)
ROLE_BINDINGS: Sequence[Object] = (
    binding("deploy", "Role/deployer", user("ann@example.com"), namespace="shop"),
    binding("look", "ClusterRole/node-reader", group("developers"), namespace="shop"),
    # An account without a namespace is one of the binding's own.
    binding("own", "Role/deployer", {"kind": "ServiceAccount", "name": "ci"}, namespace="shop"),
)
RIGHTS = (*CLUSTER_ROLES, *ROLES, *CLUSTER_ROLE_BINDINGS, *ROLE_BINDINGS)
