"""Who may do what, told from roles and bindings."""

import json
from collections.abc import Sequence
from typing import TypeVar

import msgspec
import pytest

from exporter.posture.rbac import (
    Access,
    Binding,
    Holder,
    Rbac,
    Role,
    access,
    admins,
    groups_of,
    wide_roles,
    within,
)
from tests import rights
from tests.json_fields import changed, paths

T = TypeVar("T")

CLUSTER_ADMIN = rights.role("cluster-admin", rights.rule("*", "*", "*"))
CLUSTER_ADMIN["metadata"] = {
    "name": "cluster-admin",
    "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
}
MASTERS = rights.binding(
    "cluster-admin", "ClusterRole/cluster-admin", rights.group("system:masters")
)


def decoded(objects: object, kind: type[T]) -> list[T]:
    return msgspec.json.decode(json.dumps(objects), type=list[kind])  # type: ignore[valid-type]


def company() -> Rbac:
    return Rbac(
        cluster_roles=decoded([CLUSTER_ADMIN, *rights.CLUSTER_ROLES], Role),
        roles=decoded(rights.ROLES, Role),
        cluster_role_bindings=decoded([MASTERS, *rights.CLUSTER_ROLE_BINDINGS], Binding),
        role_bindings=decoded(rights.ROLE_BINDINGS, Binding),
    )


def written(found: Access) -> list[str]:
    """Write grants on a line each: where, what on what, through what."""
    return [
        f"{grant.namespace or '*'}: {' '.join(grant.verbs)}"
        f" {' '.join((*grant.resources, *grant.urls))}"
        f"{' only ' + ' '.join(grant.names) if grant.names else ''} ({grant.binding}, {grant.role})"
        for grant in found.grants
    ]


def test_holders_of_everything_are_found_under_any_role_name() -> None:
    assert admins(company()) == [
        Holder("Group", "", "ops"),
        Holder("Group", "", "system:masters"),
        Holder("ServiceAccount", "tools", "robot"),
        Holder("User", "", "root@example.com"),
    ]


def test_wide_roles_are_those_with_a_star_but_for_kubernetes_own() -> None:
    assert [role.metadata.name for role in wide_roles(company())] == ["anything", "all-verbs"]


def test_a_user_has_what_its_bindings_give_and_each_grant_tells_which() -> None:
    found = access(company(), "ann@example.com")
    assert written(found) == [
        "*: get list nodes (ClusterRoleBinding/nodes, ClusterRole/node-reader)",
        "*: get /metrics (ClusterRoleBinding/nodes, ClusterRole/node-reader)",
        (
            "shop: get list patch deployments.apps deployments.apps/scale"
            " (RoleBinding/shop/deploy, Role/shop/deployer)"
        ),
        "shop: get secrets only postgres-secret (RoleBinding/shop/deploy, Role/shop/deployer)",
    ]
    assert found.dangling == ("ClusterRoleBinding/lost",)


def test_a_cluster_role_bound_in_a_namespace_counts_there_and_gives_no_addresses() -> None:
    found = access(company(), "bob@example.com", ["developers"])
    assert written(found) == [
        "*: * deployments.apps (ClusterRoleBinding/wide, ClusterRole/all-verbs)",
        "shop: get list nodes (RoleBinding/shop/look, ClusterRole/node-reader)",
    ]
    assert written(within(found, "else")) == written(found)[:1]


@pytest.mark.parametrize(
    ("user", "bindings"),
    [
        ("system:serviceaccount:tools:robot", {"ClusterRoleBinding/robots"}),
        ("system:serviceaccount:shop:robot", set()),
        ("system:serviceaccount:shop:ci", {"RoleBinding/shop/own"}),
        ("robot", set()),
    ],
)
def test_an_account_is_told_by_its_namespace(user: str, bindings: set[str]) -> None:
    assert {grant.binding for grant in access(company(), user).grants} == bindings


@pytest.mark.parametrize(
    ("user", "given", "groups"),
    [
        ("ann", [], ["system:authenticated"]),
        ("ann", ["ops"], ["ops", "system:authenticated"]),
        ("ann", ["system:unauthenticated"], ["system:unauthenticated"]),
        ("system:anonymous", [], ["system:unauthenticated"]),
        (
            "system:serviceaccount:shop:ci",
            [],
            ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"],
        ),
        ("system:serviceaccount:shop:ci", ["ops"], ["ops", "system:authenticated"]),
    ],
)
def test_groups_that_the_api_server_adds_are_added(
    user: str, given: Sequence[str], groups: Sequence[str]
) -> None:
    assert list(groups_of(user, given)) == groups


@pytest.mark.parametrize("path", list(paths(list(rights.RIGHTS))), ids=str)
def test_any_field_may_be_missing(path: tuple[object, ...]) -> None:
    whole = changed(list(rights.RIGHTS), path)
    found = Rbac(
        decoded(whole, Role), decoded(whole, Role), decoded(whole, Binding), decoded(whole, Binding)
    )
    assert access(found, "ann@example.com", ["ops", "developers"]).grants
    assert len(admins(found)) <= len(admins(company()))
