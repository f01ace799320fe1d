"""The composition root: settings → store → gateways → engine → web server, torn down in reverse."""

import asyncio
import os
import socket
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from ssl import SSLContext

from aiohttp import web

from exporter.shared.clock import SystemClock
from exporter.shared.config import (
    ConfigError,
    Problem,
    Section,
    format_duration,
    load_document,
    nearest,
    validate,
)
from exporter.shared.errors import RunbookdError
from exporter.shared.http import Server
from exporter.shared.log import get_log, set_up_log
from exporter.shared.plugins import discover
from exporter.shared.tasks import Teardown, stop_signal, teardown
from exporter.shared.web_guard import WebGuard
from exporter.shared.yaml_positions import Document, problem
from responder import actions, notifiers
from responder.contract import ActionSpec, NotifierSpec
from responder.domain.dead_letter import Unusable
from responder.domain.policy import Policy
from responder.domain.values import JsonObject, Labels
from responder.engine import dead_letters
from responder.engine.engine import Engine
from responder.engine.fleet import Alone, Replica
from responder.engine.launch import migrate_engine
from responder.engine.services import Receiver, Services
from responder.explain import Decision
from responder.explain import simulate as decide
from responder.gateways.alertmanager import AlertmanagerGateway
from responder.gateways.http import HttpGateway
from responder.gateways.kube import KubeGateway
from responder.gateways.postgres import PostgresGateway
from responder.gateways.prometheus import PrometheusGateway
from responder.metrics import ResponderMetrics
from responder.permissions import manifests, needed
from responder.policies.alerts import lint_alerts
from responder.policies.load import lint as lint_policies
from responder.policies.load import load
from responder.settings import ResponderSettings
from responder.store.database import Store
from responder.store.retention import Horizon
from responder.web.auth import Authenticator
from responder.web.guard import LOOPBACK
from responder.web.intake import Bounds, Intake, Listeners
from responder.web.routing import CALLER
from responder.web.server import build
from responder.web.webhook import alerts_handler

log = get_log(__name__)

PREFIX = "RESPONDER__"
GRACE = timedelta(seconds=5)
"""Beside what steps in flight get: the engine's own threads need a moment to end."""


def known_actions() -> dict[str, ActionSpec[Section]]:
    """Return every action there is, by name."""
    return discover(actions, ActionSpec)


def read_settings(path: Path) -> ResponderSettings:
    """Read the settings. Raises ConfigError with every mistake and its place."""
    return validate(ResponderSettings, _document(path))


def lint(policies: Path, config: Path | None, rules: Path | None) -> list[Problem]:
    """Return what is wrong with the policies; with `rules`, also runbooks that nothing fires."""
    receivers = set(read_settings(config).receivers) if config else None
    problems = lint_policies(policies, known_actions(), receivers)
    return problems or (lint_alerts(policies, rules) if rules else [])


def notes(config: Path | None) -> list[str]:
    """Return what is no mistake and yet worth a thought. Raises ConfigError."""
    if config is None or read_settings(config).alertmanagers:
        return []
    lost = "what max_alerts cuts off opens no incident, an end that no webhook tells is not learned"
    return [f"{config}: no `alertmanagers`: {lost}"]


def explain(policies: Path, labels: Labels) -> Decision:
    """Return the whole decision about an alert with `labels`. Raises ConfigError."""
    specs = known_actions()
    roles = {name: spec.role.value for name, spec in specs.items()}
    return decide(load(policies, specs), labels, roles)


def permissions(
    policies: Path, by_hand: Sequence[str], account: str, namespace: str
) -> list[JsonObject]:
    """Return the roles that the policies need. Raises ConfigError; RunbookdError for `by_hand`."""
    specs = known_actions()
    for name in by_hand:
        if name not in specs:
            raise RunbookdError(f"{name!r} is not an action; {nearest(name, specs)}")
    return manifests(needed(load(policies, specs), specs, by_hand), account, namespace)


async def migrate(path: Path) -> list[str]:
    """Bring the database to this release's form and say what was done; safe to repeat.

    The engine's own tables are migrated too where replicas share them. Raises ConfigError,
    StoreUnavailableError or another RunbookdError.
    """
    settings = read_settings(path)
    if settings.store.dsn_file is None:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        return [await Store.migrate(settings.store_url)]
    # Nothing is written to this machine: a Job's file system may well be read-only.
    done = await Store.migrate(settings.store_url)
    await asyncio.to_thread(migrate_engine, settings.store_url)
    return [done, "the engine's tables are at the newest form"]


async def retention(path: Path) -> list[JsonObject]:
    """Count the rows of each table, and those past the time to keep them; nothing is deleted.

    Raises ConfigError, StoreUnavailableError or another RunbookdError.
    """
    settings = read_settings(path)
    keep, now = settings.retention, SystemClock().now()
    store = await Store.open(settings.store_url, migrate=False)
    try:
        async with store.reading() as tx:
            found = await tx.retention.count(Horizon.at(now, keep.incidents, keep.deliveries))
    finally:
        await store.close()
    times = {
        name: keep.deliveries if name in ("inbox", "dead_letters") else keep.incidents
        for name in found
    }
    return [
        {"table": name, "kept": format_duration(times[name]), "rows": rows, "past": past}
        for name, (rows, past) in found.items()
    ]


async def serve(path: Path, *, insecure_loopback: bool) -> None:
    """Run until SIGTERM or SIGINT. Raises RunbookdError or ConfigError when it cannot start."""
    set_up_log()
    document = _document(path)
    settings = validate(ResponderSettings, document)
    authenticator = _authenticator(settings, insecure_loopback=insecure_loopback)
    receivers = _receivers(settings, document)
    policy = load(settings.policies, known_actions(), set(receivers))
    async with teardown() as closing, stop_signal() as stop:
        services = await _services(closing, settings, policy, receivers)
        engine = Engine(services)
        await engine.start()
        closing.add("engine", engine.stop, within=settings.engine.shutdown + GRACE)
        intake = _intake(engine)
        intake.start()
        closing.add("intake", intake.close)
        webhook = alerts_handler(
            intake,
            max_body_bytes=settings.intake.max_body_bytes,
            caller=lambda request: request[CALLER],
        )
        app = build(engine, intake, webhook, authenticator)
        tls = _guarded(app, settings.listen.web_config_file)
        server = await Server.start(app, settings.listen.address, settings.listen.port, tls=tls)
        closing.add("server", server.close)
        if not settings.alertmanagers:
            log.info("no_alertmanager_is_asked", setting="alertmanagers")
        log.info("listening", url=server.url, runbooks=len(policy.runbooks))
        await stop.wait()
        log.info("stopping")


def _guarded(app: web.Application, web_config: Path | None) -> SSLContext | None:
    """Put the web configuration file's headers and rate before `app`; return its TLS."""
    if web_config is None:
        return None
    guard = WebGuard(web_config, SystemClock(), users=False)
    guard.protect(app)
    return guard.tls()


def _document(path: Path) -> Document:
    return load_document(ResponderSettings, path, prefix=PREFIX, environ=os.environ)


def _authenticator(settings: ResponderSettings, *, insecure_loopback: bool) -> Authenticator:
    authenticator = Authenticator(settings.auth, insecure=insecure_loopback)
    if insecure_loopback:
        if settings.listen.address not in LOOPBACK:
            raise RunbookdError(
                f"--insecure-loopback wants listen.address 127.0.0.1, not {settings.listen.address}"
            )
    elif not (settings.auth.tokens or settings.auth.basic):
        raise RunbookdError(
            "no token is configured (auth.tokens), so nobody could be let in; "
            "to try things out on this machine alone, start with --insecure-loopback"
        )
    else:
        authenticator.check_secrets()
    return authenticator


def _receivers(settings: ResponderSettings, document: Document) -> Mapping[str, Receiver]:
    """Validate each receiver by its notifier's own model. Raises ConfigError."""
    specs: dict[str, NotifierSpec[Section]] = discover(notifiers, NotifierSpec)
    problems: list[Problem] = []
    found: dict[str, Receiver] = {}
    for name, choice in settings.receivers.items():
        trail = ("receivers", name)
        kind = next(iter(choice), "")
        if len(choice) != 1 or kind not in specs:
            what = f"{name} names no notifier; {nearest(kind, specs)}"
            problems.append(problem(document, trail, what))
            continue
        try:
            own = validate(specs[kind].settings, document, path=(*trail, kind))
            found[name] = Receiver(name, specs[kind], own)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return found


async def _services(
    closing: Teardown,
    settings: ResponderSettings,
    policy: Policy,
    receivers: Mapping[str, Receiver],
) -> Services:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    # Files are one process' own; a database that replicas share is migrated once, beforehand.
    shared = settings.store.dsn_file is not None
    store = await Store.open(settings.store_url, migrate=not shared)
    closing.add("store", store.close)
    kube = await KubeGateway.open(settings.kubeconfig, user_agent="runbookd-responder")
    closing.add("kube", kube.close)
    query = PrometheusGateway(settings.prometheus)
    closing.add("query", query.close)
    alertmanagers = AlertmanagerGateway(settings.alertmanagers)
    closing.add("alertmanagers", alertmanagers.close)
    http = HttpGateway()
    closing.add("http", http.close)
    clock, metrics, boot = SystemClock(), ResponderMetrics(), uuid.uuid4().hex
    return Services(
        settings=settings,
        clock=clock,
        store=store,
        policy=policy,
        actions=known_actions(),
        receivers=receivers,
        kube=kube,
        writer=kube,
        query=query,
        alertmanagers=alertmanagers,
        databases=PostgresGateway({each.name: each.dsn_file for each in settings.databases}),
        http=http,
        metrics=metrics,
        fleet=(
            Replica(store, clock, metrics, f"{socket.gethostname()}-{boot}", settings.store.lease)
            if shared
            else Alone(settings.engine_path.with_suffix(".lock"))
        ),
        boot=boot,
    )


def _intake(engine: Engine) -> Intake:
    services = engine.services

    async def dead_letter(why: Unusable, _number: int) -> None:
        async with services.store.transaction() as tx:
            await dead_letters.tell(services, tx, why, services.now())

    return Intake(
        services.store,
        services.clock,
        services.metrics,
        Listeners(dead_letter=dead_letter, stored=engine.delivered),
        Bounds(queue=services.settings.intake.queue),
    )
