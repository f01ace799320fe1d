"""Looks at all that the compliance report tells of; what cannot be looked at is said to be so."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from exporter.ports import ApiServer
from exporter.posture import reading, report, scanners
from exporter.posture.certificates import not_after
from exporter.posture.report import Check, Limits
from exporter.shared.errors import PermanentError, RunbookdError


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked at beyond what needs no special right."""

    secrets: bool
    certificates: bool
    vulnerability_reports: bool
    reports: Path | None
    max_reports: int
    max_report_bytes: int


Look = Callable[[], Awaitable[Iterable[Check]]]


class Examination:
    """Looks at one cluster, at one time."""

    def __init__(self, kube: ApiServer, wanted: Wanted, now: datetime, limits: Limits) -> None:
        self._kube = kube
        self._wanted = wanted
        self._now = now
        self._limits = limits

    async def checks(self) -> list[Check]:
        """Return all checks, in the report's order; none is missing because another failed."""
        wanted = self._wanted
        has_scans = wanted.vulnerability_reports or wanted.reports is not None
        found: list[Check] = []
        found += await _tried("access", "roles and bindings", self._rights)
        found += await _tried("pods", "pods and their images", self._pods)
        found += await _tried("network", "network policies", self._policies)
        found += await self._if(wanted.secrets, "secrets", "ages of secrets", self._secrets)
        found += await _tried("certificates", "the API server's certificate", self._own_certificate)
        found += await self._if(
            wanted.certificates, "certificates", "certificates in TLS secrets", self._certificates
        )
        found += await self._if(has_scans, "images", "findings of scanners", self._scans)
        return found

    async def _if(self, is_wanted: bool, area: str, title: str, look: Look) -> Iterable[Check]:  # noqa: FBT001 - a setting, handed on
        if not is_wanted:
            return [report.not_examined(area, title, "off in the settings (security)")]
        return await _tried(area, title, look)

    async def _rights(self) -> Iterable[Check]:
        return report.of_rights(await reading.rbac(self._kube))

    async def _pods(self) -> Iterable[Check]:
        return report.of_pods(await reading.pods(self._kube), self._now, self._limits)

    async def _policies(self) -> Iterable[Check]:
        return [report.of_policies(await reading.policies(self._kube))]

    async def _secrets(self) -> Iterable[Check]:
        found = await reading.secrets(self._kube)
        return [report.of_secrets(found, self._now, self._limits)]

    async def _certificates(self) -> Iterable[Check]:
        found = await reading.certificates(self._kube)
        return [report.of_certificates(found, self._now, self._limits)]

    async def _own_certificate(self) -> Iterable[Check]:
        shown = await self._kube.certificate()
        if shown is None:
            raise PermanentError("the API server speaks no TLS")
        return [report.of_own_certificate(not_after(shown), self._now, self._limits)]

    async def _scans(self) -> Iterable[Check]:
        wanted = self._wanted
        found = list(await reading.reports(self._kube)) if wanted.vulnerability_reports else []
        if wanted.reports is not None:
            files, _ = await asyncio.to_thread(
                scanners.read_folder,
                wanted.reports,
                most=wanted.max_reports,
                max_bytes=wanted.max_report_bytes,
            )
            found += files
        return [report.of_scans(scanners.newest(found))]


async def _tried(area: str, title: str, look: Look) -> Iterable[Check]:
    try:
        return list(await look())
    except (RunbookdError, ValueError) as error:
        return [report.not_examined(area, title, str(error))]
