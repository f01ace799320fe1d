from tests.bed.cluster.simulated.cluster import SimulatedCluster

__all__ = ["SimulatedCluster"]
