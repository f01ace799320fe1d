"""Responder: what it was told, what it decided and did, how fast, and whom it told."""

from charts.dashboards.board import (
    ALERTS,
    Board,
    Heat,
    Lines,
    Number,
    Query,
    Row,
    happened,
    total,
)


def counted(name: str, *labels: str) -> str:
    """Return how many more there are of a counter, all replicas together."""
    return total(happened(f"responder_{name}"), *labels)


def quantile(share: float, name: str) -> str:
    """Return a percentile of a day's observations: incidents are too rare for less."""
    return f"histogram_quantile({share}, sum by (le) (increase(responder_{name}_bucket[1d])))"


NOW = Row(
    "Is anything going on?",
    (
        Number(
            title="Incidents open",
            about="Not over yet: being cured, or waiting for people.",
            unit="short",
            queries=(Query("max(responder_incidents_open)", "open"),),
            bad_above=1,
        ),
        Number(
            title="Deliveries waiting",
            about="Stored, not yet worked on. Above 0 for minutes: the engine is stuck.",
            unit="short",
            queries=(Query("max(responder_inbox_depth)", "waiting"),),
            bad_above=100,
        ),
        Number(
            title="Messages waiting",
            about="To people. Above 0 for minutes: a receiver is not reached.",
            unit="short",
            queries=(Query("max(responder_outbox_depth)", "waiting"),),
            bad_above=10,
        ),
        Number(
            title="Time since the last delivery",
            about="Alertmanager repeats what fires; silence is normal only while nothing does.",
            unit="s",
            queries=(
                Query(
                    "time() - max(responder_last_intake_timestamp_seconds > 0)", "since the last"
                ),
            ),
        ),
        Number(
            title="Time to act (median of a day)",
            about="From the start of an incident to its first effect.",
            unit="s",
            queries=(Query(quantile(0.5, "time_to_act_seconds"), "median"),),
        ),
        Number(
            title="Time to verify (median of a day)",
            about="From the start of an incident to the verified cure.",
            unit="s",
            queries=(Query(quantile(0.5, "time_to_verify_seconds"), "median"),),
        ),
    ),
)

INTAKE = Row(
    "What arrives?",
    (
        Lines(
            title="Alerts received",
            about="Repeats included. A storm is held and told to people once.",
            unit="short",
            queries=(Query(counted("alerts_received_total"), "alerts"),),
            width=8,
        ),
        Lines(
            title="Deliveries by result",
            about="Anything but stored: Alertmanager tries again, and people should look.",
            unit="short",
            queries=(Query(counted("deliveries_total", "result"), "{{result}}"),),
            stacked=True,
            width=8,
        ),
        Lines(
            title="What could not be used",
            about="Kept as dead letters, cut off (max_alerts), or learned from Alertmanager's API.",
            unit="short",
            queries=(
                Query(counted("dead_letters_total", "reason"), "dead letter: {{reason}}"),
                Query(counted("alerts_truncated_total"), "alerts cut off"),
                Query(
                    counted("alerts_reconciled_total", "status"), "learned by asking: {{status}}"
                ),
            ),
            stacked=True,
            width=8,
        ),
    ),
)

DECISIONS = Row(
    "What is decided, and why?",
    (
        Lines(
            title="Incidents open over time",
            about="Compare with the alerts that are marked.",
            unit="short",
            queries=(Query("max(responder_incidents_open)", "open"),),
        ),
        Lines(
            title="The gate's verdicts by reason",
            about="Refused and held name what stands in the way; each is in the timeline too.",
            unit="short",
            queries=(
                Query(
                    counted("gate_verdicts_total", "verdict", "reason"), "{{verdict}}: {{reason}}"
                ),
            ),
            stacked=True,
        ),
        Lines(
            title="Steps by outcome",
            about="What was done, by action.",
            unit="short",
            queries=(
                Query(counted("actions_total", "action", "outcome"), "{{action}} {{outcome}}"),
            ),
            stacked=True,
        ),
        Lines(
            title="Runs by result",
            about="Cured is what they are for; anything else went to people.",
            unit="short",
            queries=(Query(counted("runs_total", "result"), "{{result}}"),),
            stacked=True,
        ),
    ),
)

SPEED = Row(
    "How long does it take?",
    (
        Heat(
            title="From the start of an incident to its first effect",
            about="The first bound is 5 s; the guide's levels are at 15 and 60 minutes.",
            unit="s",
            queries=(Query(counted("time_to_act_seconds_bucket", "le"), "{{le}}"),),
        ),
        Heat(
            title="From the start of an incident to the verified cure",
            about="Settle and window of the verification are in it.",
            unit="s",
            queries=(Query(counted("time_to_verify_seconds_bucket", "le"), "{{le}}"),),
        ),
    ),
)

PEOPLE = Row(
    "Are people told, and is the machine itself well?",
    (
        Lines(
            title="Messages by receiver and result",
            about="Failures are tried again; they are also the reason to look at the receiver.",
            unit="short",
            queries=(
                Query(
                    counted("notifications_total", "receiver", "result"), "{{receiver}} {{result}}"
                ),
            ),
            stacked=True,
        ),
        Lines(
            title="Queues",
            about="Deliveries before their commit, deliveries before they are worked on, messages.",
            unit="short",
            queries=(
                Query("max(responder_intake_waiting)", "before commit"),
                Query("max(responder_inbox_depth)", "inbox"),
                Query("max(responder_outbox_depth)", "outbox"),
            ),
        ),
        Lines(
            title="What the auditor found",
            about="Stuck, dead or unstarted work, which it sets going again.",
            unit="short",
            queries=(Query(counted("audit_findings_total", "finding"), "{{finding}}"),),
            stacked=True,
        ),
        Lines(
            title="Replicas, and what moved between them",
            about="0: the store is not shared, and there is one. Evicted: taken for dead, since it"
            " was silent.",
            unit="short",
            queries=(
                Query("max(responder_replicas)", "replicas"),
                Query(counted("evictions_total"), "evicted"),
                Query(counted("workflows_taken_over_total"), "workflows taken over"),
            ),
        ),
    ),
)

BOARD = Board(
    uid="runbookd-responder",
    title="Responder",
    about="What was it told, what did it decide and do, how fast, and whom did it tell?",
    rows=(NOW, INTAKE, DECISIONS, SPEED, PEOPLE),
    events=(ALERTS,),
    since="now-24h",
)
