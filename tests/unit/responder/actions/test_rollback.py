from exporter.shared.kube import ReplicaSet
from responder.actions.rollback import HISTORY, last_healthy, releases, restored


def replica_set(image: str, revision: int, earlier: str = "") -> ReplicaSet:
    return ReplicaSet(
        name=image,
        uid=f"uid-{image}",
        revision=revision,
        template_hash=f"hash-{image}",
        replicas=0,
        created=None,
        images=(image,),
        template=template(image, hash_label=f"hash-{image}"),
        annotations={HISTORY: earlier} if earlier else {},
    )


def template(image: str, *, hash_label: str = "") -> dict[str, object]:
    labels = {"app": "web"} | ({"pod-template-hash": hash_label} if hash_label else {})
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"image": image}]}}


def previous(running: str, *history: ReplicaSet) -> str:
    found = releases(template(running), history).goal
    return found.name if found else ""


def test_the_previous_release_is_the_one_that_ran_before() -> None:
    history = (replica_set("v3", 3), replica_set("v2", 2), replica_set("v1", 1))
    assert previous("v3", *history) == "v2"


def test_the_first_release_has_none_before_it() -> None:
    assert previous("v1", replica_set("v1", 1)) == ""


def test_a_release_that_was_rolled_back_is_never_gone_back_to() -> None:
    assert previous("v1", replica_set("v1", 3, "1"), replica_set("v2", 2)) == ""


def test_going_back_twice_goes_further_back() -> None:
    history = (replica_set("v2", 4, "2"), replica_set("v3", 3), replica_set("v1", 1))
    assert previous("v2", *history) == "v1"


def test_a_release_that_came_back_before_is_the_previous_one_of_a_newer() -> None:
    history = (replica_set("v3", 4), replica_set("v1", 3, "1"), replica_set("v2", 2))
    assert previous("v3", *history) == "v1"


def test_a_template_without_a_replica_set_yet_goes_back_to_the_newest() -> None:
    assert previous("v3", replica_set("v2", 2), replica_set("v1", 1)) == "v2"


def test_the_last_healthy_release_is_the_one_seen_healthy_last_and_not_the_newest() -> None:
    history = (replica_set("v4", 4), replica_set("v3", 3), replica_set("v2", 2))
    healthy = {"hash-v2": 1000.0, "hash-v3": 500.0, "hash-gone": 2000.0}
    found = last_healthy(history[0], history, healthy)
    assert found is not None
    assert found.name == "v2"


def test_the_running_release_is_never_the_healthy_one_to_go_back_to() -> None:
    history = (replica_set("v4", 4), replica_set("v3", 3))
    assert last_healthy(history[0], history, {"hash-v4": 1000.0}) is None


def test_annotations_come_back_as_kubectl_brings_them_but_ours_stay() -> None:
    current = {
        "kubernetes.io/change-cause": "release v2",
        "deployment.kubernetes.io/revision": "2",
        "kubectl.kubernetes.io/last-applied-configuration": "{v2}",
        "runbookd.io/act": "true",
        "added-since": "yes",
    }
    earlier = {
        "kubernetes.io/change-cause": "release v1",
        "deployment.kubernetes.io/revision": "1",
        "deployment.kubernetes.io/desired-replicas": "2",
        "kubectl.kubernetes.io/last-applied-configuration": "{v1}",
        "runbookd.io/last-action": "incident-1:1:1",
        "runbookd.io/act": "false",
    }
    assert restored(current, earlier, "incident-2:1:1") == {
        "kubernetes.io/change-cause": "release v1",
        "deployment.kubernetes.io/revision": "2",
        "kubectl.kubernetes.io/last-applied-configuration": "{v2}",
        "runbookd.io/act": "true",
        "runbookd.io/last-action": "incident-2:1:1",
    }
