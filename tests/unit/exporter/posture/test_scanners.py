"""Reports in the form of Trivy 0.5x and of the trivy-operator, whatever is missing in them."""

import copy
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from exporter.posture.scanners import (
    Scan,
    VulnerabilityReport,
    created,
    newest,
    of_file,
    of_object,
    read_folder,
)
from exporter.shared.errors import PermanentError
from tests.json_fields import changed, paths

TRIVY: Mapping[str, object] = {
    "SchemaVersion": 2,
    "CreatedAt": "2026-11-20T10:00:00.123456789Z",
    "ArtifactName": "registry:5000/task-manager:v3",
    "ArtifactType": "container_image",
    "Metadata": {
        "OS": {"Family": "debian", "Name": "12.8"},
        "ImageID": "sha256:config",
        "RepoTags": ["registry:5000/task-manager:v3"],
        "RepoDigests": ["registry:5000/task-manager@sha256:abc"],
        "ImageConfig": {"architecture": "amd64", "created": "2026-10-01T08:00:00Z"},
    },
    "Results": [
        {
            "Target": "registry:5000/task-manager:v3 (debian 12.8)",
            "Class": "os-pkgs",
            "Vulnerabilities": [
                {"VulnerabilityID": "CVE-2024-1", "PkgName": "a", "Severity": "CRITICAL"},
                {"VulnerabilityID": "CVE-2024-2", "PkgName": "b", "Severity": "LOW"},
                {"VulnerabilityID": "CVE-2024-3", "PkgName": "b", "Severity": "LOW"},
            ],
        },
        {"Target": "Python", "Class": "lang-pkgs"},
    ],
}
OPERATOR: Mapping[str, object] = {
    "metadata": {
        "name": "replicaset-task-manager-5d4f8c7b9-task-manager",
        "namespace": "default",
        "creationTimestamp": "2026-11-19T10:00:00Z",
        "labels": {"trivy-operator.resource.kind": "ReplicaSet"},
    },
    "report": {
        "artifact": {"repository": "library/nginx", "tag": "1.27", "digest": "sha256:def"},
        "registry": {"server": "index.docker.io"},
        "scanner": {"name": "Trivy", "version": "0.57.1"},
        "summary": {
            "criticalCount": 1,
            "highCount": 2,
            "mediumCount": 3,
            "lowCount": 4,
            "noneCount": 0,
            "unknownCount": 0,
        },
        "updateTimestamp": "2026-11-21T10:00:00Z",
        "vulnerabilities": [{"vulnerabilityID": "CVE-2024-9", "severity": "CRITICAL"}],
    },
}


def file(raw: object) -> Scan:
    return of_file(json.dumps(raw).encode())


def operator(raw: object) -> Scan:
    return of_object(msgspec.json.decode(json.dumps(raw), type=VulnerabilityReport))


def test_a_file_is_counted_by_severity_and_tells_when_the_image_was_built() -> None:
    scan = file(TRIVY)
    assert scan.image == "registry:5000/task-manager:v3"
    assert scan.counts == {"CRITICAL": 1, "HIGH": 0, "MEDIUM": 0, "LOW": 2, "UNKNOWN": 0}
    built = datetime(2026, 10, 1, 8, tzinfo=UTC)
    assert created([scan]) == {"registry:5000/task-manager:v3": built, "sha256:abc": built}


def test_an_object_is_told_by_its_summary() -> None:
    scan = operator(OPERATOR)
    assert scan.image == "index.docker.io/library/nginx:1.27"
    assert list(scan.counts.values()) == [1, 2, 3, 4, 0]
    assert scan.at == datetime(2026, 11, 21, 10, tzinfo=UTC)


@pytest.mark.parametrize("path", list(paths(TRIVY)), ids=str)
def test_any_field_of_a_file_may_be_missing_but_what_makes_it_one(path: tuple[object, ...]) -> None:
    raw = changed(TRIVY, path)
    if path in (("SchemaVersion",), ("ArtifactName",)):
        with pytest.raises(ValueError, match="not a report"):
            file(raw)
    else:
        assert set(file(raw).counts) == {"CRITICAL", "HIGH", "MEDIUM", "LOW", "UNKNOWN"}


@pytest.mark.parametrize("path", list(paths(OPERATOR)), ids=str)
def test_any_field_of_an_object_may_be_missing(path: tuple[object, ...]) -> None:
    whole, scan = operator(OPERATOR), operator(changed(OPERATOR, path))
    assert scan.counts.items() <= whole.counts.items()


def test_the_newest_report_of_an_image_counts() -> None:
    at = [datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2, 3)]
    scans = [Scan("trivy", "a", time, {"HIGH": 1}) for time in (at[1], at[2], at[0], None)]
    assert newest([*scans, Scan("trivy", "b", None, {})]) == [
        scans[1],
        Scan("trivy", "b", None, {}),
    ]
    assert newest(reversed(scans)) == [scans[1]]


def test_a_folder_is_read_with_the_folders_below_and_what_is_no_report_is_counted(
    tmp_path: Path,
) -> None:
    for folder in ("below", "..data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "..data" / "a.json").write_text(json.dumps(TRIVY))
    (tmp_path / "below" / "a.json").write_text(json.dumps(TRIVY))
    (tmp_path / "b.json").write_text("{}")
    (tmp_path / "c.json").write_text(json.dumps(copy.deepcopy(dict(TRIVY))) + " " * 5000)
    (tmp_path / "d.txt").write_text("no report, and none meant")
    scans, unreadable = read_folder(tmp_path, most=10, max_bytes=5000)
    assert len(scans) == 1
    assert unreadable == 2


def test_a_folder_that_is_missing_or_too_full_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="No such file"):
        read_folder(tmp_path / "else", most=1, max_bytes=1)
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(PermanentError, match="max_reports"):
        read_folder(tmp_path, most=1, max_bytes=1)
