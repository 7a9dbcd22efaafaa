"""The state file: what it survives, and what is made of a directory without it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from confcar.publishing.layout import PublishMode
from tests.unit.publishing.samples import MODES, file, files, opened, publish, visible

each_mode = pytest.mark.parametrize("mode", MODES)


def _state_file(directory: Path, mode: PublishMode) -> Path:
    return (directory if mode == "swap" else directory / "..confcar") / "..confcar.json"


def _newer(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))


def _contradiction(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "highest": 1, "current": 5}))


def _with_escape(path: Path) -> None:
    state = json.loads(path.read_text())
    path.write_text(json.dumps({**state, "files": {"../../etc/passwd": {"sha256": "", "mode": 0, "secret": False}}}))


@each_mode
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-20]), id="cut"),
        pytest.param(lambda path: path.write_bytes(b"\xff\x00garbage"), id="garbage"),
        pytest.param(lambda path: path.write_text("[]"), id="other-json"),
        pytest.param(_newer, id="newer-format"),
        pytest.param(_contradiction, id="contradiction"),
        pytest.param(_with_escape, id="path-out-of-the-directory"),
        pytest.param(lambda path: path.chmod(0o666), id="writable-by-all"),
        pytest.param(lambda path: (path.unlink(), path.symlink_to("/etc/hostname")), id="link"),
        pytest.param(lambda path: (path.unlink(), path.mkdir()), id="folder"),
    ],
)
def test_state_that_cannot_be_used_is_set_aside_and_rebuilt(
    tmp_path: Path,
    mode: PublishMode,
    spoil: Callable[[Path], object],
    caplog: pytest.LogCaptureFixture,
) -> None:
    publisher = opened(tmp_path, mode)
    publish(publisher, files(a="1", d__b="1"))
    publish(publisher, files(a="2", d__b="1"), acknowledged=True)
    publisher.close()
    path = _state_file(tmp_path, mode)
    spoil(path)
    publisher = opened(tmp_path, mode)
    assert "state file set aside" in caplog.messages
    assert os.path.lexists(path.with_name("..confcar.json.damaged"))
    state = publisher.state
    assert (state.current, state.highest, state.acknowledged, state.changed) == (2, 2, None, ("a", "d/b"))
    assert publisher.compare(files(a="2", d__b="1")) == ()
    assert publish(publisher, files(a="3")).generation == 3
    assert visible(tmp_path) == {"a": "3"}


@each_mode
def test_lost_state_is_rebuilt_and_all_counts_as_secret(tmp_path: Path, mode: PublishMode) -> None:
    outside = tmp_path / "out"
    publisher = opened(tmp_path / "web", mode)
    publish(publisher, [file("a", "1"), file(outside, "1")], acknowledged=True)
    publisher.close()
    _state_file(tmp_path / "web", mode).unlink()
    publisher = opened(tmp_path / "web", mode)
    assert publisher.state.current == 1
    assert {name: record.secret for name, record in publisher.state.files.items()} == {"a": True, str(outside): True}
    assert publisher.compare([file("a", "1"), file(outside, "1")]) == ()


@each_mode
def test_state_holds_digests_and_is_for_its_owner_alone(tmp_path: Path, mode: PublishMode) -> None:
    publish(opened(tmp_path, mode), [file("a", "hunter2-hunter2", secret=True)])
    path = _state_file(tmp_path, mode)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "hunter2" not in path.read_text()
    state = json.loads(path.read_text())
    assert (state["current"], state["acknowledged"], state["highest"]) == (1, None, 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user, which needs root")
def test_state_of_another_user_is_not_trusted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    publisher = opened(tmp_path)
    publish(publisher, files(a="1"), acknowledged=True)
    publisher.close()
    os.chown(tmp_path / "..confcar.json", 65534, 65534)
    assert opened(tmp_path).state.acknowledged is None
    assert "state file set aside" in caplog.messages


@each_mode
def test_publish_without_acknowledgement_is_pending_after_a_restart(tmp_path: Path, mode: PublishMode) -> None:
    publisher = opened(tmp_path, mode)
    publish(publisher, files(a="1"))
    publisher.close()
    state = opened(tmp_path, mode).state
    assert (state.is_acknowledged, state.changed) == (False, ("a",))
