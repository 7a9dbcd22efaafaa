"""Requests with the keeper's token: where a refusal turns out to be due to a dead token, once more with a new one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from confcar.clients.vault import VaultClient
from confcar.errors import SourceDeniedError
from confcar.model import Reading
from confcar.watchers.vault_keeper import TokenKeeper
from confcar.watchers.vault_token import Token

Answer = TypeVar("Answer")


class Answered(NamedTuple):
    """What answers a dependency now.

    Attributes:
        reading: As the store takes it.
        again_in_seconds: When the next step is due, above 0.
        has_asked: Whether the server was asked anything.
    """

    reading: Reading
    again_in_seconds: float
    has_asked: bool


class Asking:
    """Asks with whatever token lives. Thread-safe.

    Args:
        name: The source's name.
        client: Whom to ask.
        keeper: Keeps the token.
        clock: Monotonic seconds.

    Attributes:
        name: As given.
        client: As given; what *request* of `ask` makes its calls with.
    """

    def __init__(
        self, name: str, client: VaultClient, keeper: TokenKeeper, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.client = client
        self._keeper = keeper
        self._clock = clock

    @property
    def token_in_use(self) -> Token | None:
        """The token there is, without a login; None where there is none."""
        return self._keeper.current

    def prepare(self, seconds: float) -> None:
        """Have a token, as far as can be, with which something can be made that lives so long."""
        self._keeper.prepare(seconds)

    def ask(self, request: Callable[[Token], Answer]) -> Answer:
        """Return what *request* returns; it is called again where the token that it was given is dead or too young.

        Raises:
            SourceDeniedError: The login or the policy refuses; raised by *request* in the second case.
            SourceError: Whatever else *request* or the login raises.
        """
        dead: Token | None = None
        has_waited = False
        while True:
            token, asked_at = self._keeper.token(), self._clock()
            try:
                return request(token)
            except SourceDeniedError:
                if not has_waited and self._keeper.is_young(token):
                    has_waited = True
                    continue
                if self._keeper.is_alive(token, refused_at=asked_at):
                    raise
                if dead is not None:
                    if dead.value != token.value:
                        self._keeper.distrust_lookup()
                    raise
                self._keeper.drop(token)
                dead = token
