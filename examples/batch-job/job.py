"""A job: prices each order of a file by the rate of the moment, takes new rates on SIGHUP, ends with the last order."""

import json
import os
import signal
import sys
from pathlib import Path

rates = {}


def read(*_: object) -> None:
    rates.update(json.loads(Path("shared/rates.json").read_text()))
    print(f"job: one euro is {rates['USD']} dollars", flush=True)


signal.signal(signal.SIGHUP, read)
read()
Path("job.pid").write_text(f"{os.getpid()}\n")
with Path(sys.argv[1]).open() as orders:
    for euros in orders:
        print(f"job: {euros.strip()} euros are {float(euros) * float(rates['USD']):.2f} dollars", flush=True)
