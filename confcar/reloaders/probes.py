"""Asks the primary once whether it is well: by HTTP, by a TCP connection or by a command.

A probe never waits, retries or remembers; the pipeline does. Each kind is loaded only where the config names it.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from confcar.config.http import HttpOptions
from confcar.config.verify import VerifyOptions, split_address
from confcar.errors import EndpointRefusedError
from confcar.log import Redactor
from confcar.model import Change


class Probe(Protocol):
    """Asks in one way."""

    def attempt(self, change: Change, *, timeout_seconds: float) -> None:
        """Ask once, about a published generation. Blocks for at most *timeout_seconds*, above 0.

        Raises:
            ReloadError: The primary is not well, or cannot be asked; worth a retry.
        """
        ...


@dataclass(frozen=True, slots=True)
class RequestProbe:
    """Makes one HTTP request and demands the expected answer."""

    options: HttpOptions = field(repr=False)
    redactor: Redactor = field(repr=False)

    def attempt(self, change: Change, *, timeout_seconds: float) -> None:
        """Ask once.

        Raises:
            ReloadError: No answer, or another one than expected; worth a retry.
        """
        from confcar.reloaders.endpoint import EndpointReloader

        limit = min(self.options.timeout_seconds, timeout_seconds)
        EndpointReloader(self.options.model_copy(update={"timeout_seconds": limit}), self.redactor).reload(change)


@dataclass(frozen=True, slots=True)
class ConnectionProbe:
    """Opens a TCP connection and closes it again."""

    host: str
    port: int

    def attempt(self, change: Change, *, timeout_seconds: float) -> None:
        """Ask once.

        Raises:
            EndpointRefusedError: Nobody accepts a connection there; worth a retry.
        """
        del change
        try:
            with socket.create_connection((self.host, self.port), timeout=timeout_seconds):
                return
        except TimeoutError as error:
            reason = f"did not accept a connection within {timeout_seconds:g} s"
            raise EndpointRefusedError(f"{self.host}:{self.port} {reason}") from error
        except (OSError, UnicodeError) as error:
            words = error.strerror if isinstance(error, OSError) else None
            raise EndpointRefusedError(f"{self.host}:{self.port} cannot be reached: {words or 'bad name'}") from error


@dataclass(frozen=True, slots=True)
class CommandProbe:
    """Runs one command; status 0 says that the primary is well."""

    command: tuple[str, ...] = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)
    redactor: Redactor = field(repr=False)

    def attempt(self, change: Change, *, timeout_seconds: float) -> None:
        """Ask once.

        Raises:
            ReloadError: Another status than 0, or its time was up; worth a retry.
        """
        from confcar.reloaders.command import CommandReloader

        CommandReloader(self.command, timeout_seconds, self.environ, self.redactor).reload(change)


def create_probe(options: VerifyOptions, *, environ: Mapping[str, str], redactor: Redactor) -> Probe:
    """Return the probe that the config names. No I/O."""
    if options.http is not None:
        return RequestProbe(options.http, redactor)
    if options.tcp is not None:
        return ConnectionProbe(*split_address(options.tcp))
    assert options.command is not None, "the config's models demand one"
    return CommandProbe(tuple(options.command), environ, redactor)
