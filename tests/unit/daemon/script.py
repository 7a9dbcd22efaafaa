"""Running the sidecar in this process while a script of the test's talks to it from a thread."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from confcar.bundle_status import BundleStatus
from confcar.daemon.assembly import Context
from confcar.daemon.life import run
from tests.unit.daemon.place import Place
from tests.waiting import wait_until

Result = TypeVar("Result")


def eventually(predicate: Callable[[], Result]) -> Result:
    """Wait until that is so, with patience for a machine that many tests share."""
    return wait_until(predicate, timeout=30.0)


class Running:
    """What a script sees of the sidecar that runs."""

    def __init__(self, place: Place, context: Context) -> None:
        self.place = place
        self.context = context

    def tell(self, number: int) -> None:
        """Send a signal to it."""
        os.kill(os.getpid(), number)

    def reload(self, **settings: Any) -> str | None:  # noqa: ANN401 - a config
        """Write another config where *settings* are given, have it taken over, and return why not, None where it is."""
        before = self.context.status.copy().config
        if settings:
            self.place.configure(**settings)
        self.tell(signal.SIGHUP)
        eventually(lambda: self.context.status.copy().config != before)
        return self.context.status.copy().config.error

    def seen(self, name: str = "web") -> BundleStatus:
        """Return what the board says of a bundle."""
        return self.context.status.bundle(name)

    def wait_for_text(self, text: str, bundle: str = "web") -> None:
        """Wait until that is published."""
        eventually(lambda: self.place.text(bundle) == text)

    def wait_for_state(self, state: str, bundle: str = "web") -> BundleStatus:
        """Wait until the board says so."""
        eventually(lambda: self.seen(bundle).state == state)
        return self.seen(bundle)

    def threads(self, bundle: str = "web") -> list[threading.Thread]:
        """Return the threads that run a bundle."""
        return [thread for thread in threading.enumerate() if thread.name == f"confcar-bundle-{bundle}"]


def play(place: Place, script: Callable[[Running], None]) -> Context:
    """Run the sidecar on *place* until *script* has ended, and return the context as it was at the end."""
    context = place.context()
    errors: list[BaseException] = []
    before = signal.getsignal(signal.SIGTERM)

    def act() -> None:
        try:
            # Before they are heard, signals would end the test.
            eventually(lambda: signal.getsignal(signal.SIGTERM) != before)
            eventually(lambda: context.status.copy().config.loaded_at)
            script(Running(place, context))
        except BaseException as error:  # noqa: BLE001 - raised by the test's own thread
            errors.append(error)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=act)
    thread.start()
    run(context)
    thread.join()
    if errors:
        raise errors[0]
    return context
