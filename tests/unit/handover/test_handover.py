"""What one process leaves and the next one takes over, and everything that may be wrong with the file between them."""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from confcar.handover.handover import Handover, Life
from confcar.handover.records import HandedLease, HandedSource, HandedToken, SourceKey, hash_of

KEY = SourceKey("vault", "https://v:8200", "", "approle", "approle", "web")
TOKEN = HandedToken("s.the-secret-token")
LEASE = HandedLease(
    kind="secret",
    path="database/creds/web",
    params={"ttl": "1h", "sans": ["a", "b"], "n": 2},
    lease_id="database/creds/web/abc",
    renewable=True,
    lease_duration_seconds=3600.0,
    issued_at=1700000000.5,
    expires_at=1700003600.5,
    data={"username": "u", "password": "the-password", "big": 2**70, "none": None},
    token_hash=hash_of(TOKEN.value),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shared" / ".confcar" / "handover.json"


def made(path: Path | None, life: Life = "run") -> Handover:
    return Handover(path, life=life, sources={"vault", "other"})


def left_by_once(path: Path) -> None:
    once = made(path, "once")
    once.put_token(KEY, TOKEN)
    once.put_leases(KEY, [LEASE])


def test_what_once_left_is_what_run_takes(path: Path) -> None:
    left_by_once(path)

    assert made(path).take(KEY) == HandedSource(TOKEN, (LEASE,))


def test_file_and_folder_are_for_their_owner_only_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        left_by_once(path)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_new_token_leaves_the_leases_and_the_other_way_round(path: Path) -> None:
    left_by_once(path)
    run = made(path)
    run.put_token(KEY, HandedToken("s.another"))
    assert made(path).take(KEY) == HandedSource(HandedToken("s.another"), (LEASE,))
    run.put_leases(KEY, [])

    assert made(path).take(KEY) == HandedSource(HandedToken("s.another"))


def test_same_content_is_not_written_again(path: Path) -> None:
    left_by_once(path)
    inode = path.stat().st_ino
    left_by_once(path)

    assert path.stat().st_ino == inode


def test_nothing_left_is_held_no_more(path: Path) -> None:
    left_by_once(path)
    run = made(path)
    run.remove(KEY)

    assert run.take(KEY) is None
    assert made(path).take(KEY) is None
    assert "the-secret" not in path.read_text()


def test_preview_reads_and_never_writes(path: Path) -> None:
    left_by_once(path)
    content = path.read_bytes()
    preview = made(path, "preview")
    preview.put_token(KEY, HandedToken("s.another"))
    preview.remove(KEY)

    assert path.read_bytes() == content


def test_without_a_file_nothing_is_held_over(tmp_path: Path) -> None:
    handover = made(None)
    handover.put_token(KEY, TOKEN)

    assert (handover.is_on, handover.take(KEY)) == (False, None)
    assert list(tmp_path.iterdir()) == []


def test_source_that_the_config_loses_is_held_no_more(path: Path) -> None:
    left_by_once(path)
    run = made(path)
    run.serve({"other"})
    run.put_token(replace(KEY, source="other"), HandedToken("s.new"))

    assert run.take(KEY) is None
    assert "the-secret" not in path.read_text()


@pytest.mark.parametrize("field", ["address", "namespace", "method", "mount", "role"])
def test_other_login_of_the_same_source_takes_nothing_and_drops_it(
    path: Path, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    left_by_once(path)
    run = made(path)
    assert run.take(replace(KEY, **{field: "another"})) is None
    run.put_token(replace(KEY, **{field: "another"}), HandedToken("s.new"))

    assert caplog.records[-1].__dict__["confcar_fields"]["reason"] == f"it was written for another {field}"
    assert "the-secret" not in path.read_text()


def test_entries_of_sources_that_are_gone_are_left_out(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    left_by_once(path)
    gone = Handover(path, life="run", sources={"other"})
    gone.put_token(replace(KEY, source="other"), HandedToken("s.new"))

    assert "handover ignored" in caplog.text
    assert "the-secret" not in path.read_text()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def _other_format(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))


def _wrong_types(path: Path) -> None:
    path.write_text(path.read_text().replace("3600.0", '"an hour"'))


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _link_to_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))
    path.parent.symlink_to("elsewhere")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


FAULTS = {
    "truncated": (_truncate, "damaged"),
    "empty": (lambda path: path.write_bytes(b""), "damaged"),
    "binary": (lambda path: path.write_bytes(b"\xff\xfe\x00"), "damaged"),
    "no object": (lambda path: path.write_text("[]"), "damaged"),
    "another format": (_other_format, "another version"),
    "wrong types": (_wrong_types, "damaged"),
    "readable file": (lambda path: path.chmod(0o640), "others may read it"),
    "folder others can read": (lambda path: path.parent.chmod(0o750), "mode 0750"),
    "folder others can enter": (lambda path: path.parent.chmod(0o711), "mode 0711"),
    "a link": (_link, "is a link"),
    "a link to the folder": (_link_to_folder, "link to one"),
    "a folder": (_folder, "directory"),
    "a pipe": (_pipe, "no plain file"),
}


@pytest.mark.parametrize(("spoil", "reason"), FAULTS.values(), ids=FAULTS.keys())
def test_file_that_cannot_be_trusted_is_ignored_with_a_line_that_says_why(
    path: Path, spoil: Callable[[Path], object], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    left_by_once(path)
    spoil(path)
    run = made(path)
    with caplog.at_level(logging.WARNING, logger="confcar"):
        assert run.take(KEY) is None
        assert run.take(KEY) is None
    (record,) = caplog.records

    assert record.getMessage() == "handover ignored"
    assert reason in record.__dict__["confcar_fields"]["reason"]
    assert "the-secret" not in str(record.__dict__)
    run.put_token(KEY, HandedToken("s.new"))
    assert run.take(KEY) == HandedSource(HandedToken("s.new"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("which", ["file", "folder"])
def test_file_of_another_user_is_ignored(path: Path, which: str, caplog: pytest.LogCaptureFixture) -> None:
    left_by_once(path)
    os.chown(path if which == "file" else path.parent, 65532, -1)

    assert made(path).take(KEY) is None
    assert "handover ignored" in caplog.text


def test_shared_folder_is_refused_for_writing_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tmp_path.chmod(0o755)
    once = made(tmp_path / "handover.json", "once")
    once.put_token(KEY, TOKEN)
    once.put_leases(KEY, [LEASE])

    assert list(tmp_path.iterdir()) == []
    assert [record.getMessage() for record in caplog.records] == ["handover ignored", "handover not written"]
    assert "give it mode 0700" in caplog.records[0].__dict__["confcar_fields"]["reason"]


def test_disk_that_takes_nothing_is_one_line_and_no_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    once = made(tmp_path / "file" / "below" / "handover.json", "once")
    once.put_token(KEY, TOKEN)
    once.put_leases(KEY, [LEASE])

    assert once.take(KEY) == HandedSource(TOKEN, (LEASE,))
    assert [record.getMessage() for record in caplog.records] == ["handover ignored", "handover not written"]


def test_leftover_of_a_crash_is_written_over(path: Path) -> None:
    left_by_once(path)
    path.with_name(f".{path.name}.new").write_text("half")
    made(path).put_token(KEY, HandedToken("s.new"))

    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_many_threads_lose_nothing(path: Path) -> None:
    run = Handover(path, life="run", sources={f"s{number}" for number in range(8)})

    def put(number: int) -> None:
        key = replace(KEY, source=f"s{number}")
        for turn in range(10):
            run.put_token(key, HandedToken(f"token-{number}-{turn}"))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    later = Handover(path, life="run", sources={f"s{number}" for number in range(8)})

    for number in range(8):
        assert later.take(replace(KEY, source=f"s{number}")) == HandedSource(HandedToken(f"token-{number}-9"))


def test_secrets_are_not_shown_by_the_records() -> None:
    assert "the-secret" not in repr(HandedSource(TOKEN, (LEASE,)))
    assert "the-password" not in repr(LEASE)
