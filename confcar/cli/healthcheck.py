"""Asks the running sidecar whether it is alive. Imports as little as it can: probes run it every few seconds."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from confcar.cli.asking import NoAnswerError, Sidecar

_TIMEOUT_SECONDS = 3.0
_TRUE = {"1", "true", "yes", "on"}


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run `confcar healthcheck` with *arguments*; return 0 where the answer is good, 1 where not, 2 for bad usage."""
    config: Path | None = None
    is_ready_asked = environ.get("CONFCAR_READY", "").lower() in _TRUE
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--ready":
            is_ready_asked = True
        elif argument in {"-c", "--config"} and rest:
            config = Path(rest.pop(0))
        elif argument.startswith(("--config=", "-c")) and argument != "-c":
            config = Path(argument.removeprefix("--config=").removeprefix("-c"))
        else:
            print(f"healthcheck knows --ready and --config FILE, not {argument}", file=sys.stderr)
            return 2
    return ask(config, is_ready_asked=is_ready_asked, environ=environ)


def ask(config: Path | None, *, is_ready_asked: bool, environ: Mapping[str, str]) -> int:
    """Print what the sidecar answers to the probe and return 0 where it is good, else 1."""
    try:
        sidecar = Sidecar(config, environ)
        reply = sidecar.ask("/readyz" if is_ready_asked else "/healthz", timeout_seconds=_TIMEOUT_SECONDS)
    except NoAnswerError as error:
        print(error, file=sys.stderr)
        return 1
    print(reply.body.strip())
    return 0 if reply.status == 200 else 1  # noqa: PLR2004 - HTTP's OK
