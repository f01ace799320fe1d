"""What a person asks about a Deployment: is it out, and which ReplicaSet is which."""

from dataclasses import dataclass

from tests.bed.cluster.client import Client, at, items
from tests.bed.cluster.probe_manifests import NAME
from tests.bed.process import wait_until

REVISION = "deployment.kubernetes.io/revision"
ROLLOUT_SECONDS = 15.0


def revision_of(obj: object) -> str:
    """Return the revision that a Deployment or ReplicaSet carries, empty when none."""
    annotations = at(obj, "metadata.annotations")
    return str(annotations.get(REVISION, "")) if isinstance(annotations, dict) else ""


@dataclass(frozen=True, slots=True)
class Probe:
    """The probe application's Deployment in one namespace."""

    api: Client
    namespace: str

    @property
    def path(self) -> str:
        """Its path."""
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{NAME}"

    async def get(self) -> dict[str, object]:
        """Return the Deployment."""
        return (await self.api.get(self.path)).body

    async def rolled_out(self) -> dict[str, object]:
        """Wait, as `kubectl rollout status` does, and return the Deployment."""

        async def done() -> dict[str, object]:
            found = await self.get()
            status, wanted = found.get("status"), at(found, "spec.replicas")
            seen = at(status, "observedGeneration") == at(found, "metadata.generation")
            names = ("replicas", "updatedReplicas", "availableReplicas")
            counts = [at(status, name) or 0 for name in names]
            return found if seen and counts == [wanted] * 3 else {}

        return await wait_until(done, ROLLOUT_SECONDS, f"{self.path} is rolled out")

    async def settled(self) -> dict[str, object]:
        """Wait until the controller has seen the newest spec, and return the Deployment."""

        async def done() -> dict[str, object]:
            found = await self.get()
            seen = at(found, "status.observedGeneration") == at(found, "metadata.generation")
            return found if seen else {}

        return await wait_until(done, ROLLOUT_SECONDS, f"{self.path} is observed")

    async def revisions(self) -> dict[str, str]:
        """Return the revision of each image in its history."""
        return {
            str(at(found, "spec.template.spec.containers.0.image")): revision_of(found)
            for found in await self.replica_sets()
        }

    async def replica_sets(self) -> list[dict[str, object]]:
        """Return its ReplicaSets."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/replicasets"
        return items((await self.api.get(path)).body)

    async def pods(self) -> list[dict[str, object]]:
        """Return the pods that are not on their way out."""
        found = items((await self.api.get(f"/api/v1/namespaces/{self.namespace}/pods")).body)
        return [pod for pod in found if at(pod, "metadata.deletionTimestamp") is None]
