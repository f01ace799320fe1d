"""PodDisruptionBudgets: how many pods may be taken away on purpose."""

from collections.abc import Iterator

from exporter.contract import Sample
from exporter.kinds.words import gauge
from exporter.watch.objects import NO_META, Meta, View

_BUDGET = ("namespace", "pdb")

HEALTHY = gauge("kpi_pdb_pods_healthy", "Pods under the budget that are ready.", _BUDGET)
DESIRED = gauge("kpi_pdb_pods_desired", "Pods that must stay ready.", _BUDGET)
EXPECTED = gauge("kpi_pdb_pods_expected", "Pods under the budget.", _BUDGET)
ALLOWED = gauge("kpi_pdb_disruptions_allowed", "Pods that may be evicted at this moment.", _BUDGET)
METRICS = (HEALTHY, DESIRED, EXPECTED, ALLOWED)


class BudgetStatus(View, frozen=True):
    """Counts of the disruption controller; it writes zeros too."""

    current_healthy: int | None = None
    desired_healthy: int | None = None
    expected_pods: int | None = None
    disruptions_allowed: int | None = None


class Budget(View, frozen=True):
    """policy/v1 PodDisruptionBudget."""

    metadata: Meta = NO_META
    status: BudgetStatus = BudgetStatus()


def samples(budget: Budget) -> Iterator[Sample]:
    """Describe a budget; before the controller has looked at it nothing is known."""
    labels = (budget.metadata.namespace, budget.metadata.name)
    for metric, count in (
        (HEALTHY, budget.status.current_healthy),
        (DESIRED, budget.status.desired_healthy),
        (EXPECTED, budget.status.expected_pods),
        (ALLOWED, budget.status.disruptions_allowed),
    ):
        if count is not None:
            yield Sample(metric, labels, float(count))
