"""A primary in Python: asks PostgreSQL ten times a second, logs in anew on SIGHUP, ends on SIGTERM."""

import json
import os
import signal
from pathlib import Path

import pg8000.dbapi

WANTED = {signal.SIGHUP, signal.SIGTERM}


def log_in() -> pg8000.dbapi.Connection:
    login = json.loads(Path("shared/db.json").read_text())
    fresh = pg8000.dbapi.connect(database="postgres", timeout=10, **login)
    print(f"app: logged in as {login['user']}", flush=True)
    return fresh


signal.pthread_sigmask(signal.SIG_BLOCK, WANTED)  # they wait until they are asked for, below
connection = log_in()
Path("app.pid").write_text(f"{os.getpid()}\n")
told = 0
while told != signal.SIGTERM:
    if told == signal.SIGHUP:
        old, connection = connection, log_in()  # in this order no query is without a connection
        old.close()
    connection.cursor().execute("SELECT 1")
    connection.rollback()
    info = signal.sigtimedwait(WANTED, 0.1)
    told = info.si_signo if info else 0
