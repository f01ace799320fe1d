"""Objects in every state that a collector may meet, for a real cluster to bring about."""

from tests.bed.cluster.real.keys import NODE

NAMESPACE = "default"
IMAGE = "probe-app:v1"
REQUESTS = {"cpu": "50m", "memory": "32Mi"}
EAT = "x = []\nwhile True: x.append(bytearray(1 << 20))"
FILL = "open('/data/full', 'wb').write(bytes(32 << 20)); import time; time.sleep(600)"
WAIT = "import time; time.sleep(600)"
SPIN = "while True: pass"
GONE_NODE = "gone-0"

READY = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "ready"}
RUNNING = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
"""What the kubelet of a node that is gone had said of the node and of its pod."""

SHORT = {"terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False}

Manifest = dict[str, object]


def manifests() -> list[Manifest]:
    """Return all objects; those of one kind differ by their state."""
    return [*pods(), *workloads(), *jobs(), *scaling(), *network(), *storage(), *nodes()]


def python(program: str, **extra: object) -> Manifest:
    """Return a container that runs a line of Python."""
    command = {"command": ["python3", "-c", program]}
    return {"name": "main", "image": IMAGE, "imagePullPolicy": "Never", **command, **extra}


def serving(tag: str = "v1", /, **extra: object) -> Manifest:
    """Return a container of the probe application, ready when it says so."""
    ready = {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 1}
    image = {"image": f"probe-app:{tag}", "imagePullPolicy": "Never"}
    ports = [{"name": "http", "containerPort": 8000}]
    resources = {"requests": REQUESTS, "limits": {"memory": "128Mi"}}
    named = {"name": "main", "ports": ports, "readinessProbe": ready, "resources": resources}
    return {**named, **image, **extra}


def pod(name: str, *containers: Manifest, **spec: object) -> Manifest:
    """Return a pod of its own."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
        "spec": {"containers": list(containers), **SHORT, **spec},
    }


def pods() -> list[Manifest]:
    """Return pods, each named for its state."""
    limited = {"resources": {"limits": {"memory": "24Mi"}}}
    small = {"volumes": [{"name": "data", "emptyDir": {"sizeLimit": "1Mi"}}]}
    mounted = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    key = {"configMapKeyRef": {"name": "no-such", "key": "word"}}
    lacking = {"env": [{"name": "WORD", "valueFrom": key}]}
    greedy = {"resources": {"requests": {"cpu": "1000"}}}
    sidecar = {
        **python(WAIT),
        "name": "sidecar",
        "restartPolicy": "Always",
    }
    waiting = {**python(WAIT), "name": "wait"}
    failing = {**python("raise SystemExit(3)"), "name": "setup"}
    pulled = {"image": "registry.invalid/shop:v1", "imagePullPolicy": "Always"}
    scratch = {"volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]}
    gate = {"readinessGates": [{"conditionType": "example.com/traffic"}]}
    return [
        pod("running", serving()),
        pod("not-ready", serving("sick")),
        pod("crash-loop", serving("crash")),
        pod("oom-killed", python(EAT, **limited)),
        pod("evicted", python(FILL, **mounted), **small),
        pod("completed", python("pass"), restartPolicy="Never"),
        pod("failed", python("raise SystemExit(2)"), restartPolicy="Never"),
        pod("image-never-pulled", serving("no-such-tag")),
        pod("image-pull-back-off", serving(**pulled)),
        pod("config-error", serving(**lacking)),
        pod("cannot-start", {**python(""), "command": ["/no/such/program"]}),
        pod("unschedulable", serving(**greedy)),
        pod("with-scratch", serving(**scratch), volumes=[{"name": "scratch", "emptyDir": {}}]),
        pod("init-waiting", serving(), initContainers=[waiting]),
        pod("init-crash-loop", serving(), initContainers=[failing]),
        pod("with-sidecar", serving(), initContainers=[sidecar]),
        pod("gated", serving(), **gate),
        pod("terminating", python(WAIT), terminationGracePeriodSeconds=600),
        pod("on-a-gone-node", serving(), nodeName=GONE_NODE, tolerations=[{"operator": "Exists"}]),
    ]


def workload(kind: str, name: str, container: Manifest, **spec: object) -> Manifest:
    """Return a Deployment, StatefulSet or DaemonSet."""
    labels = {"app": name}
    pod_spec = {"containers": [container], **SHORT}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec},
            **spec,
        },
    }


def workloads() -> list[Manifest]:
    """Return workloads that are out, stuck, paused and empty."""
    return [
        workload("Deployment", "task-manager", serving(), replicas=2),
        workload("Deployment", "stuck", serving("sick"), progressDeadlineSeconds=5),
        workload("Deployment", "paused", serving(), replicas=1, paused=True),
        workload("Deployment", "scaled-to-zero", serving(), replicas=0),
        workload("StatefulSet", "postgres", serving(), serviceName="postgres", replicas=2),
        workload("DaemonSet", "agent", serving()),
        workload("DaemonSet", "not-ready-agent", serving("sick")),
    ]


def jobs() -> list[Manifest]:
    """Return jobs that succeed, fail, run and wait, and what makes them."""

    def job(name: str, program: str, **spec: object) -> Manifest:
        template = {"spec": {"containers": [python(program)], "restartPolicy": "Never", **SHORT}}
        metadata = {"name": name, "namespace": NAMESPACE}
        spec = {"template": template, "backoffLimit": 1, **spec}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}

    def cron_job(name: str, program: str, **spec: object) -> Manifest:
        template = {"spec": {"containers": [python(program)], "restartPolicy": "Never", **SHORT}}
        spec = {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}, **spec}
        metadata = {"name": name, "namespace": NAMESPACE}
        return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec}

    return [
        job("succeeded", "pass"),
        job("failed", "raise SystemExit(2)", backoffLimit=0),
        job("running", WAIT, completions=2, parallelism=2),
        job("too-slow", WAIT, activeDeadlineSeconds=5),
        job("suspended", "pass", suspend=True),
        cron_job("every-minute", "pass"),
        cron_job("never-ending", WAIT, concurrencyPolicy="Forbid"),
        cron_job("nightly-backup", "pass", schedule="0 2 * * *", timeZone="Europe/Berlin"),
        cron_job("suspended", "pass", suspend=True),
    ]


def scaling() -> list[Manifest]:
    """Return autoscalers and budgets, content and not."""

    def scaler(name: str, target: str, least: int, most: int, resource: str = "cpu") -> Manifest:
        aim = {"type": "Utilization", "averageUtilization": 70}
        metric = {"type": "Resource", "resource": {"name": resource, "target": aim}}
        reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
        spec = {"scaleTargetRef": reference, "minReplicas": least, "maxReplicas": most}
        return {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {**spec, "metrics": [metric]},
        }

    def budget(name: str, app: str, **spec: object) -> Manifest:
        return {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"selector": {"matchLabels": {"app": app}}, **spec},
        }

    busy = workload("Deployment", "busy", {**python(SPIN), "resources": {"requests": REQUESTS}})
    return [
        busy,
        scaler("task-manager-hpa", "task-manager", 2, 10),
        scaler("at-its-maximum", "busy", 1, 2),
        scaler("without-metrics", "stuck", 1, 3, "ephemeral-storage"),
        scaler("without-target", "no-such-deployment", 1, 3),
        budget("task-manager", "task-manager", minAvailable=1),
        budget("no-disruption", "postgres", maxUnavailable=0),
        budget("too-few", "not-ready-agent", minAvailable=1),
        budget("without-pods", "nobody", maxUnavailable="25%"),
    ]


def network() -> list[Manifest]:
    """Return Services of every type."""

    def service(name: str, **spec: object) -> Manifest:
        ports = [{"name": "http", "port": 8000, "targetPort": 8000}]
        spec = {"selector": {"app": name}, "ports": ports, **spec}
        metadata = {"name": name, "namespace": NAMESPACE}
        return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}

    return [
        service("task-manager"),
        service("task-manager-frontend", type="LoadBalancer", selector={"app": "task-manager"}),
        service("pending-load-balancer", type="LoadBalancer"),
        service("postgres", clusterIP="None"),
        service("node-port", type="NodePort", selector={"app": "task-manager"}),
        service("elsewhere", type="ExternalName", externalName="db.example.com", ports=[]),
        service("stuck"),
    ]


def storage() -> list[Manifest]:
    """Return claims that are bound and pending, and the volume."""

    def claim(name: str, volume: str) -> Manifest:
        wanted = {"requests": {"storage": "1Gi"}}
        spec = {"accessModes": ["ReadWriteOnce"], "resources": wanted, "storageClassName": ""}
        metadata = {"name": name, "namespace": NAMESPACE}
        named = {"volumeName": volume} if volume else {"storageClassName": "no-such-class"}
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": metadata,
            "spec": {**spec, **named},
        }

    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
    volume: Manifest = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "disk-0"},
        "spec": {
            "capacity": {"storage": "2Gi"},
            "accessModes": ["ReadWriteOnce"],
            "local": {"path": "/var/lib"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
            "storageClassName": "",
        },
    }
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("data", "scratch")]
    mounted = {"volumeMounts": mounts}
    claimed = {"name": "data", "persistentVolumeClaim": {"claimName": "bound"}}
    use = [claimed, {"name": "scratch", "emptyDir": {"sizeLimit": "64Mi"}}]
    return [
        volume,
        claim("bound", "disk-0"),
        claim("pending", ""),
        pod("with-a-volume", serving(**mounted), volumes=use),
    ]


def nodes() -> list[Manifest]:
    """Return pretended nodes: one that serves, one that is cordoned, one that will be gone."""

    def node(name: str, *, kwok: bool = True, **spec: object) -> Manifest:
        size = {"cpu": "4", "memory": "16Gi", "pods": "58"}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": name,
                "labels": {
                    "topology.kubernetes.io/zone": "eu-west-1a",
                    "node.kubernetes.io/instance-type": "m5.xlarge",
                    "eks.amazonaws.com/nodegroup": "workers",
                },
                "annotations": {"kwok.x-k8s.io/node": "fake"} if kwok else {},
            },
            "spec": {"providerID": f"aws:///eu-west-1a/i-0{name}", **spec},
            "status": {"capacity": size, "allocatable": size, "conditions": [READY]},
        }

    closed = [{"key": "example.com/closed", "effect": "NoSchedule"}]
    return [
        node("serving-0", taints=closed),
        node("cordoned-0", unschedulable=True, taints=closed),
        node(GONE_NODE, kwok=False, taints=closed),
    ]
