"""`confcar demo`: a live tour with a real primary and the file source. Needs no server and no config.

Nothing shown is made up: every line is read from the processes, their files and their answers. Each step says what it
expects, and the first thing that is not seen ends the tour with an error, so `make demo` is a test too.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from confcar.cli.demo_screen import Screen
from confcar.cli.demo_stage import DemoFailedError, Stage

Result = TypeVar("Result")

_WAIT_SECONDS = 15.0
_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def demo(*, keeps_folder: bool) -> None:
    """Show the tour; takes a few seconds, on a terminal about fifteen. Main thread only.

    Args:
        keeps_folder: Whether the folder is left behind for a look at it.

    Raises:
        DemoFailedError: Something expected was not seen.
    """
    began = time.monotonic()
    screen = Screen()
    with _ending_on_signals() as taken, Stage(keeps_folder=keeps_folder) as stage:
        tour = _Tour(stage, screen)
        try:
            for act in (
                tour.prepare,
                tour.publish_once,
                tour.start_primary,
                tour.start_sidecar,
                tour.change_data,
                tour.take_data_away,
                tour.change_to_refused,
                tour.mend,
                tour.end,
            ):
                act()
                if taken:
                    raise KeyboardInterrupt
        except DemoFailedError as error:
            raise DemoFailedError(f"demo: {error}\n  the last lines of the log:\n{stage.last_log_lines()}") from None
    print(f"\nAll of it was seen to work, in {time.monotonic() - began:.1f} s.", end=" ")
    print(f"The folder is left: {stage.folder}" if keeps_folder else "The folder is gone; --keep would leave it.")


class _Tour:
    """The steps, in their order."""

    def __init__(self, stage: Stage, screen: Screen) -> None:
        self._stage = stage
        self._screen = screen

    def prepare(self) -> None:
        """Show the folder and the files in it."""
        stage, screen = self._stage, self._screen
        stage.write_data(_data("shop", 8080))
        screen.step(f"A folder with a config, two templates that must agree, and their data: {stage.folder}")
        for name in ("confcar.yaml", "app.conf.j2", "proxy.conf.j2", "data.yaml"):
            screen.show(f"{name}:", (stage.folder / name).read_text())

    def publish_once(self) -> None:
        """Run the init container's part."""
        self._screen.step("`confcar once`, the init container: publish everything, tell nobody, end")
        code = self._stage.once()
        if code != 0:
            raise DemoFailedError(f"`confcar once` ended with {code}, not 0")
        self._screen.show("published/ now holds:", "\n".join(self._stage.layout()))
        self._expect_generation(1)

    def start_primary(self) -> None:
        """Start the program that reads the files."""
        stage, screen = self._stage, self._screen
        screen.step("The primary starts: a small HTTP server that reads the two files, and again on SIGHUP")
        stage.start_primary()
        self._expect("the primary answers", lambda: stage.answer().get("port") == 8080)  # noqa: PLR2004 - as written
        assert stage.primary is not None, "it was started"
        screen.say(f"process {stage.primary.pid}")
        self._show_answer()

    def start_sidecar(self) -> None:
        """Start confcar beside it."""
        stage, screen = self._stage, self._screen
        screen.step("`confcar run`, the sidecar: starts, finds everything as it should be, reloads nothing")
        stage.start_sidecar()
        self._expect("the sidecar is there", lambda: stage.status().get("state") == "published")
        if stage.answer()["reloads"] != 0:
            raise DemoFailedError(f"the primary was reloaded though nothing had changed: {json.dumps(stage.answer())}")
        assert stage.sidecar is not None, "it was started"
        screen.say(f"process {stage.sidecar.pid}")
        screen.good("no needless reload")

    def change_data(self) -> None:
        """Change what both files are made of."""
        self._screen.step("data.yaml changes: port 8080 becomes 9090")
        self._change_and_see_reload(_data("shop", 9090), port=9090, reloads=1)
        self._screen.show("published/ now holds:", "\n".join(self._stage.layout()))
        self._expect_generation(2)

    def take_data_away(self) -> None:
        """Break the data: what a template reads is gone."""
        self._screen.step("data.yaml loses the port: a render without it would be wrong, so there is none")
        status = self._change_and_see_state("app:\n  name: shop\n", "pending")
        for item in status["missing"]:
            place = f"{item['template']}:{item['line']}"
            call = f"{item['function']}({item['path']!r}) from {item['source']}"
            self._screen.say(f"status: {status['state']}, {call}: {item['reason']} ({place})")
        if not status["missing"]:
            raise DemoFailedError(f"status does not say what is missing: {json.dumps(status)}")
        self._expect_untouched()

    def change_to_refused(self) -> None:
        """Give data that renders and is wrong all the same."""
        self._screen.step("data.yaml says port 99999: it renders, but the bundle's `check` command refuses it")
        status = self._change_and_see_state(_data("shop", 99999), "refused")
        self._screen.say(f"status: {status['state']}, {status['error']}")
        self._screen.say(f"the check said: {status['check']['output'].strip()}")
        self._expect_untouched()

    def mend(self) -> None:
        """Give good data again."""
        self._screen.step("data.yaml is mended: port 8443")
        self._change_and_see_reload(_data("shop", 8443), port=8443, reloads=2)
        self._expect_generation(3)

    def end(self) -> None:
        """End both processes as an orchestrator would."""
        stage, screen = self._stage, self._screen
        screen.step("SIGTERM to confcar, then to the primary")
        for name, process in (("confcar", stage.sidecar), ("the primary", stage.primary)):
            assert process is not None, "it was started"
            began = time.monotonic()
            code = stage.stop(process)
            took = (time.monotonic() - began) * 1000
            if code != 0:
                raise DemoFailedError(f"{name} ended with {code}, not 0")
            screen.good(f"{name} ended with {code} after {took:.0f} ms")

    def _change_and_see_reload(self, data: str, *, port: int, reloads: int) -> None:
        stage, screen = self._stage, self._screen
        screen.say(f"before: {json.dumps(stage.answer())}")
        changed_at_ns = stage.write_data(data)
        self._expect(
            "the primary is told",
            lambda: (answer := stage.answer()).get("reloads") == reloads and answer["port"] == port,
        )
        took = (stage.read_at_ns() - changed_at_ns) / 1e6
        screen.say(f"after:  {json.dumps(stage.answer())}")
        screen.good(f"{took:.1f} ms from the change to the primary's SIGHUP; `wait.quiet` and the check are in it")
        self._expect("the reload is acknowledged", lambda: not stage.status()["reload"]["pending"])

    def _change_and_see_state(self, data: str, state: str) -> dict[str, Any]:
        self._stage.write_data(data)
        self._expect(f"status says {state}", lambda: self._stage.status().get("state") == state)
        return self._stage.status()

    def _expect_untouched(self) -> None:
        answer = self._stage.answer()
        if (answer.get("port"), answer.get("reloads")) != (9090, 1):
            raise DemoFailedError(f"the primary was touched: {json.dumps(answer)}")
        self._expect_generation(2)
        self._show_answer()
        self._screen.good("nothing was published and nobody was told; the last good files stay")

    def _expect_generation(self, number: int) -> None:
        link = f"..data -> ..generation-{number:06d}"
        if link not in self._stage.layout():
            raise DemoFailedError(f"expected {link}, saw:\n    " + "\n    ".join(self._stage.layout()))

    def _expect(self, what: str, predicate: Callable[[], Result]) -> Result:
        def look() -> Result:
            self._stage.expect_alive()
            return predicate()

        result = self._screen.wait_for(what, look, seconds=_WAIT_SECONDS)
        if result is None:
            status, answer = json.dumps(self._stage.status()), json.dumps(self._stage.answer())
            raise DemoFailedError(
                f"not seen within {_WAIT_SECONDS:g} s: {what}\n  the primary answers {answer}\n  status says {status}"
            )
        return result

    def _show_answer(self) -> None:
        self._screen.say(f"GET {self._stage.url} -> {json.dumps(self._stage.answer())}")


def _data(name: str, port: int) -> str:
    return f"app:\n  name: {name}\n  port: {port}\n"


@contextmanager
def _ending_on_signals() -> Iterator[list[int]]:
    """Let SIGTERM and SIGHUP end the demo as Ctrl-C does, so that nothing it started outlives it.

    Yields the signals taken. The exception can get lost where Python calls back from within, such as in a fork; then
    the list still tells.
    """
    taken: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        taken.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, handle) for number in _ENDING_SIGNALS}
    try:
        yield taken
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
