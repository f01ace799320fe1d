"""The product as helm installs it: the shipped chart, with the bed's settings as its values."""

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.bed.cluster.client import at
from tests.bed.cluster.real import RealCluster
from tests.bed.cluster.real.images import Image
from tests.bed.process import BedError, run_tool
from tests.bed.settings import HOME, Files, Places

CHART = HOME / "charts" / "runbookd"
NAMESPACE = "runbookd"
RELEASE = "runbookd"
EXPORTER = f"{RELEASE}-kpi-exporter"
RESPONDER = f"{RELEASE}-alert-responder"
EXPORTER_PORT = 9842
RESPONDER_PORT = 9843
SECRETS = "/etc/runbookd/secrets"
STATE = f"{RELEASE}-state"
STORE = f"{RELEASE}-store"
USER = 65532
"""Whom the chart's pods run as."""
WAIT = "120s"
HELM_SECONDS = 150.0
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}

Document = dict[str, object]


@dataclass(frozen=True)
class Helm:
    """The helm program, as the cluster's administrator in the product's namespace."""

    cluster: RealCluster
    home: Path
    """Where it keeps what it remembers."""

    async def run(self, *arguments: str | Path) -> str:
        """Return what it prints. Raises BedError with its error."""
        program = self.cluster.places.program("helm")
        kept = {f"HELM_{name}_HOME": str(self.home) for name in ("CACHE", "CONFIG", "DATA")}
        argv = ["env", *(f"{name}={value}" for name, value in kept.items()), program]
        where = (f"--kubeconfig={self.cluster.kubeconfig}", f"--namespace={NAMESPACE}")
        done = await asyncio.to_thread(run_tool, *argv, *arguments, *where, timeout_s=HELM_SECONDS)
        if done.returncode != 0:
            raise BedError(f"helm {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout

    async def install(self, values: Path, *more: str) -> str:
        """Install the chart or upgrade to it, and wait until its pods are ready.

        Raises BedError with what the pods said when they do not come up.
        """
        wait = ("--wait", f"--timeout={WAIT}")
        try:
            return await self.run(
                "upgrade", "--install", RELEASE, CHART, "--values", values, *wait, *more
            )
        except BedError as error:
            said = await asyncio.to_thread(self._logs)
            raise BedError(f"{error}\n{said}") from None

    def _logs(self) -> str:
        of = ("-l", "app.kubernetes.io/part-of=runbookd", f"--namespace={NAMESPACE}")
        pods = self.cluster.kubectl("get", "pods", *of, "-o", "wide")
        return pods + self.cluster.kubectl("logs", *of, "--prefix", "--tail=20")

    async def uninstall(self) -> None:
        """Remove the release; none is fine."""
        await self.run("uninstall", RELEASE, "--ignore-not-found")


@dataclass
class PodProgram:
    """A program as the Deployment that the chart makes of it."""

    name: str
    url: str
    cluster: RealCluster

    async def start(self) -> None:
        """Want one pod and wait until it is ready."""
        await self._kubectl("scale", f"deployment/{self.name}", "--replicas=1")
        await self._kubectl("rollout", "status", f"deployment/{self.name}", f"--timeout={WAIT}")

    async def stop(self) -> None:
        """Want no pod and wait until it has ended."""
        await self._kubectl("scale", f"deployment/{self.name}", "--replicas=0")
        await self._kubectl("wait", "--for=delete", "pod", *self._mine, f"--timeout={WAIT}")

    async def kill(self) -> None:
        """Kill the pod without a word; its Deployment makes another at once."""
        await self._kubectl("delete", "pod", *self._mine, "--grace-period=0", "--force")

    @property
    def _mine(self) -> tuple[str, str]:
        return ("-l", f"app.kubernetes.io/name={self.name.removeprefix(f'{RELEASE}-')}")

    async def _kubectl(self, *arguments: str) -> str:
        return await asyncio.to_thread(self.cluster.kubectl, "--namespace", NAMESPACE, *arguments)


def write_values(path: Path, files: Files, image: Image, responders: int = 1) -> Path:
    """Write the chart's values: what the bed's settings say, with secrets from mounted files."""
    repository, _, tag = image.reference.rpartition(":")
    exporter = yaml.safe_load(files.exporter.read_text())
    responder = yaml.safe_load(files.responder.read_text())
    for each in (exporter, responder):
        del each["kubeconfig"], each["listen"]
    collectors = exporter["collectors"]
    for name in ("usage", "security"):  # off where the cluster is simulated
        collectors[name]["enabled"] = True
    for database in collectors["postgres"]["databases"]:
        del database["dsn"]
        database["dsn_file"] = f"{SECRETS}/taskmanager-dsn"
    for database in responder["databases"]:
        database["dsn_file"] = f"{SECRETS}/taskmanager-dsn"
    for token in responder["auth"]["tokens"]:
        token["token_file"] = f"{SECRETS}/{token['name']}-token"
    shared = {"replicas": responders, "postgres": {"secretName": STORE}}
    document = {
        "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
        "exporter": {"settings": exporter, "secretName": EXPORTER},
        "responder": {
            "settings": responder,
            "secretName": RESPONDER,
            "policies": {file.name: file.read_text() for file in files.policies.glob("*.yaml")},
            **(shared if responders > 1 else {"persistence": {"existingClaim": STATE}}),
        },
    }
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


async def prepare(cluster: RealCluster, places: Places) -> None:
    """Make what the chart expects: a namespace that is restricted, the Secrets, and a volume."""
    folder = places.root / "state"
    folder.mkdir(mode=0o700)
    os.chown(folder, USER, USER)
    tokens = {f"{name}-token": token for name, token in places.tokens.items()}
    dsn = {"taskmanager-dsn": places.postgres_dsn}
    manifests = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": RESTRICTED},
        },
        _secret(EXPORTER, dsn),
        _secret(RESPONDER, dsn | tokens),
        *([_secret(STORE, {"dsn": places.store_dsn})] if places.store_dsn else []),
        *_volume(folder),
    ]
    everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    await asyncio.to_thread(cluster.kubectl, "apply", "-f", "-", stdin=everything)


async def remove(cluster: RealCluster, helm: Helm) -> None:
    """Remove the release and what was prepared for it, but for the namespace, whose end is slow."""
    await helm.uninstall()
    here = f"--namespace={NAMESPACE}"
    for what in (("pod", "--all", "--grace-period=1", here), ("secret,pvc", "--all", here)):
        await asyncio.to_thread(cluster.kubectl, "delete", *what)
    await asyncio.to_thread(cluster.kubectl, "delete", f"pv/{STATE}", "--ignore-not-found")


async def address(cluster: RealCluster, namespace: str, name: str) -> str:
    """Return the address of a Service. Raises LookupError when there is none."""
    found = await cluster.get("Service", namespace, name)
    if found is None:
        raise LookupError(f"there is no Service {namespace}/{name}")
    return str(at(found, "spec.clusterIP"))


def scraped(targets: Path) -> Mapping[str, object]:
    """Return how Prometheus finds both programs: by a file, since Debian's knows no Kubernetes."""
    return {
        "job_name": "runbookd",
        "honor_labels": True,
        "file_sd_configs": [{"files": [str(targets)]}],
    }


def write_targets(path: Path, exporter: str, responder: str) -> None:
    """Tell Prometheus where the programs are, with labels such as a cluster attaches itself.

    A rule that kept these would aim alerts at the product.
    """
    found = [
        {
            "targets": [address],
            "labels": {"job": name, "namespace": NAMESPACE, "pod": f"{name}-0"},
        }
        for name, address in (("kpi-exporter", exporter), ("alert-responder", responder))
    ]
    path.write_text(json.dumps(found))


def _secret(name: str, values: Mapping[str, str]) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "stringData": dict(values),
    }


def _volume(folder: Path) -> list[Document]:
    """Return a folder of this machine as a volume: the bed has nobody who would make one."""
    common = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "",
        "volumeMode": "Filesystem",
    }
    size = {"storage": "1Gi"}
    volume = {
        "capacity": size,
        "hostPath": {"path": str(folder)},
        "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"namespace": NAMESPACE, "name": STATE},
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": STATE},
            "spec": common | volume,
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": STATE, "namespace": NAMESPACE},
            "spec": common | {"volumeName": STATE, "resources": {"requests": size}},
        },
    ]
