"""Prometheus' web configuration file is read as exporter-toolkit reads it, or refused in words."""

import ssl
from pathlib import Path

import pytest
import trustme

from exporter.shared.config import ConfigError
from exporter.shared.web_config import WebConfig
from exporter.shared.web_guard import WebGuard
from tests.fake_clients import FakeClock

HASH = "$2y$04$qfN1Q9CGjMk4YTkW7dyqYOJUcpgyVdewB11ap8bImjtlFYem5jGVO"

EVERYTHING = f"""
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
  client_allowed_sans: [prometheus.example]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
  curve_preferences: [CurveP256]
http_server_config:
  http2: true
  headers:
    Content-Security-Policy: default-src 'self'
    X-Frame-Options: deny
    X-Content-Type-Options: nosniff
    X-XSS-Protection: "0"
    Strict-Transport-Security: max-age=31536000
basic_auth_users:
  prometheus: {HASH}
rate_limit: {{interval: 10ms, burst: 20}}
"""

CA = trustme.CA()
SERVER = CA.issue_cert("127.0.0.1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    SERVER.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    SERVER.private_key_pem.write_to_path(tmp_path / "server.key")
    return tmp_path


def read(folder: Path, text: str) -> WebConfig:
    (folder / "web.yml").write_text(text)
    return WebConfig.read(folder / "web.yml")


def problem(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as error:
        read(folder, text)
    [found] = error.value.problems
    return str(found).removeprefix(f"{folder}/")


def test_every_field_of_the_format_is_known_and_files_are_beside_the_file(folder: Path) -> None:
    config = read(folder, EVERYTHING)
    assert config.tls is not None
    assert config.tls.verify_mode is ssl.CERT_REQUIRED
    assert config.tls.minimum_version is ssl.TLSVersion.TLSv1_2
    older = [each["name"] for each in config.tls.get_ciphers() if each["protocol"] != "TLSv1.3"]
    assert older == ["ECDHE-RSA-AES128-GCM-SHA256"]
    assert [path.name for path in config.watched] == [
        *("web.yml", "server.pem", "server.key", "ca.pem"),
    ]
    assert HASH not in repr(config)


def test_an_empty_file_is_plain_http_without_users(folder: Path) -> None:
    config = read(folder, "")
    assert (config.tls, config.file.basic_auth_users) == (None, {})


def test_certificates_may_stand_in_the_file_itself(folder: Path) -> None:
    def text(name: str, pem: bytes) -> str:
        lines = "\n".join(f"    {line}" for line in pem.decode().splitlines())
        return f"  {name}: |\n{lines}\n"

    config = read(
        folder,
        "tls_server_config:\n  client_auth_type: VerifyClientCertIfGiven\n"
        + text("cert", SERVER.cert_chain_pems[0].bytes())
        + text("key", SERVER.private_key_pem.bytes())
        + text("client_ca", CA.cert_pem.bytes()),
    )
    assert config.tls is not None
    assert config.tls.verify_mode is ssl.CERT_OPTIONAL
    assert "PRIVATE" not in repr(config)


TLS = "tls_server_config: {{cert_file: server.pem, key_file: server.key, {}}}".format


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tls_server_confg: {}", "web.yml:1:1: tls_server_confg is not a setting; did you mean"),
        ("tls_server_config: {cert_file: server.pem}", "one of key and key_file"),
        (TLS("cert: x"), "one of cert and cert_file"),
        (TLS("client_ca_file: ca.pem"), "need each other"),
        (TLS("client_auth_type: RequireAndVerifyClientCert"), "need each other"),
        (TLS("client_auth_type: RequireAnyClientCert"), "use RequireAndVerifyClientCert"),
        (TLS("client_auth_type: Whatever"), "'Whatever' is not one of NoClientCert"),
        (TLS("client_allowed_sans: [a]"), "wants client_auth_type RequireAndVerifyClientCert"),
        (TLS("min_version: TLS10"), '"TLS10" is not one of TLS12, TLS13'),
        (TLS("cipher_suites: [RC4]"), "'RC4' is not one of TLS_ECDHE_ECDSA"),
        (TLS("curve_preferences: [X25519, CurveP256]"), "name one curve, or none"),
        (TLS("curve_preferences: [Other]"), "'Other' is not one of CurveP256"),
        ("tls_server_config: {cert_file: no.pem, key_file: server.key}", "cannot be set up"),
        ("tls_server_config: {cert_file: ca.pem, key_file: server.key}", "cannot be set up"),
        ("basic_auth_users: {me: secret}", "the password of me is no bcrypt hash"),
        ("http_server_config: {headers: {Server: x}}", "Server cannot be set; these can"),
        ("http_server_config: {headers: {X-Frame-Options: allow}}", "one of deny, sameorigin"),
        ("rate_limit: {burst: 0}", "greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(folder: Path, text: str, told: str) -> None:
    assert told in problem(folder, text)
    assert "secret" not in problem(folder, text)


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(folder: Path) -> None:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - trustme brings it

    key = serialization.load_pem_private_key(SERVER.private_key_pem.bytes(), None)
    sealed = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hunter2"),
    )
    (folder / "server.key").write_bytes(sealed)
    told = problem(folder, "tls_server_config: {cert_file: server.pem, key_file: server.key}")
    assert "the key is encrypted" in told


def test_a_server_with_users_of_its_own_takes_none(folder: Path) -> None:
    (folder / "web.yml").write_text(f"basic_auth_users: {{me: {HASH}}}")
    assert WebGuard(folder / "web.yml", FakeClock()).config.file.basic_auth_users
    with pytest.raises(ConfigError, match="has no place here"):
        WebGuard(folder / "web.yml", FakeClock(), users=False)
