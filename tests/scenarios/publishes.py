"""Many publishes in a row, beside readers that open `..data` once and read all files from it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from confcar.model import RenderedFile
from confcar.publishing.publisher import Publisher
from tests.scenarios import set_reader

READERS = 4
_FILES = 5
_LINES = 300
# A reader that the machine stops in the middle of a set must not outlive its generation.
_KEEP = 50


@dataclass(frozen=True)
class PublishReport:
    """What was seen.

    Attributes:
        publishes: How many generations were published.
        reads: How often the readers read a whole set.
        mixed: Sets of two generations among them.
        torn: Reads with a file that was not whole.
        gone: Reads that found a file missing.
    """

    publishes: int
    reads: int
    mixed: int
    torn: int
    gone: int


def publish_beside_readers(folder: Path, *, publishes: int) -> PublishReport:
    """Publish *publishes* generations one after the other, and return what the readers saw meanwhile."""
    out, stop = folder / "out", folder / "stop"
    publisher = Publisher("set", out, mode="swap", keep=_KEEP)
    publisher.open()
    try:
        _publish(publisher, 0)
        readers = [
            subprocess.Popen([sys.executable, set_reader.__file__, out, stop], stdout=subprocess.PIPE, text=True)
            for _ in range(READERS)
        ]
        try:
            for number in range(1, publishes):
                _publish(publisher, number)
        finally:
            stop.touch()
            counts = sum((Counter(json.loads(reader.communicate()[0])) for reader in readers), Counter())
    finally:
        publisher.close()
    return PublishReport(publishes, counts["reads"], counts["mixed"], counts["torn"], counts["gone"])


def _publish(publisher: Publisher, number: int) -> None:
    content = (f"{number}\n" * _LINES + f"end {number}\n").encode()
    files = [RenderedFile(f"file-{each}", content) for each in range(_FILES)]
    publisher.publish(publisher.stage(files), acknowledged=True)
    publisher.finish()
