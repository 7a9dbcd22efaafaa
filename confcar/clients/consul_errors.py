"""What a refusal by Consul means, as one of confcar's errors: what is wrong, and who can do what about it.

The server's own text is shown only in part: its first line, cut, without anything that looks like a token. Texts hold
nothing that changes from one attempt to the next, so that a lasting trouble is one piece of news and not many.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from urllib3.exceptions import ConnectTimeoutError, EmptyPoolError, HTTPError
from urllib3.exceptions import TimeoutError as HttpTimeoutError
from urllib3.util import parse_url

from confcar.clients.transport import Response, TransportClosedError, reason_of
from confcar.errors import SourceDataError, SourceDeniedError, SourceError, SourceUnavailableError

_MOST_SHOWN_CHARACTERS = 160
_TOO_MANY = 429
# Tokens are UUIDs, and so are accessors, which nobody needs to see either.
_TOKEN_LIKE = re.compile(r"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_NO_LEADER_TEXTS = ("no cluster leader", "no known consul servers", "not ready to serve consistent reads")
_DENIED_TEXTS = ("permission denied", "acl not found")


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, as far as an error names it.

    Attributes:
        server: The address without credentials.
        rule: The ACL rule that allows it, e.g. `key "app/port"`; empty where none is known.
        token: What was sent, never shown; empty for none.
        datacenter: The datacenter asked for; None for the agent's own.
        policy: What the rule has to grant, "read" or "write".
    """

    server: str
    rule: str
    token: str
    datacenter: str | None = None
    policy: str = "read"

    def __repr__(self) -> str:
        return f"Request({self.server!r}, {self.rule!r})"


def unreachable(error: HTTPError | OSError, server: str) -> SourceError:
    """Return the error for a request that got no whole answer; always worth a retry."""
    if isinstance(error, TransportClosedError):
        return SourceUnavailableError(f"Consul at {server}: no longer followed")
    if isinstance(error, EmptyPoolError):
        return SourceUnavailableError(f"Consul at {server}: no free connection in time; raise `max_connections`")
    if isinstance(error, HttpTimeoutError) and not isinstance(error, ConnectTimeoutError):
        return SourceUnavailableError(f"Consul at {server} takes connections but does not answer in time")
    return SourceUnavailableError(f"cannot reach Consul at {server}: {reason_of(error, server)}")


def not_consul(server: str, why: str) -> SourceError:
    """Return the error for an answer that Consul would not give; a proxy before it may give way, so worth a retry."""
    return SourceUnavailableError(f"what answers at {server} is not Consul's API ({why}); is `address` right?")


def without_leader(server: str) -> SourceError:
    """Return the error for data that may be older than it seems."""
    return SourceUnavailableError(f"Consul at {server} has no leader; only `consistency: stale` reads without one")


def hidden(server: str, rule: str, *, has_token: bool) -> SourceError:
    """Return the error for a list that ACLs left empty; Consul refuses no list, it shortens it."""
    request = Request(server, rule, "sent" if has_token else "")
    return SourceDeniedError(f"Consul at {server} {_denial('', request)}")


def refusal(response: Response, request: Request) -> SourceError:
    """Return the error for a status other than 200 and 404."""
    status, where = response.status, f"Consul at {request.server}"
    text = _shown(response.data, request.token)
    known = text.lower()
    if 300 <= status < 400:  # noqa: PLR2004 - the class of the status
        return SourceDataError(f"{where} {_redirect(response)}")
    if status in {401, 403} or any(each in known for each in _DENIED_TEXTS):
        return SourceDeniedError(f"{where} {_denial(known, request)}")
    if any(each in known for each in _NO_LEADER_TEXTS):
        return SourceUnavailableError(f"{where} has no leader", retry_after_seconds=response.retry_after_seconds)
    if "no path to datacenter" in known:
        name = request.datacenter or ""
        return SourceUnavailableError(f"{where} has no path to the datacenter {name!r}; is `datacenter` right?")
    if status in {408, _TOO_MANY} or status >= 500:  # noqa: PLR2004 - the class of the status
        error = SourceUnavailableError(
            f"{where} answers {status}{_reason(status, text)}", retry_after_seconds=response.retry_after_seconds
        )
        error.is_crowded = status == _TOO_MANY
        return error
    return SourceDataError(f"{where} answers {status}{_reason(status, text)}")


def _redirect(response: Response) -> str:
    target = ""
    try:
        url = parse_url(response.headers.get("Location", ""))
        target = f" to {url.scheme or 'http'}://{url.netloc}" if url.netloc else ""
    except HTTPError:
        pass  # an unreadable place is not worth a second error
    return (
        f"redirects ({response.status}{target}); confcar does not follow, since the token would go along: "
        "set `address` to the server itself"
    )


def _denial(known: str, request: Request) -> str:
    if "acl not found" in known:
        return "does not know the token: it was deleted, has expired or belongs to another datacenter"
    # With `acl.enable_key_list_policy` reading is not enough to list.
    policy = "list" if "key:list" in known else request.policy
    needs = f' {request.rule} {{ policy = "{policy}" }}' if request.rule else " more rights"
    if not request.token:
        return f"denies it to who has no token; give one with{needs} by `token_file` or CONSUL_HTTP_TOKEN"
    return f"denies it: the token's policy needs{needs}"


def _reason(status: int, text: str) -> str:
    if status == _TOO_MANY:
        return ": too many requests, or too many connections from this address (http_max_conns_per_client)"
    return f": {text}" if text else ""


def _shown(data: bytes, token: str) -> str:
    line = data.strip().split(b"\n", 1)[0][: 4 * _MOST_SHOWN_CHARACTERS].decode("ascii", "replace")
    if token:
        line = line.replace(token, "***")
    line = _TOKEN_LIKE.sub("***", _UNPRINTABLE.sub(" ", line)).strip()
    return line[:_MOST_SHOWN_CHARACTERS]
