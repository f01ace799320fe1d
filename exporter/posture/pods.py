"""What pods are allowed to do to their node, and what their images are."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import msgspec

from exporter.watch.objects import NO_META, Meta, View
from exporter.watch.pods import workload_of

FINDINGS = (
    "default_service_account",
    "host_ipc",
    "host_network",
    "host_path",
    "host_pid",
    "latest_image",
    "may_run_as_root",
    "no_cpu_limit",
    "no_cpu_request",
    "no_memory_limit",
    "no_security_context",
    "privileged",
)
"""All that is looked for. A pod may run as root unless it says otherwise (`runAsNonRoot`, or a user
that is not 0); the default service account counts where its token is mounted. Without a request for
CPU a container has the smallest weight of all: on a busy node whatever starts goes before it. (A
limit alone is a request as well: the API server writes it in.) The rest is as the baseline of
Kubernetes' Pod Security Standards names it."""

OVER = frozenset({"Succeeded", "Failed"})


class Present(View, frozen=True):
    """An object of which only matters that it is there."""


class Context(View, frozen=True):
    """The security context of a container, or of a pod.

    The first three say what is asked here; the rest shows that somebody thought about it.
    """

    privileged: bool | None = None
    run_as_non_root: bool | None = None
    run_as_user: int | None = None
    allow_privilege_escalation: bool | None = None
    capabilities: Present | None = None
    fs_group: int | None = None
    read_only_root_filesystem: bool | None = None
    run_as_group: int | None = None
    seccomp_profile: Present | None = None


SILENT = Context()


class Resources(View, frozen=True):
    """What a container may use, and what is kept for it."""

    limits: dict[str, msgspec.Raw] | None = None
    requests: dict[str, msgspec.Raw] | None = None


class Container(View, frozen=True):
    """A container, an init container too."""

    name: str = ""
    image: str = ""
    security_context: Context | None = None
    resources: Resources | None = None


class Volume(View, frozen=True):
    """A volume, of which only a folder of the node is of interest."""

    host_path: Present | None = None


class Spec(View, frozen=True):
    """What a pod may do."""

    service_account_name: str | None = None
    automount_service_account_token: bool | None = None
    host_network: bool | None = None
    host_pid: bool | None = msgspec.field(default=None, name="hostPID")
    host_ipc: bool | None = msgspec.field(default=None, name="hostIPC")
    security_context: Context | None = None
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    volumes: list[Volume] | None = None


class ContainerStatus(View, frozen=True):
    """Which image really runs."""

    name: str = ""
    image_id: str = msgspec.field(default="", name="imageID")


class Status(View, frozen=True):
    """What became of the pod."""

    phase: str | None = None
    container_statuses: list[ContainerStatus] | None = None


class Pod(View, frozen=True):
    """A pod, as far as its security goes."""

    metadata: Meta = NO_META
    spec: Spec = Spec()
    status: Status = Status()

    @property
    def is_over(self) -> bool:
        """True when it will never run again."""
        return self.status.phase in OVER

    @property
    def workload(self) -> tuple[str, str, str]:
        """Namespace, workload and workload_type; without the latter where nothing known owns it."""
        meta = self.metadata
        return meta.namespace, *workload_of(meta.controller, meta.labels or {}, {})


class Used(NamedTuple):
    """One image that a container of a workload runs."""

    namespace: str
    workload: str
    workload_type: str
    container: str
    image: str
    """As the pod names it."""


def findings(pod: Pod) -> Iterator[str]:
    """Yield what is found of a pod, each of FINDINGS at most once."""
    spec = pod.spec
    containers = [*(spec.init_containers or ()), *(spec.containers or ())]
    of_pod = spec.security_context or SILENT
    contexts = [container.security_context or SILENT for container in containers]
    resources = [container.resources or Resources() for container in spec.containers or ()]
    found = {
        "default_service_account": spec.service_account_name in (None, "", "default")
        and spec.automount_service_account_token is not False,
        "host_ipc": spec.host_ipc,
        "host_network": spec.host_network,
        "host_path": any(volume.host_path is not None for volume in spec.volumes or ()),
        "host_pid": spec.host_pid,
        "latest_image": any(is_latest(container.image) for container in containers),
        "may_run_as_root": any(_may_be_root(of_pod, context) for context in contexts),
        "no_cpu_limit": any("cpu" not in (one.limits or ()) for one in resources),
        "no_cpu_request": any("cpu" not in (one.requests or ()) for one in resources),
        "no_memory_limit": any("memory" not in (one.limits or ()) for one in resources),
        "no_security_context": all(context == SILENT for context in (of_pod, *contexts)),
        "privileged": any(context.privileged for context in contexts),
    }
    return (name for name, holds in found.items() if holds)


@dataclass(slots=True)
class Running:
    """The pods that run one image in one container of a workload."""

    oldest: datetime | None = None
    """When the first of them was created."""
    digests: set[str] = field(default_factory=set)
    """What really runs (`sha256:…`), as the node says."""


class Survey:
    """What is found of pods, counted as they come, so that they need not be kept."""

    def __init__(self) -> None:
        self.pods = 0
        self.by_namespace: Counter[tuple[str, str]] = Counter()
        """Pods by namespace and finding, those of no pod too."""
        self.by_workload: Counter[tuple[str, str, str, str]] = Counter()
        """Pods by workload and finding; what no pod of it shows is left out."""
        self.images: dict[Used, Running] = {}

    def add(self, pod: Pod) -> None:
        """Take in a pod; one that will never run again does not count."""
        if pod.is_over:
            return
        self.pods += 1
        namespace, workload = pod.metadata.namespace, pod.workload
        for name in FINDINGS:
            self.by_namespace[namespace, name] += 0
        for name in findings(pod):
            self.by_namespace[namespace, name] += 1
            self.by_workload[*workload, name] += 1
        self._add_images(pod, workload)

    def _add_images(self, pod: Pod, workload: tuple[str, str, str]) -> None:
        created = pod.metadata.creation_timestamp
        ids = {one.name: one.image_id for one in pod.status.container_statuses or ()}
        for container in (*(pod.spec.init_containers or ()), *(pod.spec.containers or ())):
            used = Used(*workload, container.name, container.image)
            running = self.images.setdefault(used, Running())
            if created is not None and (running.oldest is None or created < running.oldest):
                running.oldest = created
            digest = ids.get(container.name, "").rpartition("@")[2]
            if digest:
                running.digests.add(digest)


def is_latest(image: str) -> bool:
    """Say whether what `image` names may change: no digest, and no tag or the tag `latest`."""
    name, _, digest = image.partition("@")
    if digest or not name:
        return False
    # A colon before the last slash parts the registry from its port.
    _, colon, tag = name.rpartition("/")[2].partition(":")
    return not colon or tag == "latest"


def _may_be_root(of_pod: Context, of_container: Context) -> bool:
    """The container's own words go before the pod's; without any, the image decides: it may."""
    forbids = (
        of_pod.run_as_non_root
        if of_container.run_as_non_root is None
        else of_container.run_as_non_root
    )
    user = of_pod.run_as_user if of_container.run_as_user is None else of_container.run_as_user
    return not forbids and not user
