"""The AWS collector on moto, over HTTP, with faults put in where moto knows none."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from exporter.aws_port import AwsAccount
from exporter.clients.open import OpenClients
from exporter.collectors.aws import SPEC, Settings
from exporter.contract import PolledSource
from exporter.shared.clock import SystemClock
from exporter.shared.errors import NotFoundError, PermanentError, TransientError
from tests.bed import aws_account as account
from tests.bed.aws import ACCOUNT, ENVIRONMENT, REGION, Aws, Fault
from tests.bed.process import free_port
from tests.fake_clients import lines

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROLE = f"arn:aws:iam::{ACCOUNT}:role/runbookd"
CLUSTER = 'eks_cluster="shop"'
NODES = f'{CLUSTER},nodegroup="nodes"'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def moto() -> AsyncIterator[Aws]:
    async with Aws.start() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def aws(moto: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    await moto.reset()
    return moto


@pytest_asyncio.fixture(loop_scope="module")
async def clients() -> AsyncIterator[OpenClients]:
    opened = OpenClients(kubeconfig=None, applications=(), clock=SystemClock())
    yield opened
    await opened.close()


def sources(clients: OpenClients, aws: Aws, **settings: object) -> dict[str, PolledSource]:
    document = {"endpoint_url": aws.url, "region": REGION, "requests_per_second": 100, **settings}
    found = SPEC.sources(Settings.model_validate(document), clients)
    return {one.name: one for one in found if isinstance(one, PolledSource)}


async def collect(clients: OpenClients, aws: Aws, name: str, **settings: object) -> list[str]:
    return lines(await sources(clients, aws, **settings)[name].collect())


async def requests(clients: OpenClients, aws: Aws) -> dict[str, float]:
    """Return the counters of requests by `api outcome`."""
    found = await collect(clients, aws, "requests")
    words = (line.replace('"', " ").split() for line in found)
    return {f"{parts[1]} {parts[3]}": float(parts[-1]) for parts in words}


async def test_a_cluster_is_described_with_its_node_groups(aws: Aws, clients: OpenClients) -> None:
    await account.cluster(aws, "nodes")
    found = await collect(clients, aws, "eks-shop", clusters=["shop"])
    about = 'version="1.34",release_version="1.34.1-20251103",status="ACTIVE"'
    assert found[0].startswith(f'kpi_eks_cluster_info{{{CLUSTER},version="1.34",')
    assert found[1:] == [
        f'kpi_eks_support_ends_timestamp_seconds{{{CLUSTER},version="1.34"}} 1.79617e+09',
        f"kpi_eks_nodegroup_info{{{NODES},{about}}} 1",
        f"kpi_eks_nodegroup_desired_nodes{{{NODES}}} 3",
        f"kpi_eks_nodegroup_min_nodes{{{NODES}}} 1",
        f"kpi_eks_nodegroup_max_nodes{{{NODES}}} 5",
        f"kpi_eks_nodegroup_healthy{{{NODES}}} 1",
    ]


async def test_every_page_of_node_groups_is_read(aws: Aws, clients: OpenClients) -> None:
    await account.cluster(aws, "nodes", "spot")
    first, last = b'{"nodegroups": ["nodes"], "nextToken": "t"}', b'{"nodegroups": ["spot"]}'
    pages = "/clusters/shop/node-groups "
    aws.faults.extend([Fault(200, first, when=pages), Fault(200, last, when=pages)])
    found = await collect(clients, aws, "eks-shop", clusters=["shop"])
    assert sum(line.startswith("kpi_eks_nodegroup_desired_nodes") for line in found) == 2
    assert (await requests(clients, aws))["eks:ListNodegroups success"] == 2


async def test_a_cluster_that_is_not_there_says_so(aws: Aws, clients: OpenClients) -> None:
    with pytest.raises(NotFoundError, match="eks:DescribeCluster: ResourceNotFoundException"):
        await collect(clients, aws, "eks-else", clusters=["else"])
    assert (await requests(clients, aws))["eks:DescribeCluster failed"] == 1


async def test_targets_are_counted_by_health_and_reason(aws: Aws, clients: OpenClients) -> None:
    await account.target_group(aws)
    found = await collect(clients, aws, "target-groups", target_groups={})
    assert found == [
        'kpi_target_group_healthy_targets{target_group="task-manager"} 2',
        'kpi_target_group_registered_targets{target_group="task-manager"} 2',
    ]
    aws.faults.append(Fault(200, account.UNHEALTHY_TARGET, when="Action=DescribeTargetHealth"))
    unhealthy = 'target_group="task-manager",state="unhealthy",reason="Target.ResponseCodeMismatch"'
    assert await collect(clients, aws, "target-groups", target_groups={}) == [
        'kpi_target_group_healthy_targets{target_group="task-manager"} 1',
        'kpi_target_group_registered_targets{target_group="task-manager"} 2',
        f"kpi_target_group_unhealthy_targets{{{unhealthy}}} 1",
    ]


async def test_a_group_that_goes_between_two_questions_is_left_out(
    aws: Aws, clients: OpenClients
) -> None:
    await account.target_group(aws)
    gone = b"<ErrorResponse><Error><Code>TargetGroupNotFound</Code></Error></ErrorResponse>"
    aws.faults.append(Fault(400, gone, when="Action=DescribeTargetHealth"))
    assert await collect(clients, aws, "target-groups", target_groups={}) == []


async def test_a_group_named_is_the_only_one_asked_about(aws: Aws, clients: OpenClients) -> None:
    await account.target_group(aws)
    with pytest.raises(NotFoundError, match="TargetGroupNotFound"):
        await collect(clients, aws, "target-groups", target_groups={"names": ["else"]})


async def test_backups_are_told_by_the_newest_and_by_how_many(
    aws: Aws, clients: OpenClients
) -> None:
    began = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - moto writes its own time
    others = ("database/c.sql.sha256", "other/d.sql")
    await account.bucket(aws, "database/a.sql", "database/b.sql", *others)
    backup = {"name": "tasks", "bucket": account.BUCKET, "suffix": ".sql"}
    source = sources(clients, aws, backups=[backup])["backup-tasks"]
    newest, *rest = (await source.collect()).samples
    assert newest.metric.name == "kpi_backup_newest_timestamp_seconds"
    assert 0 <= newest.value - began.timestamp() < 60
    assert [(one.metric.name, one.value) for one in rest] == [
        ("kpi_backup_newest_size_bytes", 2),
        ("kpi_backup_kept", 2),
        ("kpi_backup_expired", 0),
    ]


async def test_without_a_backup_none_is_kept_and_none_is_newest(
    aws: Aws, clients: OpenClients
) -> None:
    await account.bucket(aws)
    found = await collect(
        clients, aws, "backup-tasks", backups=[{"name": "tasks", "bucket": account.BUCKET}]
    )
    assert found == ['kpi_backup_kept{backup="tasks"} 0', 'kpi_backup_expired{backup="tasks"} 0']


async def test_a_bucket_with_too_many_keys_is_not_half_counted(
    aws: Aws, clients: OpenClients
) -> None:
    await account.bucket(aws, *(f"database/{number}" for number in range(3)))
    backup = {"name": "tasks", "bucket": account.BUCKET, "max_objects": 2}
    with pytest.raises(PermanentError, match="more than 2 objects"):
        await collect(clients, aws, "backup-tasks", backups=[backup])


async def test_findings_of_an_image_are_counted_by_severity(aws: Aws, clients: OpenClients) -> None:
    await aws.do("ecr", "create_repository", repositoryName="task-manager")
    await account.scan(aws, await account.image(aws, "v3"), CRITICAL=1, LOW=7)
    seen = await collect(clients, aws, "ecr-task-manager", ecr={"names": ["task-manager"]})
    image = 'repository="task-manager",tag="v3"'
    assert seen[0].startswith(f"kpi_ecr_image_pushed_timestamp_seconds{{{image}}} ")
    assert seen[1] == f'kpi_ecr_image_scan_status{{{image},status="COMPLETE"}} 1'
    counts = dict.fromkeys(("CRITICAL", "HIGH", "MEDIUM", "LOW"), 0) | {"CRITICAL": 1, "LOW": 7}
    assert seen[2:6] == [
        f'kpi_ecr_image_findings{{{image},severity="{severity}"}} {count}'
        for severity, count in counts.items()
    ]


async def test_an_image_that_was_never_scanned_has_no_findings_not_zero(
    aws: Aws, clients: OpenClients
) -> None:
    await aws.do("ecr", "create_repository", repositoryName="task-manager")
    await account.image(aws, "v3")
    seen = await collect(clients, aws, "ecr-task-manager", ecr={"names": ["task-manager"]})
    assert seen[1:] == [
        'kpi_ecr_image_scan_status{repository="task-manager",tag="v3",status="NOT_SCANNED"} 1'
    ]


def query(number: int, **more: object) -> dict[str, object]:
    return {"name": f"q{number}", "namespace": "Shop", "metric": f"latency-{number}", **more}


async def test_metrics_are_read_in_batches_of_500(aws: Aws, clients: OpenClients) -> None:
    now = datetime.now(UTC)  # noqa: TID251 - moto keeps real time
    ago = ((8, 1.0), (6, 3.0), (0, 99.0))  # the last is newer than the delay
    values = [(now - timedelta(minutes=minutes), value) for minutes, value in ago]
    await account.figure(aws, "Shop", "latency-500", *values)
    settings = {"queries": [query(number) for number in range(501)], "delay": "2m"}
    found = await collect(clients, aws, "cloudwatch", cloudwatch=settings)
    assert found[0] == 'kpi_cloudwatch_value{query="q500"} 3'
    assert len(found) == 2, "what CloudWatch does not know has no value"
    assert (await requests(clients, aws))["cloudwatch:GetMetricData success"] == 2


async def test_costs_are_asked_for_by_service_and_day(aws: Aws, clients: OpenClients) -> None:
    today = datetime.now(UTC).date()  # noqa: TID251 - the collector has the real clock
    await account.bill(aws, today, "Amazon EKS", 2.4)
    found = await collect(clients, aws, "cost", cost={})
    assert found[0] == 'kpi_aws_cost_yesterday{aws_service="Amazon EKS",currency="USD"} 2.4'


@pytest.mark.parametrize(
    ("fault", "error", "outcome"),
    [
        (Fault(400, b'{"__type": "ThrottlingException"}'), TransientError, "throttled"),
        (Fault(429, b"{}"), TransientError, "throttled"),
        (Fault(500, b"{}"), TransientError, "failed"),
        (Fault(503, b"{}"), TransientError, "failed"),
        (Fault(403, b'{"__type": "AccessDeniedException"}'), PermanentError, "denied"),
        (Fault(400, b'{"__type": "ExpiredTokenException"}'), TransientError, "failed"),
        (Fault(400, b'{"__type": "InvalidParameterException"}'), PermanentError, "failed"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_refusal_is_counted_and_tells_what_to_do(
    aws: Aws, clients: OpenClients, fault: Fault, error: type[Exception], outcome: str
) -> None:
    aws.faults.append(fault)
    with pytest.raises(error, match="eks:DescribeCluster"):
        await collect(clients, aws, "eks-shop", clusters=["shop"])
    counted = await requests(clients, aws)
    assert {key: count for key, count in counted.items() if count} == {
        f"eks:DescribeCluster {outcome}": 1
    }
    assert aws.requests == 1, "nothing is retried behind our back"


async def test_an_address_where_nobody_listens_may_answer_later(
    aws: Aws, clients: OpenClients
) -> None:
    account = AwsAccount(region=REGION, endpoint_url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TransientError, match="eks:ListClusters: EndpointConnectionError"):
        await clients.aws(account).call("eks", "list_clusters")
    assert aws.requests == 0


async def test_a_profile_that_is_not_there_is_ours_to_mend(aws: Aws, clients: OpenClients) -> None:
    with pytest.raises(PermanentError, match="ProfileNotFound"):
        await collect(clients, aws, "eks-shop", clusters=["shop"], profile="else")


async def test_no_request_leaves_before_the_first_pass(aws: Aws, clients: OpenClients) -> None:
    sources(clients, aws, clusters=["shop"], target_groups={}, cost={})
    assert aws.requests == 0


async def test_a_role_is_assumed_once_for_all_services(aws: Aws, clients: OpenClients) -> None:
    await account.cluster(aws, "nodes")
    await account.bucket(aws)
    settings: dict[str, object] = {
        "role_arn": ROLE,
        "clusters": ["shop"],
        "backups": [{"name": "tasks", "bucket": account.BUCKET}],
    }
    for name in ("eks-shop", "backup-tasks"):
        await collect(clients, aws, name, **settings)
    counted = lines(await sources(clients, aws, role_arn=ROLE)["requests"].collect())
    assert any('api="sts:AssumeRole",outcome="success"} 1' in line for line in counted)


async def test_a_role_that_may_not_be_assumed_is_named_and_nothing_else_is_asked(
    aws: Aws, clients: OpenClients
) -> None:
    said = b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"
    aws.faults.append(Fault(403, said, when="Action=AssumeRole"))
    with pytest.raises(PermanentError, match="sts:AssumeRole: AccessDenied"):
        await collect(clients, aws, "eks-shop", clusters=["shop"], role_arn=ROLE)
    counted = lines(await sources(clients, aws, role_arn=ROLE)["requests"].collect())
    outcomes = {"denied": 1, "failed": 0, "success": 0, "throttled": 0}
    assert counted == [
        f'kpi_aws_requests_total{{api="sts:AssumeRole",outcome="{outcome}"}} {count}'
        for outcome, count in outcomes.items()
    ]


async def test_requests_are_paced(aws: Aws, clients: OpenClients) -> None:
    account = AwsAccount(region=REGION, endpoint_url=aws.url, requests_per_second=2)
    connection = clients.aws(account)
    began = clients.clock.monotonic()
    for _ in range(12):
        await connection.call("eks", "list_clusters")
    assert clients.clock.monotonic() - began > 0.99, "ten at once, then one each half second"
