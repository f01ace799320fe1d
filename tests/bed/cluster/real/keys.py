"""Who is who in the cluster: keys, tokens and the kubeconfigs that hold them."""

import json
import secrets
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.bed.cluster.real.network import Network

NODE = "node-0"
PARTS = "system:bed"
"""The user that the cluster's own parts are."""
USERS = ("admin", "responder", "exporter")
"""Users with a kubeconfig each; all but the first have no right until a test binds one."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Files and tokens of one cluster."""

    folder: Path
    server: str
    tokens: dict[str, str]
    """User → token."""

    @property
    def authority(self) -> Path:
        """Certificate that all others are signed by."""
        return self.folder / "ca.crt"

    @property
    def tokens_file(self) -> Path:
        """What the API server knows tokens by."""
        return self.folder / "tokens.csv"

    def certificate(self, name: str) -> Path:
        """Return the certificate of `apiserver`, `kubelet`, `kubelet-client` or `front-proxy`."""
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Return the key that belongs to a certificate, or `service-accounts`."""
        return self.folder / f"{name}.key"

    def write_kubeconfig(self, path: Path, user: str) -> Path:
        """Write the kubeconfig of a user with a token; only its owner can read it."""
        return self._write(path, {"token": self.tokens[user]})

    def write_node_kubeconfig(self, path: Path) -> Path:
        """Write the kubelet's kubeconfig, which is known by its certificate."""
        certificate, key = self.certificate("kubelet"), self.key("kubelet")
        return self._write(path, {"client-certificate": str(certificate), "client-key": str(key)})

    def _write(self, path: Path, user: dict[str, str]) -> Path:
        authority = b64encode(self.authority.read_bytes()).decode()
        cluster = {"server": self.server, "certificate-authority-data": authority}
        context = {"cluster": "bed", "user": "bed", "namespace": "default"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "bed", "cluster": cluster}],
            "users": [{"name": "bed", "user": user}],
            "contexts": [{"name": "bed", "context": context}],
            "current-context": "bed",
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(config, indent=1))  # JSON is YAML
        return path


def make(folder: Path, network: Network, port: int) -> Keys:
    """Make the keys of a cluster whose API server listens on the node's `port`."""
    folder.mkdir(mode=0o700)
    authority = trustme.CA(organization_name="bed")
    authority.cert_pem.write_to_path(folder / "ca.crt")
    names = ("localhost", NODE, "kubernetes.default.svc", "127.0.0.1", network.node)
    # A certificate without any name of a host is refused by Go: the extension is there, and empty.
    issued = {
        "apiserver": authority.issue_cert(*names, network.api_service),
        "kubelet": authority.issue_cert(
            *names, common_name=f"system:node:{NODE}", organization_name="system:nodes"
        ),
        "kubelet-client": authority.issue_cert(
            "apiserver", common_name="apiserver", organization_name="system:masters"
        ),
        "front-proxy": authority.issue_cert("front-proxy", common_name="front-proxy"),
        "service-accounts": authority.issue_cert("service-accounts"),
    }
    for name, certificate in issued.items():
        certificate.private_key_pem.write_to_path(folder / f"{name}.key")
        certificate.cert_chain_pems[0].write_to_path(folder / f"{name}.crt")
    tokens = {user: secrets.token_urlsafe() for user in (PARTS, *USERS)}
    keys = Keys(folder, f"https://{network.node}:{port}", tokens)
    masters = {PARTS, "admin"}
    lines = [
        f'{token},{user},{user},"system:masters"' if user in masters else f"{token},{user},{user}"
        for user, token in tokens.items()
    ]
    keys.tokens_file.write_text("\n".join(lines) + "\n")
    return keys
