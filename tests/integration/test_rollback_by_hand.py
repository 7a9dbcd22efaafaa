"""`confcar rollback` and `sync` on a running sidecar: back, held over a restart, and forward again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.sidecar import Sidecar, run_confcar
from tests.waiting import wait_until


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "confcar.json"
        bundle = {
            "directory": "out",
            "wait": {"quiet": "10ms", "max": "1s"},
            "templates": [{"content": "{{ key('word') }}", "destination": "word"}],
            "reload": {"command": ["cp", "{directory}/word", str(folder / "told")]},
        }
        source = {"type": "file", "path": "data.json"}
        self.config.write_text(json.dumps({"sources": {"local": source}, "bundles": {"web": bundle}}))
        self.write("first")
        self.sidecar = Sidecar(self.config)

    def write(self, word: str) -> None:
        temporary = self.folder / "data.new"
        temporary.write_text(json.dumps({"word": word}))
        temporary.replace(self.folder / "data.json")

    def seen(self) -> tuple[str, str]:
        """Return what is published, and what the primary was told of last."""
        return (self.folder / "out" / "word").read_text(), (self.folder / "told").read_text()

    def ask(self, *command: str) -> tuple[int, str]:
        done = run_confcar(*command, "--address", f"127.0.0.1:{self.sidecar.port}", "-c", self.config)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_back_by_hand_is_held_over_a_restart_until_a_sync(world: World) -> None:
    with world.sidecar:
        wait_until((world.folder / "told").exists)
        code, said = world.ask("rollback", "web")
        assert code == 1
        assert "there is no older one" in said
        world.write("second")
        wait_until(lambda: world.seen() == ("second", "second"))
        wait_until(lambda: world.sidecar.bundle()["reload"]["acknowledged_generation"] == 2)
        assert world.ask("rollback", "web")[0] == 0
        assert world.seen() == ("first", "first")
        assert world.ask("rollback", "wbe")[0] == 2
    with world.sidecar.start():
        wait_until(lambda: world.sidecar.bundle()["state"] == "refused")
        refused = world.sidecar.bundle()["refused"]
        assert (refused["generation"], refused["by_hand"], refused["reason"]) == (2, True, "rolled back by hand")
        assert world.seen() == ("first", "first")
        assert world.ask("sync")[0] == 0
        assert world.seen() == ("second", "second")
        assert (world.sidecar.bundle()["generation"], world.sidecar.bundle()["refused"]) == (3, None)
