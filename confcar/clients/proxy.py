"""An HTTP proxy between confcar and a server, given by the config or a variable of its own; never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote

from urllib3.util import make_headers, parse_url

_DEFAULT_PORT = 80


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy. *headers* are what it is told, its password among them; they never go to the server by CONNECT."""

    host: str
    port: int
    headers: Mapping[str, str] = field(repr=False)

    @classmethod
    def at(cls, address: str) -> Self:
        """Return the proxy at a URL `http://host:port`, perhaps with `user:password@` in it.

        Raises:
            ValueError: It is no such URL; the text does not show it.
        """
        url = parse_url(address)
        if url.scheme != "http" or not url.host:
            message = "a proxy is http://host:port"
            raise ValueError(message)
        headers = make_headers(proxy_basic_auth=unquote(url.auth)) if url.auth else {}
        return cls(url.host, url.port or _DEFAULT_PORT, headers)
