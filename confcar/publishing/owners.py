"""Turns the user and group that a config names into numbers."""

from __future__ import annotations

import grp
import pwd

from confcar.errors import PublishError
from confcar.model import RenderedFile

_KEEP = -1
"""What chown takes for "leave it as it is"."""


def find_uid(user: str | None) -> int | None:
    """Return the number of a user given by name or number; None for None.

    Raises:
        PublishError: There is no such user here.
    """
    if user is None or user.isdecimal():
        return None if user is None else int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise PublishError(f"unknown user {user!r}: create it here, or give its number") from None


def find_gid(group: str | None) -> int | None:
    """Return the number of a group given by name or number; None for None.

    Raises:
        PublishError: There is no such group here.
    """
    if group is None or group.isdecimal():
        return None if group is None else int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise PublishError(f"unknown group {group!r}: create it here, or give its number") from None


def find_owner(file: RenderedFile) -> tuple[int | None, int | None]:
    """Return the numbers of the user and group asked for, None for each that is not.

    Raises:
        PublishError: An unknown name.
    """
    return find_uid(file.user), find_gid(file.group)


def chown_arguments(uid: int | None, gid: int | None) -> tuple[int, int] | None:
    """Return what to pass to chown; None where there is nothing to change."""
    if uid is None and gid is None:
        return None
    return (_KEEP if uid is None else uid), (_KEEP if gid is None else gid)
