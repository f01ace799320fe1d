"""The connection to the API server over a real socket."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from exporter.shared.errors import NotFoundError, PermanentError, TransientError
from exporter.shared.kube_client import KubeConnection
from tests.bed.process import free_port
from tests.bed.scripted_api import Answer, ScriptedApi, refusal

SOON = timedelta(seconds=5)
AGENT = "runbookd-test"


async def test_a_request_carries_query_token_and_agent_and_returns_the_body(tmp_path: Path) -> None:
    async with ScriptedApi.start() as api:
        api.script.append(Answer(b'{"items": []}'))
        connection = await KubeConnection.open(api.kubeconfig(tmp_path), user_agent=AGENT)
        query = {"labelSelector": "app=task-manager,tier in (a,b)"}
        assert await connection.request("GET", "/x", query=query, deadline=SOON) == b'{"items": []}'
        await connection.close()
        (asked,) = api.asked
        assert asked.query == query
        assert asked.headers["Authorization"] == "Bearer t0"
        assert asked.headers["User-Agent"] == AGENT
        assert asked.headers["Accept-Encoding"] == "identity"


async def test_metadata_alone_is_asked_for_by_its_own_media_type(tmp_path: Path) -> None:
    async with ScriptedApi.start() as api:
        api.script.append(Answer(b'{"items": []}'))
        connection = KubeConnection(api.kubeconfig(tmp_path), user_agent=AGENT)
        await connection.metadata("/api/v1/secrets", query={"limit": "1"}, deadline=SOON)
        await connection.close()
        (asked,) = api.asked
        assert asked.query == {"limit": "1"}
        kind = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        assert asked.headers["Accept"] == kind


async def test_a_body_arrives_as_it_was_given(tmp_path: Path) -> None:
    async with ScriptedApi.start() as api:
        api.script.append(Answer(b"{}"))
        connection = KubeConnection(api.kubeconfig(tmp_path), user_agent=AGENT)
        patch = {"spec": {"replicas": 3}, "text": "ä"}
        await connection.request(
            "PATCH",
            "/x",
            body=json.dumps(patch).encode(),
            content_type="application/strategic-merge-patch+json",
            deadline=SOON,
        )
        await connection.close()
        (asked,) = api.asked
        assert json.loads(asked.body) == patch
        assert asked.headers["Content-Type"] == "application/strategic-merge-patch+json"


async def test_old_credentials_are_read_again_once(tmp_path: Path) -> None:
    async with ScriptedApi.start() as api:
        path = api.kubeconfig(tmp_path)
        connection = await KubeConnection.open(path, user_agent=AGENT)
        path.write_text(path.read_text().replace('"t0"', '"t1"'))
        api.script.extend([refusal(401), Answer(b"in"), refusal(401), refusal(401)])
        assert await connection.request("GET", "/x", deadline=SOON) == b"in"
        assert api.asked[1].headers["Authorization"] == "Bearer t1"
        with pytest.raises(PermanentError, match="401"):
            await connection.request("GET", "/x", deadline=SOON)
        await connection.close()


async def test_a_missing_object_is_told_apart(tmp_path: Path) -> None:
    async with ScriptedApi.start() as api:
        api.script.append(refusal(404, 'pods "x" not found'))
        connection = KubeConnection(api.kubeconfig(tmp_path), user_agent=AGENT)
        with pytest.raises(NotFoundError, match='pods "x" not found'):
            await connection.request("GET", "/x", deadline=SOON)
        await connection.close()


async def test_an_answer_is_returned_with_whatever_status_it_has(tmp_path: Path) -> None:
    async with ScriptedApi.start() as api:
        path = api.kubeconfig(tmp_path)
        connection = await KubeConnection.open(path, user_agent=AGENT)
        path.write_text(path.read_text().replace('"t0"', '"t1"'))
        api.script.extend([refusal(401), Answer(b"[-]etcd failed", status=500)])
        assert await connection.ask("/readyz?verbose", deadline=SOON) == (500, b"[-]etcd failed")
        assert api.asked[1].headers["Authorization"] == "Bearer t1"
        assert api.asked[1].query == {"verbose": ""}
        api.script.append(Answer(b"half", then="abort"))
        with pytest.raises(TransientError, match="/readyz"):
            await connection.ask("/readyz", deadline=SOON)
        await connection.close()


@pytest.mark.parametrize("then", ["hold", "abort"])
async def test_an_answer_that_never_ends_or_breaks_is_transient(tmp_path: Path, then: str) -> None:
    async with ScriptedApi.start() as api:
        api.script.append(Answer(b"half", then="hold" if then == "hold" else "abort"))
        connection = await KubeConnection.open(api.kubeconfig(tmp_path), user_agent=AGENT)
        with pytest.raises(TransientError):
            await connection.request("GET", "/x", deadline=timedelta(seconds=0.3))
        await connection.close()


async def test_a_server_that_is_away_is_transient(tmp_path: Path) -> None:
    async with ScriptedApi.start() as api:
        path = api.kubeconfig(tmp_path)
        path.write_text(path.read_text().replace(api.url, f"http://127.0.0.1:{free_port()}"))
    connection = KubeConnection(path, user_agent=AGENT)
    with pytest.raises(TransientError):
        await connection.request("GET", "/x", deadline=SOON)
    with pytest.raises(TransientError):
        await connection.stream("/x")
    await connection.close()


async def test_no_configuration_is_permanent(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="no way to the API server"):
        await KubeConnection.open(tmp_path / "missing", user_agent=AGENT)
