"""A token keeper on the fake server and on a clock of the test's own."""

from __future__ import annotations

import random
from pathlib import Path

from pydantic import SecretStr

from confcar.clients.vault import VaultClient
from confcar.config.sources import VaultOptions
from confcar.status import Status
from confcar.watchers.vault_auth import create_login
from confcar.watchers.vault_keeper import TokenKeeper
from confcar.watchers.vault_login import Login
from tests.fakes.vault_api import ROLE_ID, SECRET_ID, VaultApi

LOGIN, RENEW, LOOKUP = "auth/approle/login", "auth/token/renew-self", "auth/token/lookup-self"


class Kept:
    """A keeper on the fake server, whose time passes when the test says so."""

    def __init__(self, api: VaultApi, folder: Path) -> None:
        self.now = 1000.0
        self.folder = folder
        self.status = Status()
        self.status.add_source("vault", "vault")
        self.api = api
        self.heard: list[tuple[str, bool]] = []
        self._clients: list[VaultClient] = []
        (folder / "role-id").write_text(f"{ROLE_ID}\n")
        (folder / "secret-id").write_text(f"{SECRET_ID}\n")
        (folder / "token").write_text("file-token-1\n")

    def keeper(
        self, method: str = "approle", *, token: str = "", login: Login | None = None, check_seconds: float = 0.0
    ) -> TokenKeeper:
        auth: dict[str, object] = {"method": method}
        if method == "approle":
            auth |= {"role_id_file": self.folder / "role-id", "secret_id_file": self.folder / "secret-id"}
        elif method == "token_file":
            auth["path"] = self.folder / "token"
        options = VaultOptions.model_validate({"type": "vault", "address": self.api.address, "auth": auth})
        if token:
            options = options.model_copy(update={"token": SecretStr(token)})
        client = VaultClient("vault", options, max_connections=5, on_request=lambda _: None, clock=lambda: self.now)
        self._clients.append(client)
        made = TokenKeeper(
            "vault",
            client,
            login=login or create_login(options),
            status=self.status,
            check_seconds=check_seconds,
            clock=lambda: self.now,
            jitter=random.Random(7),
        )
        made.on_new_token = lambda token, has_died: self.heard.append((token.value, has_died))
        return made

    def tend_until(self, keeper: TokenKeeper, moment: float) -> None:
        """Call `tend` as its thread would, up to a moment."""
        while self.now < moment:
            self.now = min(self.now + keeper.tend(), moment)

    @property
    def client(self) -> VaultClient:
        """The client of the keeper made last."""
        return self._clients[-1]

    def close(self) -> None:
        for client in self._clients:
            client.close()


def ttl_shown(kept: Kept) -> float:
    return kept.status.copy().gauges["vault_token_ttl_seconds", "vault"]
