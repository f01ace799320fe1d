"""Infrastructure: are nodes, pods, network and volumes well, and which of them is not."""

from charts.dashboards.board import (
    ALERTS,
    CLAIM_NAME,
    NAMESPACE,
    NODES,
    OF_NAMESPACE,
    OF_NODE,
    OF_WORKLOAD,
    POD_NAME,
    ROLLOUTS,
    WORKLOADS,
    Bars,
    Board,
    Lines,
    Number,
    Query,
    Row,
    States,
    gauge,
    highest,
    how_many,
    increase,
    least,
    rate,
    total,
)
from charts.dashboards.catalogue import RESTARTS, kpi_lines, kpi_number
from exporter.kpi import CLAIM

POD = ("namespace", "pod")
CONTAINER = (*POD, "container", "reason")
HPA = ("namespace", "hpa")
HPA_NAME = "{{namespace}}/{{hpa}}"
SUMMARY_STEP = "1m"
"""How often the kubelets' summaries are read, as shipped."""

READY = least("kpi_node_ready", "node")
POD_READY = least("kpi_pod_ready", *POD, where=OF_WORKLOAD)
ENDED = gauge("kpi_pod_phase", *POD, where='phase="Succeeded"')

NOW = Row(
    "Is the cluster well?",
    (
        Number(
            title="Nodes not ready",
            about="Their pods are moved after five minutes.",
            unit="short",
            queries=(Query(f"count({READY}) - sum({READY})", "not ready"),),
            bad_above=1,
            guides=("KpiNodeNotReady",),
        ),
        Number(
            title="Pods not healthy",
            about="Neither ready nor done: they wait, crash, or fail their readiness probe.",
            unit="short",
            queries=(Query(how_many(f"({POD_READY} == 0) unless {ENDED}"), "pods"),),
            bad_above=1,
            guides=("KpiPodCrashLooping",),
        ),
        Number(
            title="API server",
            about="1 while it says that it is ready. Without it nothing can be changed.",
            unit="short",
            queries=(Query(least("kpi_apiserver_ready"), "ready"),),
            bad_below=1,
        ),
        Number(
            title="Names resolved",
            about="Share of the configured names that cluster DNS found in time.",
            unit="percentunit",
            queries=(Query(f"avg({least('kpi_dns_lookup_success', 'name')})", "resolved"),),
            bad_below=1,
        ),
        kpi_number("node_cpu_ratio", "Busiest node", "CPU of allocatable, over 5 minutes."),
        kpi_number("node_memory_ratio", "Fullest node", "Memory of allocatable, over 5 minutes."),
        States(
            title="Which node is in trouble?",
            about="Red: the kubelet reports pressure or an unusable network, or the node is not"
            " ready.",
            unit="short",
            queries=(
                Query(
                    gauge("kpi_node_condition", "node", "condition", where=OF_NODE),
                    "{{node}} {{condition}}",
                ),
                Query(
                    f"1 - {least('kpi_node_ready', 'node', where=OF_NODE)}", "{{node}} not ready"
                ),
            ),
            yes="trouble",
            no="well",
            good=False,
            guides=("KpiNodeNotReady", "KpiNodePressure"),
        ),
    ),
)

NODE_USE = Row(
    "Which nodes are busy?",
    (
        kpi_lines(
            "node_cpu_ratio",
            "Node CPU used of allocatable",
            "Over 5 minutes.",
            width=8,
            guide="KpiNodeCpuHigh",
        ),
        kpi_lines(
            "node_memory_ratio",
            "Node memory used of allocatable",
            "Over 5 minutes; what cannot be reclaimed at once. Near 1 pods are evicted.",
            width=8,
            guide="KpiNodeMemoryHigh",
        ),
        kpi_lines(
            "node_disk_ratio",
            "Node disk used",
            "The fullest filesystem. From 85 % on the kubelet deletes images and evicts pods.",
            width=8,
            guide="KpiNodeDiskHigh",
        ),
    ),
)

POD_USE = Row(
    "Which pods use most?",
    (
        Bars(
            title="Pods by memory",
            about="The ten largest now, as `kubectl top pods --sort-by=memory` lists them.",
            unit="bytes",
            queries=(
                Query(
                    highest(10, gauge("kpi_pod_memory_usage_bytes", *POD, where=OF_WORKLOAD)),
                    POD_NAME,
                ),
            ),
        ),
        Bars(
            title="Pods by CPU",
            about="Cores of the ten busiest now.",
            unit="short",
            queries=(
                Query(
                    highest(10, gauge("kpi_pod_cpu_usage_cores", *POD, where=OF_WORKLOAD)),
                    POD_NAME,
                ),
            ),
        ),
        kpi_lines("workload_cpu_ratio", "CPU used of requests", "What autoscalers count."),
        kpi_lines(
            "workload_memory_ratio", "Memory used of requests", "A line that only rises is a leak."
        ),
    ),
)

NETWORK = Row(
    "Where does the traffic go?",
    (
        Lines(
            title="Network of the nodes",
            about="Of each interface that leads out of the node; sent below 0.",
            unit="Bps",
            queries=(
                Query(
                    rate(
                        "kpi_node_network_receive_bytes_total", "node", "interface", where=OF_NODE
                    ),
                    "{{node}} {{interface}} received",
                    SUMMARY_STEP,
                ),
                Query(
                    "-"
                    + rate(
                        "kpi_node_network_transmit_bytes_total", "node", "interface", where=OF_NODE
                    ),
                    "{{node}} {{interface}} sent",
                    SUMMARY_STEP,
                ),
            ),
            low=None,
        ),
        Lines(
            title="Network of the pods",
            about="Received and sent together, by workload.",
            unit="Bps",
            queries=(
                Query(
                    total(
                        " + ".join(
                            rate(
                                f"kpi_pod_network_{way}_bytes_total",
                                *POD,
                                "workload",
                                where=OF_WORKLOAD,
                            )
                            for way in ("receive", "transmit")
                        ),
                        "namespace",
                        "workload",
                    ),
                    "{{namespace}}/{{workload}}",
                    SUMMARY_STEP,
                ),
            ),
            stacked=True,
        ),
    ),
)

STORAGE = Row(
    "Where does storage fill up?",
    (
        kpi_lines(
            "volume_disk_ratio",
            "Volumes used",
            "A full database volume stops the database.",
            guide="KpiVolumeDiskHigh",
        ),
        Lines(
            title="Space left on volumes",
            about="In bytes, since a ratio hides how little is left of a small one.",
            unit="bytes",
            queries=(
                Query(least("kpi_volume_available_bytes", *CLAIM, where=OF_NAMESPACE), CLAIM_NAME),
            ),
        ),
        Lines(
            title="Space left on nodes",
            about="By filesystem: nodefs holds logs and volumes of pods, imagefs images.",
            unit="bytes",
            queries=(
                Query(
                    least(
                        "kpi_node_filesystem_available_bytes", "node", "filesystem", where=OF_NODE
                    ),
                    "{{node}} {{filesystem}}",
                ),
            ),
        ),
        Bars(
            title="Volume claims not bound",
            about="Pending: no volume could be made, or no pod asks yet. Lost: the volume is gone.",
            unit="short",
            queries=(
                Query(
                    gauge(
                        "kpi_pvc_phase", *CLAIM, "phase", where=f'phase!="Bound", {OF_NAMESPACE}'
                    ),
                    CLAIM_NAME + " {{phase}}",
                ),
            ),
        ),
    ),
)

PODS = Row(
    "What restarts, and why?",
    (
        RESTARTS,
        kpi_lines(
            "unready_pods",
            "Pods not ready",
            "The most within 2 minutes. A rollout shows as a peak; a line that stays is one that"
            " does not come to its end.",
            guide="KpiPodsNotReady",
        ),
        Bars(
            title="Why did containers last end?",
            about="OOMKilled: more memory than the limit. Error: the program ended by itself.",
            unit="short",
            queries=(
                Query(
                    gauge(
                        "kpi_pod_container_last_terminated_reason", *CONTAINER, where=OF_WORKLOAD
                    ),
                    "{{pod}} {{container}}: {{reason}}",
                ),
            ),
            guides=("KpiPodOutOfMemory",),
        ),
        Bars(
            title="Why do containers wait?",
            about="CrashLoopBackOff: see the previous log. ImagePullBackOff: see the events.",
            unit="short",
            queries=(
                Query(
                    gauge("kpi_pod_container_waiting_reason", *CONTAINER, where=OF_WORKLOAD),
                    "{{pod}} {{container}}: {{reason}}",
                ),
            ),
            guides=("KpiPodCrashLooping",),
        ),
        Lines(
            title="What does Kubernetes warn of?",
            about="Warning events by what they are about.",
            unit="short",
            queries=(
                Query(
                    total(
                        increase(
                            "kpi_warning_events_total",
                            "namespace",
                            "kind",
                            "reason",
                            where=OF_NAMESPACE,
                        ),
                        "kind",
                        "reason",
                    ),
                    "{{kind}} {{reason}}",
                ),
            ),
            stacked=True,
            width=24,
        ),
    ),
)

SCALING = Row(
    "Do autoscalers and budgets keep up?",
    (
        Lines(
            title="Replicas by autoscaler",
            about="Wanted at the maximum for long: raise the maximum or make the pods cheaper.",
            unit="short",
            queries=tuple(
                Query(
                    gauge(f"kpi_hpa_replicas_{part}", *HPA, where=OF_WORKLOAD),
                    f"{HPA_NAME} {word}",
                )
                for part, word in (("current", "now"), ("desired", "wanted"), ("max", "most"))
            ),
            guides=("KpiAutoscalerAtMax",),
        ),
        Lines(
            title="Evictions that budgets allow",
            about="0: a drain of the node waits until more pods are ready.",
            unit="short",
            queries=(
                Query(
                    least("kpi_pdb_disruptions_allowed", "namespace", "pdb", where=OF_NAMESPACE),
                    "{{namespace}}/{{pdb}}",
                ),
            ),
        ),
    ),
)

BOARD = Board(
    uid="runbookd-infrastructure",
    title="Infrastructure",
    about="Are nodes, pods, network and volumes well, and which of them is not?",
    rows=(NOW, NODE_USE, POD_USE, PODS, NETWORK, STORAGE, SCALING),
    variables=(NAMESPACE, WORKLOADS, NODES),
    events=(ROLLOUTS, ALERTS),
)
