"""The responder behind Prometheus' web configuration file: TLS and client certificates."""

import ssl
import sys
from pathlib import Path

import aiohttp
import trustme
import yaml

from tests.bed.process import Process, free_port

POLICY = "version: 1\nrunbooks: []\nescalation: {default: [{after: 0m, notify: [oncall]}]}\n"

NO_CLUSTER = {
    "current-context": "none",
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
    "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "none", "user": {}}],
}


async def test_the_webhook_can_ask_for_a_client_certificate(tmp_path: Path) -> None:
    ca = trustme.CA()
    server, client = ca.issue_cert("127.0.0.1"), ca.issue_cert("alertmanager.example")
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    server.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    tls = {
        "cert_file": "server.pem",
        "key_file": "server.pem",
        "client_ca_file": "ca.pem",
        "client_auth_type": "RequireAndVerifyClientCert",
    }
    (tmp_path / "web.yml").write_text(yaml.safe_dump({"tls_server_config": tls}))
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "token").write_text("hunter2")
    port = free_port()
    settings = {
        "listen": {"port": port, "web_config_file": str(tmp_path / "web.yml")},
        "data_dir": str(tmp_path / "data"),
        "kubeconfig": str(tmp_path / "kubeconfig"),
        "policies": str(tmp_path / "policy.yaml"),
        "auth": {"tokens": [{"name": "am", "role": "viewer", "token_file": f"{tmp_path}/token"}]},
        "receivers": {"oncall": {"webhook": {"url": "http://127.0.0.1:1/"}}},
    }
    (tmp_path / "data").mkdir()
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(NO_CLUSTER))
    (tmp_path / "responder.yaml").write_text(yaml.safe_dump(settings))

    async def healthy(context: ssl.SSLContext) -> bool:
        url = f"https://127.0.0.1:{port}/healthz"
        try:
            async with aiohttp.ClientSession() as session, session.get(url, ssl=context) as answer:
                return answer.ok
        except aiohttp.ClientError:
            return False

    def trusting(certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        ca.configure_trust(context)
        if certificate is not None:
            certificate.configure_cert(context)
        return context

    async def ready() -> bool:
        return await healthy(trusting(client))

    argv = [
        sys.executable,
        "-m",
        "responder",
        "serve",
        "--config",
        str(tmp_path / "responder.yaml"),
    ]
    log = tmp_path / "responder.log"
    async with await Process.start(argv, log=log, name="responder", ready=ready):
        assert not await healthy(trusting())
