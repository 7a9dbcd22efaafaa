"""Tells the primary by one HTTP request, on a connection of its own that is closed afterwards.

No connection is kept: the primary may restart between two reloads. No redirect is followed: it would carry the token to
another place and turn a POST into a GET. What the primary answers is shown masked and cut, and only in an error.
"""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

from urllib3 import exceptions as urllib3_errors

from confcar import __version__
from confcar.clients.tls import CertificateFileError
from confcar.clients.transport import Response, Transport
from confcar.config.bundles import ReloadStep
from confcar.config.http import HttpOptions
from confcar.errors import EndpointRefusedError, ReloadError
from confcar.log import Redactor
from confcar.model import Change
from confcar.reloaders.base import Surroundings

_ANSWER_SHOWN = 200
_CREDENTIAL_HEADER = re.compile(r"auth|token|key|secret|cookie|passw|credential", re.IGNORECASE)


@dataclass(slots=True)
class EndpointReloader:
    """Makes one request, and takes only the expected status for a success.

    Attributes:
        options: The request.
        redactor: Learns the credentials that the request carries and masks the answer.
    """

    options: HttpOptions = field(repr=False)
    redactor: Redactor = field(compare=False, repr=False)

    @classmethod
    def from_step(cls, step: ReloadStep, surroundings: Surroundings) -> Self:
        """Return the reloader for a step that has `http`."""
        assert step.http is not None, "the registry asks for http only"
        return cls(step.http, surroundings.redactor)

    @property
    def name(self) -> str:
        """Always "http"."""
        return "http"

    def reload(self, change: Change) -> None:
        """Make the request. Blocks for at most the `timeout` of the options.

        Raises:
            EndpointRefusedError: Nobody there, no answer in time, or another status than expected; worth a retry.
            ReloadError: The bearer file cannot be read or the request cannot be formed; worth a retry, files change.
        """
        url = self._url()
        response = self._answer(url, self._headers(url, change))
        if 300 <= response.status < 400:  # noqa: PLR2004 - HTTP's own numbers
            what = f"{response.status}, a redirect; a redirect is not a success, give the final URL"
            raise EndpointRefusedError(f"{self._place(url)} answered {what}")
        if not _is_expected(response.status, self.options.expect):
            shown = self.redactor.excerpt(response.data.decode(errors="replace"), limit=_ANSWER_SHOWN)
            message = f"{self._place(url)} answered {response.status} where {self.options.expect} is expected"
            raise EndpointRefusedError(f"{message}: {shown}" if shown else message)

    def _url(self) -> SplitResult:
        try:
            return urlsplit(self.options.url)
        except ValueError:
            message = "the URL of the http request cannot be read"
            raise ReloadError(message) from None  # the cause quotes it, password and all

    def _answer(self, url: SplitResult, headers: Mapping[str, str]) -> Response:
        origin = f"{url.scheme}://{url.netloc.rpartition('@')[2]}"
        with (
            self._converted_errors(url),
            closing(
                Transport(origin, tls=self.options.tls, max_connections=1, unix_socket=self.options.socket)
            ) as transport,
        ):
            return transport.request(
                self.options.method,
                (url.path or "/") + (f"?{url.query}" if url.query else ""),
                headers=headers,
                body=self.options.body.encode() or None,
                timeout_seconds=self.options.timeout_seconds,
            )

    def _headers(self, url: SplitResult, change: Change) -> dict[str, str]:
        given = self.options.headers
        self.redactor.learn(value for name, value in given.items() if _CREDENTIAL_HEADER.search(name))
        ours = {"User-Agent": f"confcar/{__version__}", **self._authorization(url)}
        fixed = {
            "Connection": "close",
            "Confcar-Bundle": change.bundle,
            "Confcar-Generation": str(change.generation),
        }
        return _merged(ours, given, fixed)

    def _authorization(self, url: SplitResult) -> dict[str, str]:
        if self.options.bearer_file is not None:
            return {"Authorization": f"Bearer {self._bearer_token()}"}
        if url.username is None and url.password is None:
            return {}
        credentials = f"{unquote(url.username or '')}:{unquote(url.password or '')}"
        encoded = base64.b64encode(credentials.encode()).decode()
        self.redactor.learn([url.password or "", unquote(url.password or ""), encoded])
        return {"Authorization": f"Basic {encoded}"}

    def _bearer_token(self) -> str:
        path = self.options.bearer_file
        assert path is not None, "asked for only where it is given"
        try:
            token = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ReloadError(f"cannot read the bearer file {path}: {error.strerror}") from error
        except UnicodeDecodeError:
            raise ReloadError(f"the bearer file {path} is not text") from None  # the cause holds the content
        if not token:
            raise ReloadError(f"the bearer file {path} is empty")
        self.redactor.learn([token])
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise ReloadError(f"the bearer file {path} must hold one token and nothing else")
        return token

    @contextmanager
    def _converted_errors(self, url: SplitResult) -> Iterator[None]:
        place = self._place(url)
        try:
            yield
        except urllib3_errors.NewConnectionError as error:  # a timeout to the library, whatever the reason
            raise EndpointRefusedError(f"{place} cannot be reached: {_reason(error)}") from error
        except urllib3_errors.TimeoutError as error:
            message = f"{place} did not answer within {self.options.timeout_seconds:g} s"
            raise EndpointRefusedError(message) from error
        except (urllib3_errors.InvalidHeader, ValueError):
            # Without its cause: the library quotes the header it refuses. A ValueError is also a bad port or host.
            raise ReloadError(f"{place}: the URL or a header holds what HTTP does not allow") from None
        except (urllib3_errors.HTTPError, OSError) as error:
            raise EndpointRefusedError(f"{place} cannot be reached: {_reason(error)}") from error

    def _place(self, url: SplitResult) -> str:
        """Return the URL without user, password and query, for messages."""
        shown = f"{self.options.method} {url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"
        return f"{shown} (over {self.options.socket})" if self.options.socket is not None else shown


def _merged(*layers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of all layers, the later one's where two have one name in whatever case."""
    found = {name.lower(): (name, value) for layer in layers for name, value in layer.items()}
    return dict(found.values())


def _is_expected(status: int, expect: str) -> bool:
    return any(part.strip() in {str(status), f"{status // 100}xx"} for part in expect.split(","))


def _reason(error: Exception) -> str:
    """Return why no answer came, in words of the kernel's or of the TLS library's, never the HTTP library's text."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, CertificateFileError):
            return str(cause)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is refused: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {cause.reason or 'no TLS spoken there'}"
        if isinstance(cause, urllib3_errors.NameResolutionError):
            return "its name cannot be resolved"
        if isinstance(cause, OSError) and cause.strerror:
            return f"{cause.filename}: {cause.strerror}" if cause.filename else cause.strerror
        cause = cause.__cause__ or cause.__context__
    return "the connection was closed before the answer was complete"
