"""The memory that is free for the C library and not for the machine."""

from __future__ import annotations

import ctypes


def release_free_memory() -> None:
    """Give back to the machine what lies free between what is used; nothing where the C library cannot.

    Python compiles by many small pieces of memory, which the GNU C library keeps even though all of them are free: of
    a template of 5,000 lines more than 50 MiB. Takes some milliseconds. Any thread.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return  # musl gives back by itself
    trim(0)
