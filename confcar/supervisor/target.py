"""How a bundle's reload finds the primary that confcar itself has started."""

from __future__ import annotations

from dataclasses import dataclass

from confcar.errors import PrimaryNotFoundError
from confcar.reloaders.procfs import ProcessFacts, read_process
from confcar.supervisor.running import RunningPrimary
from confcar.supervisor.supervised import SupervisedPrimary


@dataclass(frozen=True, slots=True)
class SupervisedFinder:
    """Finds the process that confcar itself has started; what `reloaders.process` asks for. Any thread.

    Attributes:
        primary: Who runs it.
    """

    primary: SupervisedPrimary

    def locate(self) -> int:
        """Return its PID.

        Raises:
            PrimaryNotFoundError: It does not run now.
        """
        return self._running().pid

    def find(self, pid: int | None = None) -> ProcessFacts:
        """Return what the kernel says of it; with *pid* of no other process than that.

        Raises:
            PrimaryNotFoundError: It does not run now, or was started anew meanwhile.
        """
        running = self._running()
        process = read_process(running.pid)
        if process is None or process.has_ended or pid not in {None, process.pid}:
            message = "the primary ended while it was looked up"
            raise PrimaryNotFoundError(message)
        return process

    def has_started_after(self, process: ProcessFacts, moment: float) -> bool:
        """Return whether it was started after *moment*: then it has read what was published until then."""
        running = self.primary.process
        return running is not None and running.pid == process.pid and running.started_at > moment

    def _running(self) -> RunningPrimary:
        running = self.primary.process
        if running is None:
            message = "the primary does not run; its next start reads the files as they are then"
            raise PrimaryNotFoundError(message)
        return running
