"""A primary: prints its file when it starts and whenever it gets SIGHUP, ends on SIGTERM."""

import os
import signal
from pathlib import Path

WANTED = {signal.SIGHUP, signal.SIGTERM}


def read() -> None:
    text = Path("published/app.conf").read_text()
    print("primary: I read\n" + "".join(f"    {line}\n" for line in text.splitlines()), end="", flush=True)


for number in WANTED:
    signal.signal(number, lambda *_: None)
signal.pthread_sigmask(signal.SIG_BLOCK, WANTED)
read()
Path("primary.pid").write_text(f"{os.getpid()}\n")
while signal.sigwait(WANTED) == signal.SIGHUP:
    read()
