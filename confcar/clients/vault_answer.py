"""What Vault or OpenBao answered, and what a refusal means as one of confcar's errors.

The server's own words are shown only in part: on one line, cut, and without the token and whatever the request held.
They hold nothing that changes from one attempt to the next, so that a lasting trouble is one piece of news.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from confcar.errors import SourceDataError, SourceDeniedError, SourceError, SourceUnavailableError
from confcar.log import Redactor, secret_strings

_MOST_SHOWN_CHARACTERS = 200
_MAX_RETRY_AFTER_SECONDS = 3600.0
# Not in HTTPStatus: a disaster-recovery secondary, and a standby that serves reads (Vault Enterprise).
_DR_SECONDARY, _PERFORMANCE_STANDBY = 472, 473
_TRANSIENT = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.TOO_MANY_REQUESTS}
# A mount on its way from KV v1 to v2 says 400 for a few seconds.
# Moments with fractions of a second are made up for each request ("would end at …"), so each would be news.
_COMPUTED_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(?:Z|[+-]\d\d:\d\d)")
_UPGRADE_TEXT = "upgrading from non-versioned"


@dataclass(frozen=True, slots=True)
class VaultAnswer:
    """One complete answer.

    Attributes:
        server: The address without credentials, for errors.
        status: HTTP status; redirects do not get here.
        body: The JSON object; empty where there was none.
        text: What the server says is wrong, safe to show; empty where it says nothing.
        retry_after_seconds: What `Retry-After` asks for; None where it is absent or a date.
    """

    server: str
    status: int
    body: Mapping[str, object] = field(default_factory=dict, repr=False)
    text: str = ""
    retry_after_seconds: float | None = None

    @property
    def is_ok(self) -> bool:
        """Whether the request was done."""
        return self.status in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}

    @property
    def is_denied(self) -> bool:
        """Whether the token, or what it may do, is the trouble."""
        return self.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed later without anybody doing anything."""
        is_server_side = self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        is_special = self.status in {_DR_SECONDARY, _PERFORMANCE_STANDBY, *_TRANSIENT}
        return is_server_side or is_special or _UPGRADE_TEXT in self.text.lower()

    @property
    def warnings(self) -> str:
        """The server's warnings as one text, not safe to show; empty for none."""
        found = self.body.get("warnings")
        return " ".join(str(each) for each in found) if isinstance(found, list) else ""

    def section(self, name: str) -> Mapping[str, object]:
        """Return an object within the body, such as `data` or `auth`.

        Raises:
            SourceDataError: There is none.
        """
        found = self.body.get(name)
        if not isinstance(found, Mapping):
            raise SourceDataError(f"Vault at {self.server} answers without `{name}`; is this address Vault's?")
        return found

    def error(self, action: str, *, cure: str = "") -> SourceError:
        """Return what a refusal means.

        Args:
            action: What was asked for, e.g. `read on secret/data/app`.
            cure: What to do where it is denied; empty for nothing to say.
        """
        where = f"Vault at {self.server}"
        said = f": {self.text}" if self.text else ""
        if self.is_denied:
            return SourceDeniedError(f"{where} denies {action}{said}{f'; {cure}' if cure else ''}")
        if self.is_transient:
            return SourceUnavailableError(
                f"{where} answers {self.status} to {action}{said}", retry_after_seconds=self.retry_after_seconds
            )
        return SourceDataError(f"{where} answers {self.status} to {action}{said}")


def read_answer(
    server: str, status: int, data: bytes, *, retry_after: str = "", sent: tuple[str, bytes] = ("", b"")
) -> VaultAnswer:
    """Return the answer that a response holds.

    Args:
        server: For errors.
        status: HTTP status.
        data: The response's body.
        retry_after: Its `Retry-After`.
        sent: The request's token and body; nothing of them is shown.

    Raises:
        SourceUnavailableError: It says 200 and is not Vault's JSON; a proxy before it may give way.
    """
    try:
        body = json.loads(data) if data else {}
    except ValueError:
        body = None
    if not isinstance(body, dict):
        if status == HTTPStatus.OK:
            raise SourceUnavailableError(f"what answers at {server} is not Vault's API; is `address` right?")
        body = {}
    seconds = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None
    return VaultAnswer(
        server,
        status,
        body,
        text="" if status < HTTPStatus.BAD_REQUEST else _shown(body.get("errors"), sent),
        retry_after_seconds=None if seconds is None else min(seconds, _MAX_RETRY_AFTER_SECONDS),
    )


def _shown(errors: object, sent: tuple[str, bytes]) -> str:
    if not isinstance(errors, list):
        return ""
    token, body = sent
    redactor = Redactor()
    redactor.learn([token])
    if body:
        redactor.learn(secret_strings(json.loads(body)))
    text = _COMPUTED_MOMENT.sub("(a moment)", "; ".join(str(each) for each in errors))
    return redactor.excerpt(text, limit=_MOST_SHOWN_CHARACTERS)
