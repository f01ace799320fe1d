"""The responder's settings: one YAML file, overridden by `RESPONDER__SECTION__KEY` variables."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, JsonValue

from exporter.shared.config import Duration, SecretFile, Section
from exporter.shared.errors import RunbookdError

Role = Literal["alertmanager", "viewer", "operator", "admin"]
"""`alertmanager` may deliver alerts and nothing else; `operator` may all that `viewer` may, and
`admin` all that `operator` may."""


class Listen(Section):
    """Where the HTTP server listens."""

    address: str = "0.0.0.0"  # noqa: S104 - a pod serves its Service; auth is never off by default
    """Address to bind."""
    port: int = Field(default=9843, ge=0, le=65535)
    """Port to bind; 0 takes a free one and logs it."""
    web_config_file: Path | None = None
    """Prometheus' web configuration file: TLS, client certificates, headers, rate. It is followed
    while the responder runs; users have no place in it, `auth` is for them."""


def _of_a_person(name: str) -> str:
    if name in ("alert", "undo", "runbookd"):
        raise ValueError(f"{name!r} stands for the machine; choose another name")
    return name


def _of_http(url: str) -> str:
    if not _is_base(url):
        raise ValueError(f"{url!r} is no address like http://alertmanager:9093")
    return url.rstrip("/")


def _is_base(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(
            parts.scheme in ("http", "https")
            and parts.hostname
            and parts.port != 0
            and not (parts.query or parts.fragment)
        )
    except ValueError:  # a port that is no number, a bracket that is not closed
        return False


HttpUrl = Annotated[str, AfterValidator(_of_http)]
"""The base of an HTTP API, without a slash at its end."""


class Token(Section):
    """A bearer token; its name goes to the timeline."""

    name: Annotated[str, AfterValidator(_of_a_person)]
    """Not `alert`, `undo` or `runbookd`: those stand for the machine on the timeline."""
    role: Role
    token_file: Path
    """Read again when it changes, so that a rotated secret needs no restart."""


class BasicUser(Section):
    """A basic-auth user, for Alertmanagers that cannot send bearer tokens."""

    username: Annotated[str, AfterValidator(_of_a_person)]
    role: Role
    password_file: Path


class Auth(Section):
    """Who may call. None at all: `serve` refuses to start (but for --insecure-loopback)."""

    tokens: tuple[Token, ...] = ()
    basic: tuple[BasicUser, ...] = ()


class Console(Section):
    """The pages for people."""

    session: Duration = timedelta(hours=12)
    """How long a login lasts: a shift. It ends before when its token is changed or removed."""


class Intake(Section):
    """Bounds of the webhook."""

    max_body_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)
    """Larger bodies get 413 and a dead letter with their first 64 KiB."""
    queue: int = Field(default=1000, ge=1)
    """Deliveries waiting for a commit; beyond it the answer is 503."""


class Engine(Section):
    """The pace of background work."""

    audit_interval: Duration = timedelta(seconds=10)
    """How often the auditor looks for incidents and runs that nobody works on."""
    reconcile_interval: Duration = timedelta(minutes=1)
    """How often the leading replica compares what is open here with what the Alertmanagers list."""
    stuck_after: Duration = timedelta(minutes=1)
    """How long an inbox row or a message may wait before the auditor pages."""
    shutdown: Duration = timedelta(seconds=6)
    """How long steps in flight may take to finish at shutdown; what does not is done again."""


class Store(Section):
    """Where incidents, runs and messages are kept."""

    dsn_file: SecretFile | None = None
    """Holds the connection string (`postgresql://…`) of a database that replicas share; it needs
    `alert-responder migrate` first. None: SQLite files in `data_dir`, for one process alone."""
    lease: Duration = timedelta(seconds=15)
    """How long a replica may be silent before the others take it for dead and go on in its place.
    Shorter is sooner, and takes more pauses of a busy machine for death."""


class Retention(Section):
    """How long what is over is kept. What is open, waits or still counts is never deleted."""

    incidents: Duration = Field(default=timedelta(days=400), ge=timedelta(days=7))
    """Closed incidents, each whole: episodes, runs, steps, timeline, evidence, messages. A year and
    a month, so that last year's peak can be looked up before this year's. At least 7d: Alertmanager
    remembers for five days what it told, and may tell it again."""
    deliveries: Duration = Field(default=timedelta(days=14), ge=timedelta(hours=1))
    """Webhook bodies that were worked on, dead letters, and the engine's record of finished
    workflows: what explains a delivery, for as long as somebody may be on holiday."""


class WatchedDatabase(Section):
    """A PostgreSQL server whose sessions belong into the evidence."""

    name: str
    """As in the alerts' `database` label."""
    dsn_file: Path
    """Holds a connection string; a role with `pg_read_all_stats` sees every session."""


class ResponderSettings(Section):
    """All settings of `alert-responder serve`."""

    listen: Listen = Listen()
    cluster: str = "default"
    """Name of the one cluster served; alerts labelled with another are dead-lettered."""
    data_dir: Path = Path("/var/lib/runbookd")
    """Holds the SQLite files: `responder.db` (own tables) and `engine.db`."""
    store: Store = Store()
    kubeconfig: Path | None = None
    """By default the pod's service account, else the user's kubeconfig."""
    prometheus: str = "http://127.0.0.1:9090"
    """Base URL of the Prometheus that verifications query."""
    alertmanagers: tuple[HttpUrl, ...] = ()
    """Base URLs of all Alertmanagers that deliver here, each peer by itself. Their API is asked for
    what a webhook left out (`max_alerts`), for what none told of, and for what is over without a
    word. Nothing that fires is learned for a receiver of whom no webhook came within a week. None:
    what is cut off is counted, and people are told that it opened no incident."""
    databases: tuple[WatchedDatabase, ...] = ()
    """Servers whose activity is read as evidence."""
    policies: Path
    """One policy file or a folder of them."""
    guides: Path | None = None
    """Folder of guide pages, served at /guides/<AlertName>."""
    public_url: str = "http://127.0.0.1:9843"
    """How people reach this server; links in messages start with it."""
    auth: Auth = Auth()
    console: Console = Console()
    intake: Intake = Intake()
    engine: Engine = Engine()
    retention: Retention = Retention()
    receivers: dict[str, dict[str, dict[str, JsonValue]]] = Field(default_factory=dict)
    """`name: {notifier: {settings}}`; policies name them, secrets stand in files."""

    @property
    def store_url(self) -> str:
        """Return the URL of the responder's own tables. Raises RunbookdError."""
        if self.store.dsn_file is None:
            return f"sqlite:///{self.data_dir / 'responder.db'}"
        try:
            dsn = self.store.dsn_file.read_text().strip()
        except OSError as error:
            raise RunbookdError(f"store.dsn_file cannot be read: {error}") from error
        if not dsn.startswith(("postgresql://", "postgres://")):
            raise RunbookdError(f"{self.store.dsn_file} holds no postgresql://… string")
        return dsn

    @property
    def engine_path(self) -> Path:
        """Return the path of the engine's SQLite file."""
        return self.data_dir / "engine.db"
