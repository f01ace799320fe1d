"""Reads what the security of a cluster is told by, each part with one listing of its kind."""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from exporter.ports import ApiServer
from exporter.posture.certificates import first_of, not_after
from exporter.posture.pods import Pod, Survey
from exporter.posture.rbac import PREFIX, Binding, Rbac, Role
from exporter.posture.scanners import (
    REPORTS,
    REPORTS_A_PAGE,
    Scan,
    VulnerabilityReport,
    newest,
    of_object,
)
from exporter.watch.listing import Kept, every, every_metadata, every_page
from exporter.watch.objects import Meta, View

OWN_AGE = "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token"
"""Secrets that somebody has to renew: releases have their own collector, tokens their own life."""
TLS = "type=kubernetes.io/tls"

NO_KEPT = Kept()


class Material(View, frozen=True):
    """The data of a TLS Secret, but for its key, which is left undecoded."""

    certificate: str | None = msgspec.field(default=None, name="tls.crt")


class TlsSecret(View, frozen=True):
    """A Secret with a certificate."""

    metadata: Kept = NO_KEPT
    data: Material = Material()


class Certificate(NamedTuple):
    """A certificate in a Secret, and when it expires; None where it cannot be read."""

    namespace: str
    secret: str
    expires: datetime | None


async def rbac(kube: ApiServer) -> Rbac:
    """Read all roles and bindings."""
    return Rbac(
        cluster_roles=await every(kube, f"{PREFIX}/clusterroles", Role),
        roles=await every(kube, f"{PREFIX}/roles", Role),
        cluster_role_bindings=await every(kube, f"{PREFIX}/clusterrolebindings", Binding),
        role_bindings=await every(kube, f"{PREFIX}/rolebindings", Binding),
    )


async def pods(kube: ApiServer) -> Survey:
    """Look at all pods that run, or will, a page at a time."""
    survey = Survey()
    async for page in every_page(kube, "/api/v1/pods", Pod):
        for pod in page:
            survey.add(pod)
    return survey


async def policies(kube: ApiServer) -> dict[str, int]:
    """Count the network policies of each namespace, those of none too."""
    found = {meta.name: 0 for meta in await every_metadata(kube, "/api/v1/namespaces", Meta)}
    path = "/apis/networking.k8s.io/v1/networkpolicies"
    for meta in await every_metadata(kube, path, Meta):
        found[meta.namespace] = found.get(meta.namespace, 0) + 1
    return found


async def secrets(kube: ApiServer) -> list[Kept]:
    """Read the metadata of the secrets that somebody has to renew."""
    return await every_metadata(kube, "/api/v1/secrets", Kept, {"fieldSelector": OWN_AGE})


async def certificates(kube: ApiServer) -> list[Certificate]:
    """Read the certificates of all TLS Secrets; their keys come here too, and are not decoded."""
    found = await every(kube, "/api/v1/secrets", TlsSecret, {"fieldSelector": TLS})
    return [
        Certificate(one.metadata.namespace, one.metadata.name, _expires(one.data)) for one in found
    ]


async def reports(kube: ApiServer) -> Sequence[Scan]:
    """Read the trivy-operator's reports. Raises NotFoundError where it is not installed."""
    found = await every(kube, REPORTS, VulnerabilityReport, page=REPORTS_A_PAGE)
    return newest(of_object(one) for one in found)


def _expires(material: Material) -> datetime | None:
    try:
        return not_after(first_of(base64.b64decode(material.certificate or "")))
    except (ValueError, binascii.Error):
        return None
