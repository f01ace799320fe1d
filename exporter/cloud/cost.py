"""Cost Explorer: what each service of AWS costs. Each request costs one US cent itself."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta

from exporter.aws_port import Aws
from exporter.cloud.answers import Pascal, read
from exporter.contract import OTHER, Metric, Sample

SERVICE = ("aws_service", "currency")

YESTERDAY = Metric(
    "kpi_aws_cost_yesterday",
    "Cost of the last whole day (UTC), by service; AWS goes on correcting it for a day.",
    labels=SERVICE,
)
MONTH = Metric(
    "kpi_aws_cost_month_to_date",
    "Cost of this month's whole days (UTC) so far, by service.",
    labels=SERVICE,
)
METRICS = (YESTERDAY, MONTH)

Bill = Mapping[tuple[str, str], float]
"""(service, currency) → cost."""

MOST_SERVICES = 20
"""Services with a series of their own, the dearest; the rest becomes `Other`."""

METRIC = "UnblendedCost"


class Amount(Pascal, frozen=True):
    """An amount of money; the API writes it as text."""

    amount: str = "0"
    unit: str = ""


class Group(Pascal, frozen=True):
    """A service and its cost."""

    keys: list[str] | None = None
    metrics: dict[str, Amount] | None = None


class Period(Pascal, frozen=True):
    """Its days: the end does not belong to it."""

    start: str = ""


class Day(Pascal, frozen=True):
    """The cost of one day."""

    time_period: Period = Period()
    groups: list[Group] | None = None


class Costs(Pascal, frozen=True):
    """A page of GetCostAndUsage."""

    results_by_time: list[Day] | None = None
    next_page_token: str | None = None


async def collect(aws: Aws, now: datetime) -> Sequence[Sample]:
    """Ask for the days of this month, and for yesterday where that was another month."""
    today = now.date()
    yesterday = today - timedelta(days=1)
    asked: dict[str, object] = {
        "TimePeriod": {
            "Start": min(yesterday, today.replace(day=1)).isoformat(),
            "End": today.isoformat(),
        },
        "Granularity": "DAILY",
        "Metrics": [METRIC],
        "GroupBy": [{"Type": "DIMENSION", "Key": "SERVICE"}],
    }
    days: list[Day] = []
    while True:
        page = read(await aws.call("ce", "get_cost_and_usage", **asked), Costs)
        days += page.results_by_time or ()
        if not page.next_page_token:
            return list(cost_samples(days, today))
        asked["NextPageToken"] = page.next_page_token


def cost_samples(days: Iterable[Day], today: date) -> Iterator[Sample]:
    """Add up the days, by service."""
    yesterday, first = (today - timedelta(days=1)).isoformat(), today.replace(day=1).isoformat()
    bills = [(day.time_period.start, _bill(day)) for day in days]
    total = _sum(bill for _, bill in bills)
    dearest = frozenset(sorted(total, key=lambda each: (-total[each], each))[:MOST_SERVICES])
    of_yesterday = _sum(bill for start, bill in bills if start == yesterday)
    of_month = _sum(bill for start, bill in bills if start >= first)  # ISO dates sort as time does
    for metric, found in ((YESTERDAY, of_yesterday), (MONTH, of_month)):
        for labels, cost in sorted(_shortened(found, dearest).items()):
            yield Sample(metric, labels, cost)


def _sum(bills: Iterable[Bill]) -> Bill:
    total: dict[tuple[str, str], float] = defaultdict(float)
    for bill in bills:
        for service, cost in bill.items():
            total[service] += cost
    return total


def _bill(day: Day) -> Bill:
    """Return the cost of each service and currency; an amount of nothing known is left out."""
    found: dict[tuple[str, str], float] = {}
    for group in day.groups or ():
        amount = (group.metrics or {}).get(METRIC, Amount())
        if group.keys and amount.unit:
            found[group.keys[0], amount.unit] = float(amount.amount)
    return found


def _shortened(costs: Bill, dearest: frozenset[tuple[str, str]]) -> Bill:
    shown: dict[tuple[str, str], float] = defaultdict(float)
    for (service, currency), cost in costs.items():
        shown[service if (service, currency) in dearest else OTHER, currency] += cost
    return shown
