"""The port to AWS: what collectors ask it through."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class AwsAccount:
    """As whom, and how fast, AWS is asked; empty texts leave it to the environment."""

    region: str = ""
    profile: str = ""
    role_arn: str = ""
    """Role that is assumed with the environment's or the profile's credentials."""
    endpoint_url: str = ""
    requests_per_second: float = 5.0


class Aws(Protocol):
    """Reads of the AWS API as one account; services and operations as boto3 calls them."""

    async def call(
        self, service: str, operation: str, **parameters: object
    ) -> Mapping[str, object]:
        """Make one request.

        Raises TransientError (throttled, away), NotFoundError or PermanentError (denied, wrong).
        """
        ...

    def pages(
        self, service: str, operation: str, **parameters: object
    ) -> AsyncIterator[Mapping[str, object]]:
        """Yield one page after the other. Raises as `call` does."""
        ...

    def requests(self) -> Mapping[tuple[str, str], int]:
        """Return how many requests were made, by API (`eks:DescribeCluster`) and outcome."""
        ...
