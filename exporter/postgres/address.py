"""Where a database is, as settings tell it, and the one connection there."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

from pydantic import Field, SecretStr, model_validator

from exporter.shared.config import Section
from exporter.shared.errors import PermanentError


class Closable(Protocol):
    """A connection."""

    async def close(self) -> None:
        """Close it."""
        ...


ConnectionT = TypeVar("ConnectionT", bound=Closable)


class Address(Section):
    """A name for a place, and how to get there."""

    name: str = Field(min_length=1)
    """Name of the source, and value of the label that tells of which place a series is."""
    dsn: SecretStr | None = None
    """Address (`postgresql://user:password@host/database`); better kept in a file."""
    dsn_file: Path | None = None
    """File that holds the address; read again before each pass."""

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.dsn is None) == (self.dsn_file is None):
            raise ValueError("give either dsn or dsn_file")
        return self

    def read(self) -> str:
        """Return the DSN. Raises PermanentError when its file cannot be read."""
        if self.dsn is not None:
            return self.dsn.get_secret_value()
        try:
            return Path(self.dsn_file or "").read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            raise PermanentError(f"cannot read {self.dsn_file}: {type(error).__name__}") from error


class Link(Generic[ConnectionT]):
    """The one connection to where an address leads now."""

    def __init__(self, address: Address, connect: Callable[[str], ConnectionT]) -> None:
        """`connect` returns the connection to a DSN, not opened yet."""
        self._address = address
        self._connect = connect
        self._dsn = ""
        self._connection: ConnectionT | None = None

    async def connection(self) -> ConnectionT:
        """Return the connection; one to an earlier address is closed.

        Raises PermanentError when the address cannot be read.
        """
        dsn = self._address.read()
        if self._connection is None or dsn != self._dsn:
            if self._connection is not None:
                await self._connection.close()
            self._dsn, self._connection = dsn, self._connect(dsn)
        return self._connection

    async def close(self) -> None:
        """Close the connection; a later one would be made anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def one_name_each(addresses: tuple[Address, ...]) -> None:
    """Raise ValueError when two places bear one name."""
    names = [address.name for address in addresses]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two are called {', '.join(twice)}")
