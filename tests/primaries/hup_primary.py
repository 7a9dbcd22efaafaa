"""A primary that reads its files again on SIGHUP: `python hup_primary.py DIRECTORY LOG PID_FILE FILE…`.

It opens `..data` once (or the directory itself where there is none) and reads every file through that, as a careful
primary does, and appends one JSON line per read: `monotonic_ns` and `clock_ns` of the moment the signal was taken,
`generation` (the name of the directory it read from), `files` (name to text, null for one that is not there) and
`event` (`start` or `reload`). The pid file is written once the handler is there. SIGTERM ends it with 0.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

_SIGNALS = {signal.SIGHUP, signal.SIGTERM, signal.SIGINT}


def read_files(directory: Path, names: list[str]) -> tuple[str, dict[str, str | None]]:
    """Return the name of the directory that was read, and the files' texts, all through one open directory."""
    data = directory / "..data"
    folder = os.open(data if data.exists() else directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        generation = Path(f"/proc/self/fd/{folder}").readlink().name
        return generation, {name: _read(name, folder) for name in names}
    finally:
        os.close(folder)


def _read(name: str, folder: int) -> str | None:
    try:
        descriptor = os.open(name, os.O_RDONLY, dir_fd=folder)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, encoding="utf-8") as file:
        return file.read()


def main(directory: Path, log: Path, pid_file: Path, *names: str) -> int:
    """Serve until SIGTERM."""
    for number in _SIGNALS:
        signal.signal(number, lambda *_: None)  # caught, as `/proc` shows it; taken below, without a delay
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    lines = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    pid_file.write_text(f"{os.getpid()}\n")
    event = "start"
    while True:
        moment = {"event": event, "monotonic_ns": time.monotonic_ns(), "clock_ns": time.time_ns()}
        generation, files = read_files(directory, list(names))
        os.write(lines, json.dumps({**moment, "generation": generation, "files": files}).encode() + b"\n")
        if event == "start":
            print("ready", flush=True)
            event = "reload"
        if signal.sigwait(_SIGNALS) != signal.SIGHUP:
            return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:]))
