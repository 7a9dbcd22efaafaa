"""Readers beside a busy publisher: no torn file, and through `..data` no torn set."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from confcar.publishing.layout import PublishMode
from tests.unit.publishing.samples import MODES, file, opened, publish

# Many more of them, and reader processes: tests/scenarios/publishes.py.
PUBLISHES = 300
LONG = 2000


class Reader(threading.Thread):
    """Reads until told to stop, and keeps what it must never see."""

    def __init__(self, read: Callable[[], str | None]) -> None:
        super().__init__(name="reader")
        self._read = read
        self._stop_reading = threading.Event()
        self.faults: list[str] = []
        self.count = 0

    def run(self) -> None:
        while not self._stop_reading.is_set():
            fault = self._read()
            self.count += 1
            if fault is not None:
                self.faults.append(fault)

    def finish(self) -> None:
        self._stop_reading.set()
        self.join()


def _run_beside(reader: Reader, directory: Path, mode: PublishMode) -> None:
    # A reader that the machine stops in the middle of following the links must not outlive its generation.
    publisher = opened(directory, mode, keep=20)
    publish(publisher, [file("a", "0" * LONG), file("b", "0" * LONG)])
    reader.start()
    try:
        for number in range(PUBLISHES):
            text = str(number % 10) * (LONG + number % 7)
            publish(publisher, [file("a", text), file("b", text)])
    finally:
        reader.finish()


def test_pair_read_through_one_opening_of_data_is_never_mixed(memory_path: Path) -> None:
    def read() -> str | None:
        folder = os.open(memory_path / "..data", os.O_RDONLY | os.O_DIRECTORY)
        try:
            texts = []
            for name in ("a", "b"):
                descriptor = os.open(name, os.O_RDONLY, dir_fd=folder)
                texts.append(os.read(descriptor, 2 * LONG))
                os.close(descriptor)
        except FileNotFoundError:
            return None  # older than what is kept: the reader was slower than twenty publishes
        finally:
            os.close(folder)
        return None if texts[0] == texts[1] and len(set(texts[0])) == 1 else "mixed"

    reader = Reader(read)
    _run_beside(reader, memory_path, "swap")
    assert reader.faults == []
    assert reader.count > 100


@pytest.mark.parametrize("mode", MODES)
def test_file_is_always_there_and_never_torn(memory_path: Path, mode: PublishMode) -> None:
    def read() -> str | None:
        try:
            text = (memory_path / "a").read_text()
        except FileNotFoundError:
            return "gone"
        return None if len(text) >= LONG and len(set(text)) == 1 else f"torn at {len(text)}"

    reader = Reader(read)
    _run_beside(reader, memory_path, mode)
    assert reader.faults == []
    assert reader.count > 100
