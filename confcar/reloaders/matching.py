"""Finds the processes that fit a `process:` of the config; decides nothing about signals.

The only module that loads psutil: 50 ms that configs with `pid` and `pid_file` do not pay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import PurePath

import psutil

from confcar.config.bundles import ProcessOptions
from confcar.errors import ReloadError
from confcar.reloaders.procfs import ProcessFacts, ancestors_of, read_command_line, read_name, read_process

_KERNEL_NAME_LENGTH = 15


def describe(options: ProcessOptions) -> str:
    """Return what is looked for, for messages: `name 'nginx', user 'app'`."""
    given = {"name": options.name, "cmdline": options.cmdline, "user": options.user}
    return ", ".join(f"{key} {value!r}" for key, value in given.items() if value is not None)


def visible_pids() -> list[int]:
    """Return the PIDs of all processes that confcar can see, sorted."""
    return psutil.pids()


def find_topmost(options: ProcessOptions, pids: Sequence[int]) -> list[ProcessFacts]:
    """Return those of *pids* that fit, without the ones that stand below another one that fits, and without zombies.

    A master and its workers fit alike; the master is the one to signal. Where the name fits what any process is called,
    the files that the others run are not looked at.

    Raises:
        ReloadError: The user is not known here.
    """
    user = _user_id(options.user)
    looks = (_is_called, _runs) if options.name is not None else (_is_called,)
    fitting: dict[int, ProcessFacts] = {}
    for look in looks:
        likely = (read_process(pid) for pid in pids if _looks_right(pid, options, look))
        fitting = {process.pid: process for process in likely if process is not None and _is_alive_as(process, user)}
        if fitting:
            break
    return [process for process in fitting.values() if not any(pid in fitting for pid in ancestors_of(process.pid))]


def fits(process: ProcessFacts, options: ProcessOptions) -> bool:
    """Return whether this one process fits now.

    Raises:
        ReloadError: The user is not known here.
    """
    is_right = any(_looks_right(process.pid, options, look) for look in (_is_called, _runs))
    return is_right and _is_alive_as(process, _user_id(options.user))


def _looks_right(pid: int, options: ProcessOptions, look: Callable[[int, str], bool]) -> bool:
    if options.name is not None and not look(pid, options.name):
        return False
    return options.cmdline is None or re.search(options.cmdline, " ".join(read_command_line(pid))) is not None


def _is_alive_as(process: ProcessFacts, user: int | None) -> bool:
    return not process.has_ended and user in {None, process.user}


def _is_called(pid: int, wanted: str) -> bool:
    name = read_name(pid)
    if name == wanted:
        return True
    words = read_command_line(pid)
    if words and PurePath(words[0]).name == wanted:
        return True
    # A script of a long name: the program is its interpreter, the name stands in an argument.
    return name == wanted[:_KERNEL_NAME_LENGTH] and any(PurePath(word).name == wanted for word in words)


def _runs(pid: int, wanted: str) -> bool:
    try:
        return PurePath(psutil.Process(pid).exe()).name == wanted
    except psutil.Error:  # gone, or the kernel shows it to the same user only
        return False


def _user_id(user: str | None) -> int | None:
    if user is None or user.isdecimal():
        return None if user is None else int(user)
    import pwd

    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError as error:
        message = (
            f"process: the user {user!r} is not known here; give its number, another container's names do not count"
        )
        raise ReloadError(message) from error
