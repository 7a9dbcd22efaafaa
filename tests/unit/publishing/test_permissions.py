"""Owners and modes: final before anything is seen, whatever the umask, and never wider on the way."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from confcar.errors import PublishError
from confcar.model import RenderedFile
from confcar.publishing.layout import PublishMode
from confcar.publishing.publisher import Publisher
from tests.unit.publishing.disks import HookedDisk
from tests.unit.publishing.samples import MODES, file, opened, publish

each_mode = pytest.mark.parametrize("mode", MODES)
NOBODY = 65534
ROOT = Path(__file__).parents[3]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other users, which needs root")


@pytest.fixture
def umask() -> Iterator[Callable[[int], int]]:
    """Return a setter of the umask that is put back."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.fixture
def open_path() -> Iterator[Path]:
    """Return a folder that any user can reach and that belongs to nobody, for tests that drop root."""
    path = Path(tempfile.mkdtemp(dir="/tmp", prefix="confcar-test-"))
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    yield path
    shutil.rmtree(path)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def run_unprivileged(script: str, *arguments: str | Path) -> str:
    """Run a Python script as an ordinary user, and return what it printed; as ourselves where we are one."""
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    if drop and shutil.which(drop[0]) is None:
        pytest.skip("setpriv is not installed, and as root permissions are not enforced")
    command = [*drop, sys.executable, "-B", "-c", script, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    unreadable = "PermissionError" in done.stderr or "error while loading shared libraries" in done.stderr
    if unreadable and "confcar" not in done.stdout + done.stderr:
        pytest.skip("the interpreter or the project cannot be read by an ordinary user here")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@each_mode
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
@pytest.mark.parametrize("wanted", [0o600, 0o640, 0o644, 0o755, 0o400, 0o4755, 0o2750])
def test_final_modes_whatever_the_umask(
    tmp_path: Path,
    umask: Callable[[int], int],
    *,
    mode: PublishMode,
    mask: int,
    wanted: int,
) -> None:
    outside = tmp_path / "made" / "out"
    umask(mask)
    publish(opened(tmp_path / "web", mode), [file("d/a", mode=wanted), file(outside, mode=wanted)])
    assert (_mode((tmp_path / "web" / "d" / "a").resolve()), _mode(outside)) == (wanted, wanted)
    assert (_mode(tmp_path / "web"), _mode(outside.parent)) == (0o755, 0o755)


@each_mode
@pytest.mark.parametrize("mask", [0o000, 0o777])
def test_never_wider_than_final_on_the_way(
    tmp_path: Path,
    umask: Callable[[int], int],
    mode: PublishMode,
    mask: int,
) -> None:
    seen: set[int] = set()

    def look(*_: object) -> None:
        for path in (*tmp_path.rglob("*secret*"), *tmp_path.rglob("..confcar-*")):
            if not path.is_symlink() and path.is_file():
                seen.add(_mode(path))
        for path in tmp_path.rglob("..confcar.json*"):
            assert _mode(path) & ~0o600 == 0

    umask(mask)
    publisher = opened(tmp_path / "web", mode, disk=HookedDisk(look))
    publish(publisher, [file("d/secret", mode=0o400), file(tmp_path / "out" / "secret", mode=0o400)])
    assert seen <= {0o000, 0o400, 0o600}, "0600 are the copies to place from"
    copies = [_mode(path) for path in tmp_path.rglob("..generation-*/..outside")]
    assert all(each == 0o700 for each in copies)


def test_folders_let_through_whom_their_files_let_read(tmp_path: Path) -> None:
    publisher = opened(tmp_path)
    wanted = [
        *(file("private/a", mode=0o600), file("group/a", mode=0o640), file("all/a", mode=0o644)),
        *(file("mixed/a", mode=0o600), file("mixed/deep/b", mode=0o644)),
    ]
    publish(publisher, wanted)
    root = tmp_path / "..generation-000001"
    modes = {name: _mode(root / name) for name in ("private", "group", "all", "mixed", "mixed/deep", ".")}
    assert modes == {"private": 0o700, "group": 0o750, "all": 0o755, "mixed": 0o755, "mixed/deep": 0o755, ".": 0o755}


@needs_root
@each_mode
def test_group_is_the_directorys_where_that_is_setgid(tmp_path: Path, mode: PublishMode) -> None:
    (tmp_path / "web").mkdir()
    os.chown(tmp_path / "web", 0, 4321)
    (tmp_path / "web").chmod(0o2775)
    publish(opened(tmp_path / "web", mode), [file("d/a"), file("b")])
    for path in (tmp_path / "web" / "d", tmp_path / "web" / "d" / "a", tmp_path / "web" / "b"):
        assert path.stat().st_gid == 4321
    assert (tmp_path / "web" / "d").stat().st_mode & stat.S_ISGID
    if mode == "swap":
        assert _mode(tmp_path / "web" / "..generation-000001") == 0o2750


@needs_root
@each_mode
def test_user_and_group_are_set_and_their_folders_can_be_passed(tmp_path: Path, mode: PublishMode) -> None:
    wanted = [RenderedFile("d/a", b"1", mode=0o400, user=str(NOBODY), group="4321")]
    publisher = opened(tmp_path, mode)
    publish(publisher, wanted)
    status = (tmp_path / "d" / "a").stat()
    assert (status.st_uid, status.st_gid, _mode((tmp_path / "d" / "a").resolve())) == (NOBODY, 4321, 0o400)
    assert (tmp_path / "d").stat().st_mode & 0o055 == 0o055
    assert publisher.compare(wanted) == ()


UNPRIVILEGED = """
import os, sys
from pathlib import Path
from confcar.errors import PublishError
from confcar.model import RenderedFile
from confcar.publishing.publisher import Publisher
os.umask(int(sys.argv[3], 8))
publisher = Publisher("web", Path(sys.argv[1]), mode=sys.argv[2], keep=1)
user = sys.argv[4] if len(sys.argv) > 4 else None
try:
    publisher.open()
    for text in (b"1", b"2"):
        files = [RenderedFile("d/a", text, mode=0o640, user=user), RenderedFile("b", text, mode=0o400)]
        publisher.publish(publisher.stage(files), acknowledged=True)
    print(publisher.compare([RenderedFile("d/a", b"2"), RenderedFile("b", b"2", mode=0o400)]))
    publisher.close()
    publisher.open()
    print(publisher.state.current)
except PublishError as error:
    print(error)
"""


@each_mode
@pytest.mark.parametrize("mask", ["0", "077", "777"])
def test_ordinary_user_publishes_under_any_umask(open_path: Path, mode: PublishMode, mask: str) -> None:
    assert run_unprivileged(UNPRIVILEGED, open_path / "web" / "x", mode, mask) == "()\n2"
    assert (_mode((open_path / "web/x/d/a").resolve()), _mode((open_path / "web/x/b").resolve())) == (0o640, 0o400)


@each_mode
def test_other_owner_without_the_capability_is_refused_with_words(open_path: Path, mode: PublishMode) -> None:
    said = run_unprivileged(UNPRIVILEGED, open_path / "web", mode, "022", "1")
    assert "to user 1 and group (unchanged): operation not permitted" in said
    assert "lacks the capability" in said
    assert not list((open_path / "web").rglob("a"))


@each_mode
def test_directory_that_cannot_be_written_is_refused_with_words(open_path: Path, mode: PublishMode) -> None:
    (open_path / "web").mkdir()
    (open_path / "web").chmod(0o755 if os.geteuid() == 0 else 0o555)
    said = run_unprivileged(UNPRIVILEGED, open_path / "web", mode, "022")
    (open_path / "web").chmod(0o755)
    assert "permission denied; give confcar's user (uid" in said


@needs_root
def test_unreadable_file_of_another_owner_is_compared_by_its_record(tmp_path: Path) -> None:
    """CAP_CHOWN alone lets confcar give a file away that it then cannot read."""
    publisher = opened(tmp_path)
    wanted = [RenderedFile("a", b"1", mode=0o400, user="1")]
    publish(publisher, wanted)
    script = """
import sys
from pathlib import Path
from confcar.model import RenderedFile
from confcar.publishing.layout import Layout
from confcar.publishing.reading import find_differences
from confcar.publishing.state import FileRecord, PublishedState
from hashlib import sha256
state = PublishedState(1, 1, 1, files={"a": FileRecord(sha256(b"1").hexdigest(), 0o400, False, 1, None)})
layout = Layout(Path(sys.argv[1]), "swap")
for text in (b"1", b"2"):
    print(find_differences(layout, state, [RenderedFile("a", text, mode=0o400, user="1")]))
"""
    moved = Path(tempfile.mkdtemp(dir="/tmp", prefix="confcar-test-"))
    try:
        moved.chmod(0o755)
        shutil.copytree(tmp_path, moved / "web", symlinks=True)
        (moved / "web").chmod(0o755)
        os.chown(moved / "web" / "..generation-000001" / "a", 1, 0)
        assert run_unprivileged(script, moved / "web") == "()\n('a',)"
    finally:
        shutil.rmtree(moved)


def test_error_of_the_lock_names_the_path(tmp_path: Path) -> None:
    (tmp_path / "..confcar.lock").symlink_to("elsewhere")
    with pytest.raises(PublishError, match=r"cannot lock .*\.\.confcar\.lock"):
        Publisher("web", tmp_path, mode="swap", keep=1).open()
    assert not (tmp_path / "elsewhere").exists()
