"""The cluster's parts: what each is started with, and the configuration files they read."""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.bed.cluster.real import names
from tests.bed.cluster.real.keys import NODE, PARTS, Keys
from tests.bed.cluster.real.network import Network
from tests.bed.cluster.real.sandbox import DATA

API_PORT = 6443
ETCD = "http://127.0.0.1:2379"
KUBELET_PORT = 10250
METRICS_PORT = 4443
# The defaults hold a cluster of thousands of pods to 20 requests a second for each part.
QPS, BURST = 500, 1000
KWOK_MARK = "kwok.x-k8s.io/node=fake"

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "rules": [
        {"level": "None", "users": [PARTS, f"system:node:{NODE}", "system:apiserver"]},
        {"level": "Metadata"},
    ],
}


@dataclass(frozen=True, slots=True)
class Places:
    """Where a cluster has what."""

    programs: Path
    home: Path
    logs: Path
    network: Network
    keys: Keys
    group: str
    """The control group of its pods."""

    @property
    def containerd(self) -> Path:
        """Socket of containerd."""
        return self.home / "containerd.sock"

    @property
    def data(self) -> Path:
        """What only the bed sees: in memory, for disks take many times as long to forget it."""
        return self.home / DATA

    @property
    def etcd(self) -> Path:
        """Socket of etcd, for who is not inside."""
        return self.home / "etcd.sock"

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of the cluster's own parts."""
        return self.home / "parts.kubeconfig"

    @property
    def audit_log(self) -> Path:
        """The API server's record of requests, one JSON object a line."""
        return self.logs / "audit.log"

    def program(self, name: str) -> str:
        """Return a program's path."""
        return str(self.programs / name)

    def ctr(self, *args: str | Path) -> list[str]:
        """Return the command of containerd's client, in the namespace that the kubelet uses."""
        return [self.program("ctr"), "-a", str(self.containerd), "-n", "k8s.io", *map(str, args)]

    def write(self, name: str, content: object) -> Path:
        """Write a configuration file; JSON is YAML."""
        path = self.home / name
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
        return path


def etcd(at: Places) -> list[str]:
    """Return etcd, which may forget everything in a crash."""
    return [
        at.program("etcd"),
        f"--data-dir={at.data / 'etcd'}",
        f"--listen-client-urls={ETCD},unix://{at.etcd}",
        f"--advertise-client-urls={ETCD}",
        "--listen-peer-urls=http://127.0.0.1:0",
        "--log-level=error",
        "--unsafe-no-fsync",
    ]


def api_server(at: Places) -> list[str]:
    """Return the API server; authorization is RBAC, and nobody is anonymous."""
    keys = at.keys
    return [
        at.program("kube-apiserver"),
        f"--etcd-servers={ETCD}",
        "--bind-address=0.0.0.0",
        f"--advertise-address={at.network.node}",
        f"--secure-port={API_PORT}",
        f"--tls-cert-file={keys.certificate('apiserver')}",
        f"--tls-private-key-file={keys.key('apiserver')}",
        f"--client-ca-file={keys.authority}",
        f"--token-auth-file={keys.tokens_file}",
        "--anonymous-auth=false",
        "--authorization-mode=Node,RBAC",
        f"--kubelet-client-certificate={keys.certificate('kubelet-client')}",
        f"--kubelet-client-key={keys.key('kubelet-client')}",
        f"--kubelet-certificate-authority={keys.authority}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={keys.authority}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={keys.certificate('front-proxy')}",
        f"--proxy-client-key-file={keys.key('front-proxy')}",
        "--enable-aggregator-routing=true",
        f"--service-cluster-ip-range={at.network.services}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={keys.key('service-accounts')}",
        f"--service-account-key-file={keys.key('service-accounts')}",
        f"--audit-policy-file={at.write('audit.yaml', AUDIT_POLICY)}",
        f"--audit-log-path={at.audit_log}",
        "--allow-privileged",
        "--shutdown-delay-duration=0s",
    ]


def controller_manager(at: Places) -> list[str]:
    """Return the controllers."""
    return [
        at.program("kube-controller-manager"),
        f"--kubeconfig={at.kubeconfig}",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        f"--service-account-private-key-file={at.keys.key('service-accounts')}",
        f"--root-ca-file={at.keys.authority}",
        f"--kube-api-qps={QPS}",
        f"--kube-api-burst={BURST}",
    ]


def scheduler(at: Places) -> list[str]:
    """Return the scheduler."""
    config = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "leaderElection": {"leaderElect": False},
        "clientConnection": {"kubeconfig": str(at.kubeconfig), "qps": QPS, "burst": BURST},
    }
    path = at.write("scheduler.yaml", config)
    return [at.program("kube-scheduler"), f"--config={path}", "--bind-address=127.0.0.1"]


def containerd(at: Places) -> list[str]:
    """Return the container runtime; runc is Debian's, which has seccomp built in."""
    # Without CAP_SYS_RESOURCE nobody may lower a process' oom_score_adj, and runc would fail.
    config = f"""
version = 3
root = "{at.data}/containerd/root"
state = "{at.data}/containerd/state"
[grpc]
address = "{at.containerd}"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "localhost/pause:1"
[plugins."io.containerd.cri.v1.runtime"]
disable_apparmor = true
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{at.programs}"]
conf_dir = "{at.home}/cni"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
"""
    (at.home / "cni").mkdir(exist_ok=True)
    at.write("cni/bed.conflist", _pod_network(at))
    return [at.program("containerd"), "--config", str(at.write("containerd.toml", config))]


def _pod_network(at: Places) -> dict[str, object]:
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": at.network.pods}]],
        "dataDir": str(at.data / "addresses"),
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        "hairpinMode": True,
        "ipam": addresses,
    }
    return {"cniVersion": "1.0.0", "name": "bed", "plugins": [bridge]}


def kubelet(at: Places) -> list[str]:
    """Return the node's agent. Control groups may be of version 1 or 2."""
    keys = at.keys
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{at.group}",
        "enforceNodeAllocatable": [],
        "containerRuntimeEndpoint": f"unix://{at.containerd}",
        "address": at.network.node,
        "port": KUBELET_PORT,
        "healthzPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(keys.authority)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(keys.certificate("kubelet")),
        "tlsPrivateKeyFile": str(keys.key("kubelet")),
        "failSwapOn": False,
        "clusterDNS": [at.network.host],
        "clusterDomain": names.DOMAIN,
        "volumeStatsAggPeriod": "5s",  # for statistics that are there when a test asks
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "nodefs.available": "1%",
            "imagefs.available": "1%",
            "nodefs.inodesFree": "1%",
        },
        "podLogsDir": str(at.data / "podlogs"),
        "volumePluginDir": str(at.home / "volume-plugins"),
    }
    user = keys.write_node_kubeconfig(at.home / "kubelet.kubeconfig")
    return [
        at.program("kubelet"),
        f"--config={at.write('kubelet.yaml', config)}",
        f"--kubeconfig={user}",
        f"--hostname-override={NODE}",
        f"--root-dir={at.data / 'kubelet'}",
        f"--cert-dir={keys.folder}",
        f"--node-ip={at.network.node}",
        # One is too few: when the kubelet tidies up, once a minute, a container that is created but
        # does not run yet counts as an old one, and the crashed one before it goes with its log.
        "--maximum-dead-containers-per-container=2",
    ]


def proxy(at: Places) -> list[str]:
    """Return what makes the Services' addresses work; its rules are in the bed's namespace."""
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(at.kubeconfig)},
        "mode": "nftables",
        "hostnameOverride": NODE,
        "clusterCIDR": at.network.pods,
        # The kernel's limits belong to the machine, not to a namespace.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    }
    return [at.program("kube-proxy"), f"--config={at.write('proxy.yaml', config)}"]


def metrics_server(at: Places) -> list[str]:
    """Return the server of metrics.k8s.io; it has figures after two scrapes, 10 s apart."""
    keys = at.keys
    user = str(at.kubeconfig)
    return [
        at.program("metrics-server"),
        f"--kubeconfig={user}",
        f"--authentication-kubeconfig={user}",
        f"--authorization-kubeconfig={user}",
        f"--secure-port={METRICS_PORT}",
        f"--bind-address={at.network.node}",
        f"--cert-dir={at.home / 'metrics-server'}",
        f"--kubelet-certificate-authority={keys.authority}",
        "--kubelet-preferred-address-types=InternalIP",
        "--metric-resolution=10s",
        "--kubelet-request-timeout=5s",  # has to be below the resolution
        "--kubelet-use-node-status-port",
    ]


def metrics_objects(at: Places) -> dict[str, dict[str, object]]:
    """Return the objects that bring metrics.k8s.io from there into the API, by their collection."""
    labels = {"kubernetes.io/service-name": "metrics-server"}
    namespace = {"namespace": "kube-system"}
    port = {"name": "https", "port": METRICS_PORT, "protocol": "TCP"}
    endpoint = {"addresses": [at.network.node], "conditions": {"ready": True}}
    service: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "metrics-server", **namespace},
        "spec": {"ports": [{"name": "https", "port": 443, "targetPort": METRICS_PORT}]},
    }
    endpoints: dict[str, object] = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "metrics-server-1", **namespace, "labels": labels},
        "addressType": "IPv4",
        "ports": [port],
        "endpoints": [endpoint],
    }
    registration: dict[str, object] = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "service": {"name": "metrics-server", **namespace, "port": 443},
            "insecureSkipTLSVerify": True,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        },
    }
    return {
        "/api/v1/namespaces/kube-system/services": service,
        "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices": endpoints,
        "/apis/apiregistration.k8s.io/v1/apiservices": registration,
    }


def kwok(at: Places) -> list[str]:
    """Return what plays nodes that carry the annotation KWOK_MARK, and the pods on them."""
    return [
        at.program("kwok"),
        f"--kubeconfig={at.kubeconfig}",
        f"--config={at.program('kwok-stages.yaml')}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={KWOK_MARK}",
        "--node-ip=127.0.0.1",
    ]
