from tests.bed.cluster.real.cluster import RealCluster, Wanted

__all__ = ["RealCluster", "Wanted"]
