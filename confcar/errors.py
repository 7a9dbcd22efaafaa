"""Every error confcar raises on purpose, as one tree.

Adapters convert what their libraries raise into these at their own edge and chain the cause; nothing above an adapter
knows a library's exception. A branch carries the exit code of the contract's table, a leaf says whether trying the same
thing again can help. Messages name the place and the remedy and never hold a value that came from a source.

    ConfcarError                1
    +-- ConfigError             2   a file, key or option is wrong
    +-- SourceError             3   SourceUnavailableError (retry) . SourceDeniedError . SourceDataError
    +-- RenderError             4   MissingDataError (retry) . TemplateError
    +-- CheckRefusedError       5
    +-- PublishError            6   LockedError
    +-- ReloadError             7   PrimaryNotFoundError (retry) . EndpointRefusedError (retry)
                                    VerifyFailedError (retry)
"""

from __future__ import annotations


class ConfcarError(Exception):
    """Base of all errors that confcar raises on purpose.

    Attributes:
        exit_code: What the process ends with where this error ends it; 1 to 7, see the contract's table.
        retryable: Whether the same attempt may succeed later without anybody changing the config.
    """

    exit_code: int = 1
    retryable: bool = False


class ConfigError(ConfcarError):
    """The config file, an environment override or a command-line option is wrong.

    Attributes:
        problems: One line per fault, each already in the form `file:line:column: path: message`.
    """

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SourceError(ConfcarError):
    """A source could not answer.

    Attributes:
        retry_within_seconds: When to try again at the latest, above 0, because what is held ends soon; None: any time.
        is_crowded: Whether the server has no room for as many requests or connections at the same time.
    """

    exit_code = 3
    retry_within_seconds: float | None = None
    is_crowded: bool = False


class SourceUnavailableError(SourceError):
    """The source cannot be reached, is sealed, overloaded or without a leader; worth a retry.

    Attributes:
        retry_after_seconds: What the server asked for by `Retry-After`, at least 0; None where it did not say.
    """

    retryable = True

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class SourceDeniedError(SourceError):
    """The source refused the credentials or the path; only a changed policy or credential helps."""


class SourceDataError(SourceError):
    """The source answered something that cannot be used: not UTF-8, not a document, a bad path."""


class RenderError(ConfcarError):
    """A template could not be rendered."""

    exit_code = 4


class TemplateError(RenderError):
    """The template itself is wrong: it does not compile, or fails on data that is there."""


class MissingDataError(RenderError):
    """Data that the template reads is not there yet; the render is pending."""

    retryable = True


class CheckRefusedError(ConfcarError):
    """A `format` check or the `check` command refused the staged generation.

    Attributes:
        output: What the check said, masked and cut; may be empty.
    """

    exit_code = 5

    def __init__(self, message: str, *, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class PublishError(ConfcarError):
    """The generation could not be written or switched to: no space, no permission, a directory in the way."""

    exit_code = 6
    retryable = True


class NothingOlderError(PublishError):
    """There is no generation to go back to: nothing was published before, or none of it can be shown again."""

    exit_code = 1
    retryable = False


class LockedError(PublishError):
    """Another confcar holds the bundle's directory."""

    retryable = False


class ReloadError(ConfcarError):
    """The primary could not be told, or did not acknowledge; stays pending and is tried again."""

    exit_code = 7
    retryable = True


class PrimaryNotFoundError(ReloadError):
    """No process, or no single process, is the one that the reload names."""


class EndpointRefusedError(ReloadError):
    """The primary's HTTP endpoint could not be reached or did not answer as expected."""


class VerifyFailedError(ReloadError):
    """The primary was told, and what `verify` asks for did not come to hold within its time."""
