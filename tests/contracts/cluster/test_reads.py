"""What the API server answers to lists and watches, on every form of the cluster."""

import pytest
import pytest_asyncio

from tests.bed.cluster.client import MERGE_PATCH, Client, Watch, at, items
from tests.bed.cluster.interface import Cluster
from tests.bed.cluster.probe_manifests import config_map, deployment
from tests.bed.process import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="session")

MINE = {"labelSelector": "name"}
"""Leaves out the ConfigMap that a real cluster puts into each namespace."""


def config_maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


def names(found: object) -> list[object]:
    return [at(item, "metadata.name") for item in items(found)]


@pytest_asyncio.fixture(loop_scope="session")
async def maps(api: Client, namespace: str) -> str:
    """Five ConfigMaps, `a` to `e`; returns the path of their collection."""
    for name in "abcde":
        await api.send("POST", config_maps(namespace), config_map(namespace, name))
    return config_maps(namespace)


async def touch(api: Client, path: str, value: str) -> str:
    """Change a ConfigMap; return its version."""
    patch = {"data": {"touched": value}}
    answer = await api.send("PATCH", path, patch, content_type=MERGE_PATCH)
    return str(answer.at("metadata.resourceVersion"))


async def version_of(api: Client, path: str) -> str:
    return str((await api.get(path)).at("metadata.resourceVersion"))


async def seen(watch: Watch) -> tuple[object, object]:
    event = await watch.next()
    return event["type"], at(event, "object.metadata.name")


async def test_discovery_names_what_is_served(api: Client) -> None:
    assert str((await api.get("/version")).at("gitVersion")).startswith("v1.")
    for path in ("/readyz", "/livez"):
        assert (await api.get(path)).text == "ok"
    assert "v1" in str((await api.get("/api")).at("versions"))
    groups = {group["name"] for group in items((await api.get("/apis")).body, "groups")}
    assert "apps" in groups
    core = items((await api.get("/api/v1")).body, "resources")
    assert {"pods", "services", "events", "secrets"} <= {r["name"] for r in core}
    apps = {r["name"] for r in items((await api.get("/apis/apps/v1")).body, "resources")}
    assert {"deployments", "deployments/scale", "deployments/status", "replicasets"} <= apps


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("name=a", "a"),
        ("name==a", "a"),
        ("name!=a,name", "bcde"),
        ("name in (a, c)", "ac"),
        ("name notin (a,b,c),name", "de"),
        ("!name", ""),
        ("name in (a,b),name!=b", "a"),
    ],
)
async def test_labels_select(api: Client, maps: str, selector: str, found: str) -> None:
    answer = await api.get(maps, labelSelector=selector)
    assert [name for name in names(answer.body) if name != "kube-root-ca.crt"] == list(found)


async def test_a_selector_that_cannot_be_read_is_refused(api: Client, maps: str) -> None:
    for query in ({"labelSelector": "a=b=c"}, {"fieldSelector": "spec.colour=red"}):
        answer = await api.get(maps, **query)
        assert (answer.status, answer.at("reason")) == (400, "BadRequest")


async def test_fields_select(cluster: Cluster, api: Client, namespace: str) -> None:
    await cluster.apply(deployment(namespace, replicas=1))
    pods = f"/api/v1/namespaces/{namespace}/pods"

    async def running() -> bool:
        found = await api.get(pods, fieldSelector="status.phase=Running,spec.nodeName!=")
        return len(items(found.body)) == 1

    await wait_until(running, 10, "one running pod")
    assert not items((await api.get(pods, fieldSelector="status.phase!=Running")).body)
    everywhere = await api.get(
        "/apis/apps/v1/deployments", fieldSelector=f"metadata.namespace={namespace}"
    )
    assert names(everywhere.body) == ["probe"]


async def test_pages_show_the_moment_of_the_first(api: Client, maps: str) -> None:
    first = await api.get(maps, limit="2", **MINE)
    assert names(first.body) == ["a", "b"]
    await api.send("DELETE", f"{maps}/d")
    second = await api.get(
        maps, limit="2", **MINE, **{"continue": str(first.at("metadata.continue"))}
    )
    assert names(second.body) == ["c", "d"]
    version = "metadata.resourceVersion"
    assert second.at(version) == first.at(version)
    token = str(second.at("metadata.continue"))
    third = await api.get(maps, limit="2", **MINE, **{"continue": token})
    assert names(third.body) == ["e"]
    assert not third.at("metadata.continue")


async def test_a_page_whose_moment_is_forgotten_is_gone(
    cluster: Cluster, api: Client, maps: str
) -> None:
    first = await api.get(maps, limit="2", **MINE)
    await touch(api, f"{maps}/a", "1")
    await cluster.compact()
    token = str(first.at("metadata.continue"))
    answer = await api.get(maps, limit="2", **MINE, **{"continue": token})
    assert (answer.status, answer.at("reason")) == (410, "Expired")


async def test_a_watch_tells_what_came_after_its_version(api: Client, maps: str) -> None:
    version = await version_of(api, maps)
    body = config_map(maps.split("/")[4], "f")
    async with api.watch(maps, resourceVersion=version, **MINE) as watch:
        await api.send("POST", maps, body)
        newest = await touch(api, f"{maps}/f", "1")
        await api.send("DELETE", f"{maps}/f")
        assert await seen(watch) == ("ADDED", "f")
        modified = await watch.next()
        assert (modified["type"], at(modified, "object.metadata.resourceVersion")) == (
            "MODIFIED",
            newest,
        )
        deleted = await watch.next()
        assert deleted["type"] == "DELETED"
        assert int(str(at(deleted, "object.metadata.resourceVersion"))) > int(newest)


async def test_a_watch_with_a_selector_sees_objects_come_and_go(api: Client, maps: str) -> None:
    version = await version_of(api, maps)
    query = {"labelSelector": "colour=red", "resourceVersion": version}
    async with api.watch(maps, **query) as watch:
        for colour in ("red", "blue"):
            labels = {"metadata": {"labels": {"colour": colour}}}
            await api.send("PATCH", f"{maps}/a", labels, content_type=MERGE_PATCH)
        assert await seen(watch) == ("ADDED", "a")
        assert await seen(watch) == ("DELETED", "a")


async def test_a_watch_without_version_begins_with_what_is_there(api: Client, maps: str) -> None:
    async with api.watch(maps, **MINE) as watch:
        assert [await seen(watch) for _ in "abcde"] == [("ADDED", name) for name in "abcde"]


async def test_a_watch_list_ends_its_initial_events_with_a_marked_bookmark(
    api: Client, maps: str
) -> None:
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    async with api.watch(maps, **query, **MINE) as watch:
        *initial, end = await watch.until("BOOKMARK")
        assert sorted(str(at(event, "object.metadata.name")) for event in initial) == list("abcde")
        metadata = at(end, "object.metadata")
        assert isinstance(metadata, dict)
        assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert not metadata.get("name")
        await touch(api, f"{maps}/c", "1")
        assert await seen(watch) == ("MODIFIED", "c")


async def test_a_watch_list_needs_its_match(api: Client, maps: str) -> None:
    answer = await api.get(maps, watch="true", sendInitialEvents="true")
    assert (answer.status, answer.at("reason")) == (422, "Invalid")


async def test_a_quiet_watch_gets_a_bookmark_and_ends_in_time(api: Client, maps: str) -> None:
    version = await version_of(api, maps)
    # It comes two seconds before the end, if the watch was under way by then.
    query = {"resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": "8"}
    async with api.watch(maps, **query, **MINE) as watch:
        [bookmark] = await watch.until("BOOKMARK")
        assert int(str(at(bookmark, "object.metadata.resourceVersion"))) >= int(version)
        with pytest.raises(EOFError):
            await watch.until("no such event")


async def test_a_watch_from_a_forgotten_version_is_told_so(
    cluster: Cluster, api: Client, maps: str
) -> None:
    version = await version_of(api, maps)
    await touch(api, f"{maps}/a", "1")
    await cluster.compact()
    async with api.watch(maps, resourceVersion=version, **MINE) as watch:
        event = await watch.next()
    assert event["type"] == "ERROR"
    assert (at(event, "object.code"), at(event, "object.reason")) == (410, "Expired")
    version = await version_of(api, maps)
    async with api.watch(maps, resourceVersion=version, **MINE) as watch:
        await touch(api, f"{maps}/a", "2")
        assert await seen(watch) == ("MODIFIED", "a")
