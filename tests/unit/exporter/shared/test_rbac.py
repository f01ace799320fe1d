from exporter.shared.rbac import rules, verbs_of


def test_resources_of_one_group_with_the_same_verbs_stand_in_one_rule() -> None:
    asked = ("apps/statefulsets:get,patch", "apps/deployments:patch", "apps/deployments:get")
    assert rules(verbs_of((*asked, "core/pods/log:get"))) == [
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {
            "apiGroups": ["apps"],
            "resources": ["deployments", "statefulsets"],
            "verbs": ["get", "patch"],
        },
    ]


def test_a_path_that_is_no_resource_is_allowed_as_one() -> None:
    assert rules(verbs_of(("/readyz:get", "/version:get"))) == [
        {"nonResourceURLs": ["/readyz", "/version"], "verbs": ["get"]}
    ]
