"""Read calls to the AWS API as one account: paced, counted, with our own errors.

aioboto3 takes a second to import and a client 15 to 200 ms of CPU to make; so the library is loaded
in a thread with the first call, and each service's client is made once and kept. It retries nothing
by itself: the schedule does, and every request that goes out is counted.
"""

import asyncio
import importlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from typing_extensions import override

from exporter.aws_port import AwsAccount
from exporter.clients.http import USER_AGENT
from exporter.shared.clock import Clock
from exporter.shared.errors import NotFoundError, PermanentError, RunbookdError, TransientError

if TYPE_CHECKING:
    from aioboto3 import Session
    from aiobotocore.credentials import AioDeferredRefreshableCredentials
    from botocore.exceptions import BotoCoreError, ClientError

T = TypeVar("T")
Answer = Mapping[str, object]

CONNECT_SECONDS = 5
READ_SECONDS = 20
BURST = 10
"""Requests that may go out at once after a pause."""

THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
"""Codes by which AWS asks for patience; botocore's retry handler knows the same ones."""
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
DENIED = ("AccessDenied", "UnauthorizedOperation", "UnrecognizedClient", "InvalidClientTokenId")
PASSING = frozenset(
    {
        "ConnectionClosedError",
        "ConnectionError",
        "ConnectTimeoutError",
        "CredentialRetrievalError",
        "EndpointConnectionError",
        "HTTPClientError",
        "IncompleteReadError",
        "ReadTimeoutError",
        "ResponseStreamingError",
        "TokenRetrievalError",
    }
)
"""botocore's own errors that may pass by themselves; all others are ours to mend."""


class TokenBucket:
    """Lets `rate` requests a second through, and `burst` of them at once after a pause."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._left = float(burst)
        self._at = now

    def take(self, now: float) -> timedelta:
        """Take a token that may still have to come; return how long to wait for it."""
        self._left = min(self._burst, self._left + (now - self._at) * self._rate) - 1.0
        self._at = now
        return timedelta(seconds=max(0.0, -self._left / self._rate))


class _Meta(Protocol):
    method_to_api_mapping: Mapping[str, str]


class _Pages(Protocol):
    def paginate(self, **parameters: object) -> AsyncIterator[Answer]: ...


class _Client(Protocol):
    meta: _Meta

    def get_paginator(self, operation: str) -> _Pages: ...


class AwsConnection:
    """aws_port.Aws over aioboto3; it connects with the first call, and its owner closes it."""

    def __init__(self, account: AwsAccount, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._bucket = TokenBucket(account.requests_per_second, BURST, clock.monotonic())
        self._counted: Counter[tuple[str, str]] = Counter()
        self._opening = asyncio.Lock()
        self._open = AsyncExitStack()
        self._session: Session | None = None
        self._clients: dict[str, _Client] = {}

    async def call(self, service: str, operation: str, **parameters: object) -> Answer:
        """Make one request. Raises TransientError, NotFoundError or PermanentError."""
        client = await self._client(service)
        api = f"{service}:{client.meta.method_to_api_mapping[operation]}"
        return await self._asked(api, lambda: getattr(client, operation)(**parameters))

    async def pages(
        self, service: str, operation: str, **parameters: object
    ) -> AsyncIterator[Answer]:
        """Yield one page after the other, each a request. Raises as `call` does."""
        client = await self._client(service)
        api = f"{service}:{client.meta.method_to_api_mapping[operation]}"
        pages = aiter(client.get_paginator(operation).paginate(**parameters))
        while (page := await self._asked(api, lambda: anext(pages, None))) is not None:
            yield page

    def requests(self) -> Mapping[tuple[str, str], int]:
        """Return how many requests were made, by API and outcome."""
        return self._counted

    async def close(self) -> None:
        """Close every client; a later call would make new ones."""
        async with self._opening:
            self._clients.clear()
            self._session = None
            await self._open.aclose()

    async def _asked(self, api: str, request: Callable[[], Awaitable[T]]) -> T:
        """Wait for a token, then for the answer; count what came of it."""
        from botocore.exceptions import (  # noqa: PLC0415 - see the module's docstring
            BotoCoreError,
            ClientError,
        )

        await self._clock.sleep(self._bucket.take(self._clock.monotonic()))
        outcome = "failed"
        try:
            answer = await request()
            outcome = "" if answer is None else "success"  # the end of the pages is no request
        except RunbookdError:  # the role's credentials did not come: this was never sent
            outcome = ""
            raise
        except ClientError as error:
            outcome, ours = translated(api, error)
            raise ours from error
        except BotoCoreError as error:
            raise _own(api, error) from error
        except (TimeoutError, OSError) as error:
            raise TransientError(f"{api}: {type(error).__name__}") from error
        finally:
            if outcome:
                self._counted[api, outcome] += 1
        return answer

    async def _client(self, service: str) -> _Client:
        """Return the client of `service`, made when first asked for."""
        async with self._opening:
            if service not in self._clients:
                self._clients[service] = await self._made(service)
            return self._clients[service]

    async def _made(self, service: str) -> _Client:
        await asyncio.to_thread(importlib.import_module, "aioboto3")
        from aiobotocore.config import AioConfig  # noqa: PLC0415 - see the module's docstring
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - the same

        config = AioConfig(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"total_max_attempts": 1, "mode": "standard"},
            user_agent_extra=USER_AGENT,
        )
        try:
            if self._session is None:
                self._session = await self._session_of(self._account)
            made = self._session.client(  # type: ignore[call-overload]  # services are data here
                service, config=config, endpoint_url=self._account.endpoint_url or None
            )
            return cast("_Client", await self._open.enter_async_context(made))
        except (BotoCoreError, ValueError) as error:
            raise PermanentError(f"no client for {service}: {type(error).__name__}") from error

    async def _session_of(self, account: AwsAccount) -> "Session":
        """Return a session with the account's own credentials, or with those of its role."""
        import aioboto3  # noqa: PLC0415 - see the module's docstring

        own = aioboto3.Session(
            region_name=account.region or None, profile_name=account.profile or None
        )
        if not account.role_arn:
            return own
        sts = await self._open.enter_async_context(
            own.client("sts", endpoint_url=account.endpoint_url or None)
        )

        async def assume() -> Mapping[str, str]:
            taken = await self._asked(
                "sts:AssumeRole",
                lambda: sts.assume_role(RoleArn=account.role_arn, RoleSessionName=USER_AGENT),
            )
            credentials = taken["Credentials"]
            return {
                "access_key": credentials["AccessKeyId"],
                "secret_key": credentials["SecretAccessKey"],
                "token": credentials["SessionToken"],
                "expiry_time": credentials["Expiration"].isoformat(),
            }

        return _with_role(assume, own.region_name)


def _with_role(assume: Callable[[], Awaitable[Mapping[str, str]]], region: str | None) -> "Session":
    """Return a session whose credentials come from `assume`, again before they expire."""
    import aioboto3  # noqa: PLC0415 - see the module's docstring
    from aiobotocore.credentials import (  # noqa: PLC0415 - the same
        AioCredentialResolver,
        AioDeferredRefreshableCredentials,
    )
    from aiobotocore.session import AioSession  # noqa: PLC0415 - the same
    from botocore.credentials import CredentialProvider  # noqa: PLC0415 - the same

    class Role(CredentialProvider):
        METHOD: str | None = "assume-role"

        @override
        async def load(self) -> "AioDeferredRefreshableCredentials":
            return AioDeferredRefreshableCredentials(refresh_using=assume, method="assume-role")

    session = AioSession()
    session.register_component("credential_provider", AioCredentialResolver([Role()]))
    return aioboto3.Session(botocore_session=session, region_name=region)


def translated(api: str, error: "ClientError") -> tuple[str, RunbookdError]:
    """Return the outcome and our error for what AWS said.

    Its message is left out, for it holds account numbers; the API and the code say what is wrong.
    """
    said = error.response
    code = said.get("Error", {}).get("Code", "")
    status = said.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    text = f"{api}: {code or status}"
    if code in THROTTLED or status == 429:
        after = said.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("retry-after", "")
        seconds = timedelta(seconds=int(after)) if after.isdecimal() else None
        return "throttled", TransientError(text, retry_after=seconds)
    if code.startswith(DENIED) or (status == 403 and code not in EXPIRED):
        return "denied", PermanentError(text)
    if status >= 500 or code in EXPIRED:
        return "failed", TransientError(text)
    if status == 404 or "NotFound" in code or code.startswith("NoSuch"):
        return "failed", NotFoundError(text)
    return "failed", PermanentError(text)


def _own(api: str, error: "BotoCoreError") -> RunbookdError:
    """Return our error for one of the library; its text can quote addresses and files."""
    kind = type(error).__name__
    passes = any(each.__name__ in PASSING for each in type(error).__mro__)
    return (TransientError if passes else PermanentError)(f"{api}: {kind}")
