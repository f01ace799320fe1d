"""What the API server says of itself."""

from exporter.kinds.apiserver import METRICS, MOST_CHECKS, ready_samples, version_samples
from exporter.ports import Answer
from tests.kube_cases import DATA
from tests.published import lines


def ready(name: str, status: int) -> list[str]:
    return lines(METRICS, ready_samples(Answer(status, (DATA / name).read_bytes()), 0.25))


def test_each_check_of_a_ready_server_has_a_series() -> None:
    page = ready("readyz.txt", 200)
    assert page[0] == "kpi_apiserver_ready 1.0"
    assert 'kpi_apiserver_check_ok{check="etcd"} 1.0' in page
    assert (
        'kpi_apiserver_check_ok{check="poststarthook/start-apiextensions-controllers"} 1.0' in page
    )
    assert "kpi_apiserver_response_seconds 0.25" in page
    assert len(page) == (DATA / "readyz.txt").read_text().count("[+]") + 2


def test_a_server_without_its_store_is_not_ready_and_says_why() -> None:
    page = ready("readyz_failing.txt", 500)
    assert page[0] == "kpi_apiserver_ready 0.0"
    failing = [line for line in page if line.endswith(" 0.0")][1:]
    assert failing == [
        'kpi_apiserver_check_ok{check="etcd"} 0.0',
        'kpi_apiserver_check_ok{check="etcd-readiness"} 0.0',
    ]


def test_an_answer_without_checks_tells_readiness_alone() -> None:
    page = lines(METRICS, ready_samples(Answer(200, b"ok"), 0.1))
    assert page == ["kpi_apiserver_ready 1.0", "kpi_apiserver_response_seconds 0.1"]


def test_no_more_checks_are_published_than_there_may_be() -> None:
    body = b"".join(b"[+]check-%d ok\n" % number for number in range(1000)) + b"[+] \n[+]\n\xff\n"
    page = lines(METRICS, ready_samples(Answer(200, body), 0.1))
    assert len(page) == MOST_CHECKS + 2


def test_the_version_is_read_and_what_is_none_is_left_out() -> None:
    body = (DATA / "version.json").read_bytes()
    assert lines(METRICS, version_samples(Answer(200, body))) == [
        'kpi_apiserver_info{version="v1.37.2"} 1.0'
    ]
    for answer in (
        Answer(403, body),
        Answer(200, b"<html>"),
        Answer(200, b"{}"),
        Answer(200, b"[]"),
    ):
        assert lines(METRICS, version_samples(answer)) == []
