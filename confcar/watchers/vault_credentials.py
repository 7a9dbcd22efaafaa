"""Files with credentials: whether one changed, and what it holds. Nothing of a file's content is ever in an error."""

from __future__ import annotations

from pathlib import Path

from confcar.errors import SourceDataError, SourceDeniedError, SourceUnavailableError
from confcar.watchers.vault_token import is_sendable

_MOST_FILE_BYTES = 64 * 1024
_Mark = tuple[int, int, int] | None


class CredentialFiles:
    """Some files, and whether they changed since they were last read."""

    def __init__(self, *paths: Path | None) -> None:
        self._paths = [path for path in paths if path is not None]
        self._marks: list[_Mark] = [None] * len(self._paths)

    def remember(self) -> None:
        """Note what they are now; to be called before they are read, so that no change is missed."""
        self._marks = [_mark_of(path) for path in self._paths]

    def have_changed(self) -> bool:
        """Whether one of them is another file than was remembered, or has another size or time."""
        return [_mark_of(path) for path in self._paths] != self._marks


def read_credential(path: Path, what: str) -> str:
    """Return the text of a file without surrounding blanks: one line of printable ASCII without any inside.

    Raises:
        SourceUnavailableError: It is not there or empty; somebody may still be writing it.
        SourceDeniedError: It may not be read.
        SourceDataError: It holds something else than *what*.
    """
    text = _read(path, what).decode("ascii", "replace").strip()
    if not text:
        raise SourceUnavailableError(f"no {what}: {path} is empty")
    if not is_sendable(text):
        raise SourceDataError(f"{path} holds no {what}: it must be one line of printable ASCII")
    return text


def read_password(path: Path) -> str:
    """Return the text of a file without the line break at its end; blanks are part of a password.

    Raises:
        SourceUnavailableError: It is not there or empty; somebody may still be writing it.
        SourceDeniedError: It may not be read.
        SourceDataError: It is not one line of UTF-8.
    """
    text = _read(path, "password").decode("utf-8", "replace").rstrip("\r\n")
    if not text:
        raise SourceUnavailableError(f"no password: {path} is empty")
    if "\ufffd" in text or "\n" in text or "\0" in text:
        raise SourceDataError(f"{path} holds no password: it must be one line of UTF-8")
    return text


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_FILE_BYTES)
    except FileNotFoundError:
        raise SourceUnavailableError(f"no {what}: {path} does not exist (yet)") from None
    except OSError as error:
        raise SourceDeniedError(f"cannot read the {what} from {path}: {error.strerror}") from error


def _mark_of(path: Path) -> _Mark:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
