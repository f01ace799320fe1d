"""The chart as helm renders it: what it asks of a cluster, and what it refuses."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import kubernetes_validate  # type: ignore[import-untyped]  # it has no annotations
import pytest
import yaml
from typer.testing import CliRunner

from exporter.app import collectors, read_settings
from exporter.cli import app
from exporter.shared.rbac import rules, verbs_of
from responder.app import known_actions
from responder.permissions import needed
from responder.policies.load import load
from tests.bed.cluster.client import at, items
from tests.bed.cluster.real import programs
from tests.bed.settings import HOME

CHART = HOME / "charts" / "runbookd"
EXAMPLE = HOME / "exporter" / "example.yaml"
VERSIONS = [f"1.{minor}" for minor in range(29, 38)]
MONITORING = "monitoring.coreos.com/v1"
CONFIG_MAP_BYTES = 1024 * 1024

Object = Mapping[str, object]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = programs.built() / "helm"
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def rendered(*arguments: str) -> list[Object]:
    done = helm("template", "rb", str(CHART), "--namespace", "runbookd", *arguments)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def values(root: Path, document: object) -> tuple[str, str]:
    file = root / "values.yaml"
    file.write_text(yaml.safe_dump(document))
    return "--values", str(file)


def of_kind(objects: Sequence[Object], kind: str, ending: str = "") -> list[Object]:
    return [each for each in objects if each["kind"] == kind and name(each).endswith(ending)]


def name(each: Object) -> str:
    metadata = each["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["name"])


def allowed(roles: Sequence[Object]) -> set[tuple[str, str, str]]:
    """Return what the roles allow, as (group or path, resource, verb)."""
    found = set()
    for role in roles:
        listed = role["rules"]
        assert isinstance(listed, list)
        for rule in listed:
            groups, resources = rule.get("apiGroups", []), rule.get("resources", [])
            places = [(group, one) for group in groups for one in resources]
            places += [("/", one) for one in rule.get("nonResourceURLs", [])]
            found |= {(*place, verb) for place in places for verb in rule["verbs"]}
    return found


PLACED = {
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "podAnnotations": {"team": "shop"},
}
WHOLE: Object = {
    "imagePullSecrets": [{"name": "registry"}],
    "exporter": {
        "replicas": 2,
        "secretName": "databases",
        "check": {"enabled": True, "webhookSecret": {"name": "slack"}, "timezone": "Europe/Berlin"},
        **PLACED,
    },
    "responder": {"replicas": 2, "postgres": {"secretName": "store"}, **PLACED},
    "monitoring": {"enabled": True, "labels": {"release": "prometheus"}},
    "dashboards": {"enabled": True, "annotations": {"grafana_folder": "runbookd"}},
    "networkPolicy": {"from": [{"namespaceSelector": {"matchLabels": {"team": "sre"}}}]},
}
"""Every part of the chart, with all that can be said of it."""
BOTH = pytest.mark.parametrize("document", [{}, WHOLE], ids=["as it is", "whole"])
POD_AT = {
    "Deployment": "spec.template",
    "Job": "spec.template",
    "CronJob": "spec.jobTemplate.spec.template",
    "Pod": "",
}
"""Where each kind has its pod."""


@BOTH
def test_helm_finds_no_fault(tmp_path: Path, document: Object) -> None:
    done = helm("lint", "--strict", str(CHART), *values(tmp_path, document))
    assert done.returncode == 0, done.stdout + done.stderr


@BOTH
@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_one_of_that_kubernetes(
    tmp_path: Path, version: str, document: Object
) -> None:
    for each in rendered("--kube-version", version, *values(tmp_path, document)):
        if each["apiVersion"] != MONITORING:  # which is not Kubernetes' own
            kubernetes_validate.validate(each, version, strict=True)


def pods(found: Sequence[Object]) -> list[object]:
    """Return what pods are made of, by whatever kind."""
    places = [(each, POD_AT[str(each["kind"])]) for each in found if each["kind"] in POD_AT]
    return [at(each, place) if place else each for each, place in places]


def test_a_restricted_namespace_with_a_quota_takes_every_pod(tmp_path: Path) -> None:
    found = pods(rendered(*values(tmp_path, WHOLE)))
    assert len(found) == 5, "the programs', the morning check's, the migration's and helm's test"
    for pod in found:
        assert at(pod, "spec.securityContext.runAsNonRoot") is True
        assert at(pod, "spec.securityContext.seccompProfile.type") == "RuntimeDefault"
        assert [at(pod, f"spec.host{one}") for one in ("Network", "PID", "IPC")] == [None] * 3
        kinds = {key for volume in items(pod, "spec.volumes") for key in volume if key != "name"}
        assert kinds <= {"configMap", "secret", "emptyDir", "persistentVolumeClaim"}
        for container in items(pod, "spec.containers"):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert at(container, "resources.requests.cpu"), at(container, "name")
            assert at(container, "resources.limits.memory"), at(container, "name")


@pytest.mark.parametrize(
    ("kind", "selector", "port"),
    [
        ("Service", "spec.selector", "spec.ports.0.targetPort"),
        ("PodDisruptionBudget", "spec.selector.matchLabels", ""),
        ("NetworkPolicy", "spec.podSelector.matchLabels", "spec.ingress.0.ports.0.port"),
        ("ServiceMonitor", "spec.selector.matchLabels", "spec.endpoints.0.port"),
    ],
)
def test_what_selects_finds_its_own_program_alone(
    tmp_path: Path, kind: str, selector: str, port: str
) -> None:
    found = rendered(*values(tmp_path, WHOLE))
    selecting = of_kind(found, kind)
    assert sorted(map(name, selecting)) == ["rb-alert-responder", "rb-kpi-exporter"]
    choice: list[object] = list(of_kind(found, "Service"))
    names_of_ports = "spec.ports.0.name"
    if kind != "ServiceMonitor":
        choice, names_of_ports = pods(found), "spec.containers.0.ports.0.name"
    for each in selecting:
        wanted = at(each, selector)
        assert isinstance(wanted, dict)
        (chosen,) = [one for one in choice if wanted.items() <= labels(one).items()]
        assert f"rb-{labels(chosen)['app.kubernetes.io/name']}" == name(each)
        if port:
            assert at(each, port) == at(chosen, names_of_ports)


def labels(each: object) -> Mapping[str, object]:
    found = at(each, "metadata.labels")
    assert isinstance(found, dict)
    return found


CHECK = {"enabled": True, "webhookSecret": {"name": "slack"}, "timezone": "Europe/Berlin"}


def checking(root: Path, **more: object) -> list[Object]:
    """Return what is rendered for the morning check beside the rest."""
    found = rendered(*values(root, {"exporter": {"check": {**CHECK, **more}}}))
    return [each for each in found if name(each).endswith("morning-check")]


def check_job(root: Path, **more: object) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """Return the morning check's CronJob and its pod."""
    (job,) = of_kind(checking(root, **more), "CronJob")
    spec = job["spec"]
    assert isinstance(spec, dict)
    pod: dict[str, object] = spec["jobTemplate"]["spec"]["template"]["spec"]
    return spec, pod


def arguments(pod: Mapping[str, object]) -> list[str]:
    containers = pod["containers"]
    assert isinstance(containers, list)
    found: list[str] = containers[0]["args"]
    return found


def test_the_morning_check_reads_the_exporters_service_and_is_off_by_default(
    tmp_path: Path,
) -> None:
    assert of_kind(rendered(), "CronJob") == []
    spec, pod = check_job(tmp_path)
    assert (spec["schedule"], spec["timeZone"]) == ("0 7 * * *", "Europe/Berlin")
    assert "--from=http://rb-kpi-exporter:9842/metrics" in arguments(pod)
    assert "timeZone" not in check_job(tmp_path, timezone="")[0]
    elsewhere = {"settings": {"web": {"telemetry_path": "/kpis"}}, "check": CHECK}
    found = rendered(*values(tmp_path, {"exporter": elsewhere}))
    assert "--from=http://rb-kpi-exporter:9842/kpis" in json.dumps(found)


def test_the_morning_check_is_called_as_its_command_line_allows(tmp_path: Path) -> None:
    for history in (True, False):
        _, pod = check_job(tmp_path, history={"enabled": history})
        program, command, *given = arguments(pod)
        assert (program, command) == ("kpi-exporter", "check")
        options = CliRunner().invoke(app, ["check", "--help"], env={"COLUMNS": "200"}).output
        assert [one for one in given if one.partition("=")[0] not in options] == []


def test_the_address_of_the_webhook_is_mounted_and_never_on_the_command_line(
    tmp_path: Path,
) -> None:
    _, pod = check_job(tmp_path, webhookSecret={"name": "slack", "key": "morning"})
    volumes = pod["volumes"]
    assert isinstance(volumes, list)
    (secret,) = [each["secret"] for each in volumes if "secret" in each]
    assert secret == {"secretName": "slack", "items": [{"key": "morning", "path": "url"}]}
    assert "--webhook-file=/etc/runbookd/webhook/url" in arguments(pod)


def test_the_history_is_on_a_claim_or_there_is_none(tmp_path: Path) -> None:
    kinds = [each["kind"] for each in checking(tmp_path)]
    assert kinds == ["PersistentVolumeClaim", "CronJob"]
    assert any(one.startswith("--history=") for one in arguments(check_job(tmp_path)[1]))
    for history in ({"enabled": False}, {"existingClaim": "mine"}):
        assert [each["kind"] for each in checking(tmp_path, history=history)] == ["CronJob"]
    _, without = check_job(tmp_path, history={"enabled": False})
    assert "history" not in json.dumps(without)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_morning_check_is_known_to_that_kubernetes(tmp_path: Path, version: str) -> None:
    found = checking(tmp_path)
    assert found
    for each in found:
        kubernetes_validate.validate(each, version, strict=True)


def test_a_morning_check_without_a_webhook_is_refused() -> None:
    done = helm("template", "rb", str(CHART), "--set", "exporter.check.enabled=true")
    assert done.returncode != 0
    assert "exporter.check.webhookSecret.name is needed" in done.stderr


def test_what_only_some_clusters_know_is_left_out_elsewhere() -> None:
    kinds = {"ServiceMonitor", "PrometheusRule"}
    assert not kinds & {each["kind"] for each in rendered()}
    assert kinds <= {each["kind"] for each in rendered("--api-versions", MONITORING)}


def test_the_shipped_rules_are_in_the_prometheus_rule() -> None:
    (found,) = of_kind(rendered("--api-versions", MONITORING), "PrometheusRule")
    spec = found["spec"]
    assert isinstance(spec, dict)
    shipped = [
        group["name"]
        for folder in ("alerts", "recording")
        for file in sorted((HOME / "rules" / folder).glob("*.yaml"))
        for group in yaml.safe_load(file.read_text())["groups"]
    ]
    assert sorted(group["name"] for group in spec["groups"]) == sorted(shipped)


def test_the_exporter_may_do_what_its_collectors_ask_and_change_nothing(tmp_path: Path) -> None:
    settings = yaml.safe_load(EXAMPLE.read_text())
    found = rendered(*values(tmp_path, {"exporter": {"settings": settings}}))
    specs = collectors()
    enabled = read_settings(EXAMPLE, {}, specs).enabled()
    asked = [each for one in enabled for each in specs[one].permissions]
    roles = of_kind(found, "ClusterRole", "kpi-exporter")
    expected: Object = {"rules": rules(verbs_of(asked))}
    assert allowed(roles) == allowed([expected])
    assert {verb for *_, verb in allowed(roles)} <= {"get", "list", "watch"}
    assert of_kind(found, "Role", "kpi-exporter") == []


def test_the_responder_may_do_what_its_runbooks_need_and_no_more() -> None:
    found = rendered()
    specs = known_actions()
    permissions = needed(load(HOME / "rules" / "policies", specs), specs)
    reads, writes = of_kind(found, "ClusterRole", "responder"), of_kind(found, "Role", "responder")
    assert allowed(reads) == allowed([{"rules": rules(permissions.reads)}])
    assert allowed(writes) == allowed([{"rules": rules(permissions.writes)}])
    places = [role["metadata"] for role in writes]
    assert [place["namespace"] for place in places if isinstance(place, dict)] == ["default"]


def test_a_policy_that_only_observes_gives_no_right_to_change_anything(tmp_path: Path) -> None:
    policy = (HOME / "rules" / "policies" / "task-manager.yaml").read_text()
    observing = {"p.yaml": policy.replace("mode: act", "mode: observe")}
    found = rendered(*values(tmp_path, {"responder": {"policies": observing}}))
    assert of_kind(found, "Role") == []
    by_hand = {"responder": {"policies": observing, "byHand": ["restart"]}}
    (role,) = of_kind(rendered(*values(tmp_path, by_hand)), "Role")
    assert {verb for *_, verb in allowed([role])} == {"patch"}


def test_replicas_share_a_postgresql_that_a_hook_brings_up_to_date(tmp_path: Path) -> None:
    shared = {"replicas": 2, "postgres": {"secretName": "runbookd-store"}}
    found = rendered(*values(tmp_path, {"responder": shared}))
    (deployment,) = of_kind(found, "Deployment", "responder")
    spec = deployment["spec"]
    assert isinstance(spec, dict)
    assert (spec["replicas"], "strategy" in spec) == (2, False)
    assert of_kind(found, "PersistentVolumeClaim") == []
    assert len(of_kind(found, "PodDisruptionBudget", "responder")) == 1
    (job,) = of_kind(found, "Job", "migrate")
    assert "pre-install,pre-upgrade" in str(job["metadata"])
    (config,) = of_kind(found, "ConfigMap", "migrate")
    assert "dsn_file: /etc/runbookd/store/dsn" in str(config["data"])


def test_no_config_map_is_too_large() -> None:
    for each in of_kind(rendered(), "ConfigMap"):
        assert len(json.dumps(each)) < CONFIG_MAP_BYTES


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("exporter.replcas=2", "replcas"),
        ("responder.replicas=2", "secretName"),  # replicas share a PostgreSQL
        ("responder.postgres.secret=x", "secret"),
        ("monitoring.enabled=perhaps", "monitoring"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("exporter.replicas=0", "replicas"),
        ("exporter.check.schedule=at seven", "schedule"),
        ("exporter.check.webhook=x", "webhook"),
    ],
)
def test_a_value_that_means_nothing_is_refused(setting: str, said: str) -> None:
    done = helm("template", "rb", str(CHART), "--set", setting)
    assert done.returncode != 0
    assert said in done.stderr
