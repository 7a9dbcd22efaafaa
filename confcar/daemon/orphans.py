"""Reaps what others leave to confcar, where it is their parent: as PID 1, and where it starts the primary."""

from __future__ import annotations

import os
import signal

from confcar import children
from confcar.daemon.signals import Signals


def reap_orphans(signals: Signals, *, is_parent: bool) -> None:
    """Reap what others leave to confcar from now on, where it is PID 1 or the parent of a primary."""
    if is_parent or os.getpid() == 1:
        signals.hear([signal.SIGCHLD])
        signals.on(signal.SIGCHLD, _reap)
        _reap()


def _reap() -> None:
    children.reap_others()
