"""The shipped configuration, with the bed's addresses, every duration divided by one factor."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import yaml

from tests.bed.timefactor import scale_duration, scale_yaml

HOME = Path(__file__).resolve().parents[2]
SCRAPE_INTERVAL = "15s"
"""Prometheus' scrape and evaluation interval, before it is divided."""

Document = dict[str, object]


@dataclass
class Places:
    """Where everything is."""

    root: Path
    kubeconfig: Path
    exporter_port: int
    responder_port: int
    probe_url: str
    postgres_dsn: str
    pager_url: str
    mail_port: int
    prometheus_url: str = "http://127.0.0.1:1"
    alertmanager_url: str = ""
    """Whose API the responder asks; empty: nobody's."""
    responder_host: str = "127.0.0.1"
    mail_host: str = "127.0.0.1"
    store_dsn: str = ""
    """Where responders keep their state together; by default one keeps it in files of its own."""
    store_lease: timedelta = timedelta(seconds=15)
    """How long one of them may be silent before its work is taken over: the shipped default."""
    tokens: dict[str, str] = field(default_factory=dict)

    def set_prometheus(self, url: str) -> None:
        """Say where Prometheus came to listen."""
        self.prometheus_url = url

    def token(self, name: str) -> str:
        """Return the secret of a token, made when first asked for."""
        return self.tokens.setdefault(name, secrets.token_hex(16))

    def token_file(self, name: str) -> Path:
        """Return the file that holds a token."""
        path = self.root / f"{name}-token"
        path.write_text(self.token(name))
        return path


@dataclass(frozen=True)
class Files:
    """The configuration as the programs read it."""

    exporter: Path
    responder: Path
    alertmanager: Path
    rules: list[Path]
    policies: Path
    scrape_interval: str


def write_configuration(places: Places, *, factor: float, policies: Path | None = None) -> Files:
    """Write every file; safe to repeat when an address has become known."""
    config = places.root / "config"
    for folder in ("rules", "policies"):
        (config / folder).mkdir(parents=True, exist_ok=True)
    rules = []
    for source in sorted((HOME / "rules").glob("recording/*.yaml")) + sorted(
        (HOME / "rules").glob("alerts/*.yaml")
    ):
        target = config / "rules" / f"{source.parent.name}-{source.name}"
        target.write_text(scale_yaml(source.read_text(), factor))
        rules.append(target)
    for source in sorted((policies or HOME / "rules" / "policies").glob("*.yaml")):
        scaled = scale_yaml(source.read_text(), factor)
        (config / "policies" / source.name).write_text(scaled)

    def write(name: str, source: Path, fill: Callable[[Document], None]) -> Path:
        document = yaml.safe_load(scale_yaml(source.read_text(), factor))
        fill(document)
        (config / name).write_text(yaml.safe_dump(document, sort_keys=False))
        return config / name

    return Files(
        exporter=write("exporter.yaml", HOME / "exporter/example.yaml", _exporter(places)),
        responder=write("responder.yaml", HOME / "responder/example.yaml", _responder(places)),
        alertmanager=write(
            "alertmanager.yaml", HOME / "rules/alertmanager.yaml", _alertmanager(places)
        ),
        rules=rules,
        policies=config / "policies",
        scrape_interval=scale_duration(SCRAPE_INTERVAL, factor),
    )


def write_policies(root: Path, change: Callable[[str], str]) -> Path:
    """Write the shipped policies with a change of their text into a folder, and return it."""
    folder = root / "scenario-policies"
    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted((HOME / "rules" / "policies").glob("*.yaml")):
        (folder / source.name).write_text(change(source.read_text()))
    return folder


def _exporter(places: Places) -> Callable[[Document], None]:
    def fill(document: Document) -> None:
        document["listen"] = {"address": "127.0.0.1", "port": places.exporter_port}
        document["kubeconfig"] = str(places.kubeconfig)
        collectors = document["collectors"]
        assert isinstance(collectors, dict)
        collectors["usage"]["enabled"] = False  # the simulated cluster measures nothing
        collectors["kubernetes"]["dns_names"] = ["localhost"]
        [probe] = collectors["http_probe"]["targets"]
        probe["url"] = f"{places.probe_url}/health"
        for asked in (probe, collectors["app_metrics"]):
            asked["timeout"] = asked["interval"]  # time passes faster here, answers do not come so
        collectors["security"]["enabled"] = False  # the simulation knows no rights and no TLS
        collectors["postgres"]["databases"] = [{"name": "taskmanager", "dsn": places.postgres_dsn}]
        # They would need the application's own database, which scenarios take away from it: each
        # query would then have an incident beside the application's.
        collectors["sql_kpi"]["enabled"] = False

    return fill


def _responder(places: Places) -> Callable[[Document], None]:
    def fill(document: Document) -> None:
        document["listen"] = {"address": "127.0.0.1", "port": places.responder_port}
        document["kubeconfig"] = str(places.kubeconfig)
        document["data_dir"] = str(places.root / "responder")
        document["prometheus"] = places.prometheus_url
        document["alertmanagers"] = [places.alertmanager_url] if places.alertmanager_url else []
        dsn_file = places.root / "taskmanager-dsn"
        dsn_file.write_text(places.postgres_dsn)
        document["databases"] = [{"name": "taskmanager", "dsn_file": str(dsn_file)}]
        document["policies"] = str(places.root / "config" / "policies")
        document["guides"] = str(HOME / "rules" / "guides")
        if places.store_dsn:
            dsn_file = places.root / "store-dsn"
            dsn_file.write_text(places.store_dsn)
            lease = f"{places.store_lease.total_seconds():g}s"
            document["store"] = {"dsn_file": str(dsn_file), "lease": lease}
        document["public_url"] = f"http://127.0.0.1:{places.responder_port}"
        auth, receivers = document["auth"], document["receivers"]
        assert isinstance(auth, dict)
        assert isinstance(receivers, dict)
        for token in auth["tokens"]:
            token["token_file"] = str(places.token_file(token["name"]))
        for name, receiver in receivers.items():
            if "webhook" in receiver:
                receiver["webhook"]["url"] = f"{places.pager_url}/{name}"
            else:
                # The sink has no certificate.
                sink = {"host": places.mail_host, "port": places.mail_port, "starttls": False}
                receiver["email"] |= sink

    return fill


def _alertmanager(places: Places) -> Callable[[Document], None]:
    def fill(document: Document) -> None:
        receivers = document["receivers"]
        assert isinstance(receivers, list)
        hook = receivers[0]["webhook_configs"][0]
        hook["url"] = f"http://{places.responder_host}:{places.responder_port}/api/v1/alerts"
        credentials = {"type": "Bearer", "credentials_file": str(places.token_file("alertmanager"))}
        hook["http_config"]["authorization"] = credentials

    return fill
