"""Words for what the operating system refuses, so that a publish error says what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confcar.errors import PublishError

_REMEDIES = {
    errno.ENOSPC: "free some space or make the volume larger",
    errno.EDQUOT: "free some space or raise the quota",
    errno.EROFS: "mount it writable for confcar",
    errno.EACCES: "give confcar's user (uid {uid}) permission to write there",
    errno.EPERM: "confcar's user (uid {uid}) lacks the capability for it",
    errno.EISDIR: "a folder stands where a file must; move it away",
    errno.ENOTDIR: "a file or link stands where a folder must; move it away",
    errno.ELOOP: "a symbolic link stands where a folder of the bundle must; move it away",
    errno.EBUSY: "it is a mount point; mount its folder instead of the single file",
    errno.ENAMETOOLONG: "choose a shorter destination",
}


def publish_error(action: str, error: OSError) -> PublishError:
    """Return the error for a failed system call: what was being done, why it failed, and what helps."""
    reason = (error.strerror or "unknown error").lower()
    remedy = _REMEDIES.get(error.errno or 0, "").format(uid=os.geteuid())
    return PublishError(f"cannot {action}: {reason}" + (f"; {remedy}" if remedy else ""))


@contextmanager
def publishing(action: str, path: Path | str) -> Iterator[None]:
    """Turn any OSError of the block into a PublishError about *action* on *path*; other errors pass."""
    try:
        yield
    except OSError as error:
        raise publish_error(f"{action} {path}", error) from error
