"""Who may make confcar do something over HTTP: a person or program on the same host, who means it, and no web page.

A page in a browser can send a POST to loopback too. It can neither add a header of its own without asking first, nor
name the listener as the host where a name of its own was made to lead here.
"""

from __future__ import annotations

import ipaddress
from email.message import Message

HEADER = "Confcar"
_MEANT = "1"


def why_refused(headers: Message, *, peer: str | None, local: tuple[str, int] | None, listen_host: str) -> str | None:
    """Return why a POST is not taken, None where it is.

    Args:
        headers: Of the request.
        peer: Address that it came from; None over a unix socket.
        local: Address and port that it came to; None over a unix socket.
        listen_host: The host of `admin.listen`, as the config has it.
    """
    if peer is not None and not _is_loopback(peer):
        return "commands are taken over loopback or a unix socket only"
    if headers.get(HEADER) != _MEANT:
        return f"a command needs the header '{HEADER}: {_MEANT}'"
    if not _is_own(headers.get_all("Host") or [], local=local, listen_host=listen_host):
        return "the Host header does not name this listener"
    return None


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback


def _is_own(given: list[str], *, local: tuple[str, int] | None, listen_host: str) -> bool:
    if len(given) != 1:
        return False
    host, port = _split(given[0].strip().lower())
    if local is None:
        return host == "localhost"
    names = {"localhost", listen_host.lower(), local[0].partition("%")[0]} - {"", "0.0.0.0", "::"}  # noqa: S104 - compared
    return host in names and port == local[1]


def _split(host: str) -> tuple[str, int]:
    """Return name and port of a Host header; port 80 where it gives none, as HTTP has it, and -1 where it is none."""
    name, separator, port = host.rpartition(":")
    if not separator or host.endswith("]"):
        name, port = host, "80"
    return name.removeprefix("[").removesuffix("]"), int(port) if port.isascii() and port.isdigit() else -1
