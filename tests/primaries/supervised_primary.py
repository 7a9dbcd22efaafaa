"""A primary for confcar to start: `python supervised_primary.py FILE LOG [--code N] [--orphans N] [--ignore-term]`.

Reads FILE at its start and on SIGHUP, and appends one JSON line each: `event` (`start`, `reload`, a signal's name),
`text` and `variables`, those whose names begin with `APP_`. With --orphans it leaves that many processes behind which
have lost their parent, half of them ended, half still asleep. SIGTERM ends it with the code, after the orphans' start.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path


def leave_orphans(count: int) -> None:
    """Let *count* processes lose their parent; every second one goes on."""
    for number in range(count):
        middle = os.fork()
        if middle == 0:
            if os.fork() == 0:
                if number % 2:
                    os.setsid()
                    time.sleep(3600)
                os._exit(0)
            os._exit(0)
        os.waitpid(middle, 0)


def main() -> int:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("log", type=Path)
    parser.add_argument("--code", type=int, default=0)
    parser.add_argument("--orphans", type=int, default=0)
    parser.add_argument("--ignore-term", action="store_true")
    options = parser.parse_args()
    heard = {signal.SIGHUP, signal.SIGUSR2, signal.SIGWINCH, signal.SIGTERM}
    for number in heard:
        signal.signal(number, lambda *_: None)
    # The orphans are to take TERM as if nobody had prepared for it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    leave_orphans(options.orphans)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, heard)
    event = "start"
    while True:
        variables = {name: value for name, value in os.environ.items() if name.startswith("APP_")}
        line = {"event": event, "pid": os.getpid(), "text": options.file.read_text(), "variables": variables}
        with options.log.open("a") as log:
            log.write(json.dumps(line) + "\n")
        taken = signal.Signals(signal.sigwait(heard))
        event = "reload" if taken is signal.SIGHUP else taken.name
        if taken is signal.SIGTERM and not options.ignore_term:
            return int(options.code)


if __name__ == "__main__":
    sys.exit(main())
