"""Kubernetes' own command, for what a person would type."""

from dataclasses import dataclass
from pathlib import Path

from tests.bed.cluster.rest import ClusterError
from tests.bed.process import run_tool


@dataclass(frozen=True, slots=True)
class Kubectl:
    """It speaks to one cluster as one user."""

    program: Path
    kubeconfig: Path

    def __call__(self, *args: str, stdin: str = "") -> str:
        """Return what it prints. Raises ClusterError with its error."""
        done = run_tool(str(self.program), f"--kubeconfig={self.kubeconfig}", *args, stdin=stdin)
        if done.returncode != 0:
            raise ClusterError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout
