"""A primary that confcar starts: when it starts, what restarts it, how it ends, what is shown of it."""

from __future__ import annotations

import json
import logging
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from confcar.errors import PrimaryNotFoundError
from confcar.supervisor.target import SupervisedFinder
from tests.unit.supervisor.scene import Scene
from tests.waiting import wait_until


@pytest.fixture
def scene_of(tmp_path: Path) -> Iterator[Callable[..., Scene]]:
    scenes: list[Scene] = []

    def make(**options: Any) -> Scene:  # noqa: ANN401 - a config
        scenes.append(Scene(tmp_path, **options))
        return scenes[-1]

    yield make
    for scene in scenes:
        scene.close()


def variables(scene: Scene, start: int = -1) -> dict[str, str]:
    lines = [line for line in scene.lines() if line.startswith("start ")]
    found: dict[str, str] = json.loads(lines[start].removeprefix("start "))
    return found


def test_it_starts_only_after_every_bundle_is_published(scene_of: Callable[..., Scene]) -> None:
    scene = scene_of()
    scene.status.add_bundle("api", "/api")
    scene.start()
    wait_until(lambda: scene.shown.waits_for == "the first publish of api")
    assert scene.starts() == 0
    scene.status.update_bundle("api", generation=3)
    scene.wait_for_starts(1)
    wait_until(lambda: (scene.shown.state, scene.shown.waits_for) == ("running", None))
    assert scene.shown.pid is not None


def test_it_waits_for_its_variables_and_says_for_which(scene_of: Callable[..., Scene]) -> None:
    scene = scene_of(environment={"APP_URL": "db://{{ key('db') }}"})
    scene.start()
    wait_until(lambda: scene.shown.environment is not None and scene.shown.environment.missing)
    assert scene.shown.environment is not None
    missing = scene.shown.environment.missing[0]
    assert (missing.template, missing.function, missing.path) == ("content of primary.environment.APP_URL", "key", "db")
    assert scene.shown.waits_for == "the data of its environment"
    assert scene.starts() == 0
    scene.watcher.set(db=b"host")
    scene.wait_for_starts(1)
    assert variables(scene)["APP_URL"] == "db://host"


def test_it_gets_confcars_environment_without_its_credentials_and_settings(scene_of: Callable[..., Scene]) -> None:
    scene = scene_of(environment={"APP_B": "b"})
    scene.start()
    scene.wait_for_starts(1)
    assert variables(scene) == {"APP_A": "a", "APP_B": "b"}


def test_changed_variables_start_it_anew(scene_of: Callable[..., Scene], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    scene = scene_of(environment={"APP_B": "{{ key('b') }}"})
    scene.watcher.set(b=b"one-secret")
    scene.start()
    scene.wait_for_starts(1)
    scene.watcher.set(b=b"two-secret")
    scene.wait_for_starts(2)
    assert variables(scene)["APP_B"] == "two-secret"
    assert scene.lines()[1] == "SIGTERM"
    wait_until(lambda: scene.shown.state == "running")
    assert scene.shown.restarts == 1
    assert "secret" not in caplog.text + repr(scene.status.copy())


def test_changed_variables_wait_for_the_bundles_to_come_to_rest(scene_of: Callable[..., Scene]) -> None:
    scene = scene_of(environment={"APP_B": "{{ key('b') }}"})
    scene.watcher.set(b=b"one")
    scene.start()
    scene.wait_for_starts(1)
    wait_until(lambda: not scene.primary.is_away())
    scene.is_at_rest = False
    heard = scene.came_up
    scene.watcher.set(b=b"two")
    # What a bundle publishes meanwhile is held back: the start to come tells it all.
    wait_until(lambda: scene.primary.is_away() and scene.primary.environment.values == {"APP_B": "two"})  # type: ignore[union-attr] # it has some
    assert scene.starts() == 1
    scene.is_at_rest = True
    scene.wait_for_starts(2)
    wait_until(lambda: not scene.primary.is_away())
    wait_until(lambda: scene.came_up > heard)


def test_variables_that_vanish_leave_it_running(scene_of: Callable[..., Scene]) -> None:
    scene = scene_of(environment={"APP_B": "{{ key('b') }}"})
    scene.watcher.set(b=b"one")
    scene.start()
    scene.wait_for_starts(1)
    scene.watcher.set(b=None)
    wait_until(lambda: scene.shown.environment is not None and scene.shown.environment.pending)
    assert scene.shown.state == "running"
    assert not scene.primary.is_away()
    scene.watcher.set(b=b"one")
    wait_until(lambda: scene.shown.environment is not None and not scene.shown.environment.pending)
    assert scene.starts() == 1


def test_with_on_change_none_changed_variables_wait_for_the_next_start(scene_of: Callable[..., Scene]) -> None:
    scene = scene_of(environment={"APP_B": "{{ key('b') }}"}, on_change="none", restart="always")
    scene.watcher.set(b=b"one")
    scene.start()
    scene.wait_for_starts(1)
    scene.watcher.set(b=b"two")
    wait_until(lambda: scene.primary.environment.values == {"APP_B": "two"})  # type: ignore[union-attr] # it has some
    assert (scene.starts(), scene.primary.is_away()) == (1, False)
    scene.primary.send(signal.SIGTERM)
    scene.wait_for_starts(2)
    assert variables(scene)["APP_B"] == "two"


def test_its_code_is_handed_on_when_it_ends(scene_of: Callable[..., Scene]) -> None:
    scene = scene_of(code=5)
    scene.start()
    wait_until(lambda: scene.codes == [5])
    assert scene.shown.state == "ended"
    assert scene.shown.last_exit is not None
    assert (scene.shown.last_exit.code, scene.shown.last_exit.signal) == (5, None)
    assert scene.primary.exit_code == 5


def test_with_on_exit_stay_its_end_is_shown_and_nothing_more(scene_of: Callable[..., Scene]) -> None:
    scene = scene_of(code=0, on_exit="stay")
    scene.start()
    wait_until(lambda: scene.shown.state == "ended")
    assert scene.codes == []
    assert scene.primary.is_away()


def test_a_crash_loop_is_restarted_with_back_off_and_shown(scene_of: Callable[..., Scene]) -> None:
    scene = scene_of(code=3, restart="on-failure")
    scene.start()
    scene.wait_for_starts(3)
    wait_until(lambda: scene.shown.restarts >= 2)
    assert scene.shown.last_exit is not None
    assert scene.shown.last_exit.code == 3
    assert scene.codes == []


def test_a_success_is_the_end_where_only_failures_are_restarted(scene_of: Callable[..., Scene]) -> None:
    scene = scene_of(code=0, restart="on-failure")
    scene.start()
    wait_until(lambda: scene.codes == [0])
    assert scene.starts() == 1


def test_a_program_that_is_not_there_ends_it_with_127_and_words(scene_of: Callable[..., Scene]) -> None:
    scene = scene_of(command=["no-such-program"])
    scene.start()
    wait_until(lambda: scene.codes == [127])
    assert scene.shown.error == "cannot start no-such-program: No such file or directory"


def test_a_program_that_is_not_there_yet_is_tried_again(scene_of: Callable[..., Scene], tmp_path: Path) -> None:
    scene = scene_of(command=[str(tmp_path / "late")], restart="on-failure")
    scene.start()
    wait_until(lambda: scene.shown.restarts >= 1)
    (tmp_path / "new").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "new").chmod(0o755)
    (tmp_path / "new").rename(tmp_path / "late")
    wait_until(lambda: scene.shown.state == "running")
    assert scene.shown.error is None


def test_signals_are_passed_on(scene_of: Callable[..., Scene], caplog: pytest.LogCaptureFixture) -> None:
    scene = scene_of()
    scene.primary.send(signal.SIGUSR2)
    assert "signal not passed on, the primary does not run" in caplog.text
    scene.start()
    scene.wait_for_starts(1)
    scene.primary.send(signal.SIGUSR2)
    wait_until(lambda: "SIGUSR2" in scene.lines())


def test_a_stop_ends_it_with_its_stop_signal(scene_of: Callable[..., Scene]) -> None:
    scene = scene_of()
    scene.start()
    scene.wait_for_starts(1)
    scene.primary.stop()
    assert scene.lines()[-1] == "SIGTERM"
    assert (scene.primary.exit_code, scene.shown.state, scene.codes) == (0, "ended", [])


def test_a_stop_before_the_first_start_starts_nothing(scene_of: Callable[..., Scene]) -> None:
    scene = scene_of()
    scene.start(published=False)
    scene.primary.stop()
    scene.publish()
    assert (scene.starts(), scene.primary.exit_code) == (0, None)


def test_another_command_starts_it_anew_and_other_options_do_not(scene_of: Callable[..., Scene]) -> None:
    scene = scene_of()
    scene.start()
    scene.wait_for_starts(1)
    scene.primary.replace(scene.make(stop_timeout="9s", restart="always"), None)
    scene.primary.replace(scene.make(command=["sleep", "60"]), None)
    wait_until(lambda: "SIGTERM" in scene.lines())
    wait_until(lambda: scene.shown.restarts == 1 and scene.shown.state == "running")
    assert scene.starts() == 1


def test_a_process_that_started_after_the_publish_has_read_it(scene_of: Callable[..., Scene]) -> None:
    scene = scene_of()
    finder = SupervisedFinder(scene.primary)
    with pytest.raises(PrimaryNotFoundError, match="does not run"):
        finder.locate()
    scene.start()
    scene.wait_for_starts(1)
    process = finder.find(finder.locate())
    started_at = scene.shown.started_at
    assert started_at is not None
    assert finder.has_started_after(process, started_at - 0.001)
    assert not finder.has_started_after(process, started_at)
