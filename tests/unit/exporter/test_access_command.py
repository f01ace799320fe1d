"""How rights are printed."""

from exporter.commands.access import table
from exporter.posture.rbac import Grant


def test_each_resource_and_address_has_a_line_of_its_own() -> None:
    grants = [
        Grant(
            "",
            ("get", "list"),
            ("nodes",),
            (),
            ("/metrics",),
            "ClusterRoleBinding/a",
            "ClusterRole/b",
        ),
        Grant("shop", ("get",), ("secrets",), ("x", "y"), (), "RoleBinding/shop/c", "Role/shop/d"),
    ]
    assert table(grants) == [
        "WHERE      WHAT      ONLY  VERBS     THROUGH",
        "(cluster)  nodes     -     get list  ClusterRoleBinding/a ClusterRole/b",
        "(cluster)  /metrics  -     get list  ClusterRoleBinding/a ClusterRole/b",
        "shop       secrets   x y   get       RoleBinding/shop/c Role/shop/d",
    ]


def test_without_rights_there_is_the_heading_alone() -> None:
    assert table([]) == ["WHERE  WHAT  ONLY  VERBS  THROUGH"]
