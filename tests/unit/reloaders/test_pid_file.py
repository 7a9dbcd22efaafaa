"""PID files as they are found in the wild."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from confcar.errors import PrimaryNotFoundError
from confcar.reloaders.pid_file import read_pid_file


@pytest.mark.parametrize(
    ("content", "pid"),
    [
        pytest.param(b"123", 123, id="bare"),
        pytest.param(b"123\n", 123, id="newline"),
        pytest.param(b"  123 \r\n", 123, id="blanks and carriage return"),
        pytest.param(b"00123\n", 123, id="leading zeros"),
        pytest.param(b"123\n/var/lib/postgresql/data\n1700000000\n5432\n", 123, id="postmaster.pid"),
    ],
)
def test_first_line_is_the_pid(tmp_path: Path, content: bytes, pid: int) -> None:
    path = tmp_path / "pid"
    path.write_bytes(content)
    assert read_pid_file(path).pid == pid


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"\n \n", "is empty", id="blank"),
        pytest.param(b"0\n", "holds no PID", id="zero"),
        pytest.param(b"-1\n", "holds no PID", id="minus one is everybody"),
        pytest.param(b"+5\n", "holds no PID", id="sign"),
        pytest.param(b"\n123\n", "holds no PID", id="first line empty"),
        pytest.param(b"hunter2-password", "holds no PID", id="garbage"),
        pytest.param("١٢٣".encode(), "holds no PID", id="other digits"),
        pytest.param(b"1" * 5000, "holds no PID", id="endless number"),
        pytest.param(b"\xff\xfe", "holds no PID", id="not text"),
    ],
)
def test_what_is_no_pid_is_refused_without_quoting_it(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "pid"
    path.write_bytes(content)
    with pytest.raises(PrimaryNotFoundError, match=words) as caught:
        read_pid_file(path)
    assert str(path) in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_missing_file_says_that_the_primary_has_not_written_it(tmp_path: Path) -> None:
    with pytest.raises(PrimaryNotFoundError, match="does not exist: the primary has not written it yet"):
        read_pid_file(tmp_path / "pid")


def test_folder_in_its_place_is_an_error_with_words(tmp_path: Path) -> None:
    with pytest.raises(PrimaryNotFoundError, match="Is a directory"):
        read_pid_file(tmp_path)


def test_fifo_in_its_place_does_not_block(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    os.mkfifo(path)
    with pytest.raises(PrimaryNotFoundError, match="is empty"):
        read_pid_file(path)


def test_written_at_is_the_modification_time(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("5")
    os.utime(path, (1000.0, 2000.5))
    assert read_pid_file(path).written_at == 2000.5
