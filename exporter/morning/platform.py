"""What else is watched where it is enabled, in short: AWS, Helm, certificates, Terraform."""

from collections.abc import Iterator

from exporter.morning.amounts import DAY, counted, span
from exporter.morning.finding import Finding, Mark
from exporter.morning.observed import Observed

BACKUP_AGE = 26 * 3600.0
"""Seconds: a backup is made every day, and may take two hours."""

PENDING = 15 * 60.0
"""Seconds that a release may be under way: three times helm's own `--timeout`."""

CERTIFICATE_LEFT = 14 * DAY
"""Seconds that a certificate has to hold: what renews it begins 30 days ahead, and has failed for
two weeks then."""


def backups(seen: Observed) -> Iterator[Finding]:
    """Tell how old the newest backups are."""
    page = seen.page
    for series in page.of("kpi_backup_kept"):
        name = series.labels["backup"]
        newest = page.value("kpi_backup_newest_timestamp_seconds", backup=name)
        step = "look at the job that makes it: kubectl get cronjobs,jobs -A"
        if newest is None:
            yield Finding(Mark.BAD, "Backups", name, "there is none", step)
            continue
        age = seen.age(newest)
        text = f"the newest is {span(age)} old, {series.value:.0f} kept"
        bad = age > BACKUP_AGE
        yield Finding(Mark.BAD if bad else Mark.GOOD, "Backups", name, text, step if bad else "")


def releases(seen: Observed) -> Iterator[Finding]:
    """Tell which Helm releases are not as they were meant to be."""
    page = seen.page
    deployed = 0
    for series in page.of("kpi_helm_release_status"):
        namespace, release = series.labels["namespace"], series.labels["release"]
        status = series.labels["status"]
        deployed += status == "deployed"
        pending = page.value(
            "kpi_helm_release_pending_seconds", namespace=namespace, release=release
        )
        step = f"helm history {release} -n {namespace}; helm rollback {release} -n {namespace}"
        text = status if pending is None else f"{status} for {span(pending)}"
        if status == "failed" or (pending or 0.0) > PENDING:
            yield Finding(Mark.BAD, "Releases", f"{namespace}/{release}", text, step)
        elif status != "deployed":
            yield Finding(Mark.SHOWN, "Releases", f"{namespace}/{release}", text)
    if deployed:
        yield Finding(Mark.GOOD, "Releases", f"{deployed}", "deployed")


def certificates(seen: Observed) -> Iterator[Finding]:
    """Tell which certificates end soon."""
    found = list(_certificates(seen))
    soon = [each for each in found if each[1] < CERTIFICATE_LEFT]
    for subject, left in sorted(soon, key=lambda each: each[1]):
        text = f"ends in {span(left)}" if left > 0 else "has expired"
        step = "renew it; with cert-manager: kubectl get certificates -A"
        yield Finding(Mark.BAD, "Certificates", subject, text, step)
    if found and not soon:
        least = min(left for _, left in found)
        yield Finding(Mark.GOOD, "Certificates", f"{len(found)}", f"hold for {span(least)} or more")


def _certificates(seen: Observed) -> Iterator[tuple[str, float]]:
    """Return each certificate that is known, with the seconds that it still holds."""
    page = seen.page
    for series in page.of("kpi_certificate_expiry_timestamp_seconds"):
        yield series.named("namespace", "secret"), -seen.age(series.value)
    for series in page.of("kpi_apiserver_certificate_expiry_timestamp_seconds"):
        yield "API server", -seen.age(series.value)
    for series in page.of("kpi_probe_certificate_expiry_timestamp_seconds"):
        yield f"probe {series.labels['probe']}", -seen.age(series.value)


def aws(seen: Observed) -> Iterator[Finding]:
    """Tell how clusters, node groups and load balancers' targets are."""
    page = seen.page
    for series in page.of("kpi_eks_cluster_info"):
        name, status = series.labels["eks_cluster"], series.labels["status"]
        mark = Mark.GOOD if status == "ACTIVE" else Mark.SHOWN
        yield Finding(mark, "AWS", name, f"{status}, version {series.labels['version']}")
    for series in page.of("kpi_eks_nodegroup_healthy"):
        name, group = series.labels["eks_cluster"], series.labels["nodegroup"]
        if series.value != 1:
            issues = page.of("kpi_eks_nodegroup_health_issues", eks_cluster=name, nodegroup=group)
            codes = ", ".join(each.labels["code"] for each in issues) or "health issues"
            step = f"aws eks describe-nodegroup --cluster-name {name} --nodegroup-name {group}"
            yield Finding(Mark.BAD, "AWS", f"{name}/{group}", codes, step)
    for series in page.of("kpi_target_group_registered_targets"):
        group = series.labels["target_group"]
        healthy = page.value("kpi_target_group_healthy_targets", target_group=group) or 0.0
        bad = page.of("kpi_target_group_unhealthy_targets", target_group=group, state="unhealthy")
        text = f"{healthy:.0f} of {counted(series.value, 'target')} healthy"
        step = "aws elbv2 describe-target-health --target-group-arn …"
        if bad:
            reasons = ", ".join(sorted({each.labels["reason"] for each in bad}))
            yield Finding(Mark.BAD, "AWS", group, f"{text} ({reasons})", step)
        else:
            yield Finding(Mark.GOOD if healthy else Mark.SHOWN, "AWS", group, text)


def drift(seen: Observed) -> Iterator[Finding]:
    """Tell where the infrastructure is not what its description says."""
    for series in seen.page.of("kpi_terraform_drift"):
        directory = series.labels["directory"]
        var_file = series.labels["var_file"]
        subject = f"{directory} {var_file}".strip()
        if series.value:
            step = "terraform plan" + (f" -var-file={var_file}" if var_file else "")
            yield Finding(Mark.BAD, "Terraform", subject, "a plan would change something", step)
        else:
            yield Finding(Mark.GOOD, "Terraform", subject, "as described")


def posture(seen: Observed) -> Iterator[Finding]:
    """Point to the report: how a cluster is kept is judged by a policy, and none is known here."""
    admins = seen.page.value("kpi_rbac_cluster_admins")
    if admins is not None:
        text = f"{counted(admins, 'cluster admin')}; see `kpi-exporter report --compliance`"
        yield Finding(Mark.SHOWN, "Posture", "", text)
