"""Start of the program, kept cheap: probes run every few seconds, and every pod pays the start.

`healthcheck` is answered without the config models; everything else goes to the command line proper. The garbage
collector sleeps while modules are imported, and the process leaves without tearing every module down again.
A signal that comes meanwhile waits for `confcar.daemon.signals`: as PID 1 it would be lost, and else be the end.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import TextIO

_STANDARD_OUTPUT, _STANDARD_ERROR = 1, 2
_UNEXPECTED = 1
_HEAR_SIGNALS = ("run", "once")
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def main() -> None:
    """Run the command line and end the process with its exit code."""
    gc.disable()
    _open_standard_streams()
    try:
        code = _run(sys.argv[1:])
    except BrokenPipeError:
        # The reader of a pipe has left (`confcar render | head`): it has seen enough, and nothing went wrong.
        code = 0
    for stream in (sys.stdout, sys.stderr):
        code = _flushed(stream, code)
    # Threads that are left are in nobody's way, and tearing down all modules takes longer than most commands.
    os._exit(code)


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["healthcheck"] and not {"-h", "--help"} & set(arguments):
        from confcar.cli.healthcheck import main as healthcheck

        return healthcheck(arguments[1:], os.environ)
    if arguments[:1] and arguments[0] in _HEAR_SIGNALS:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    from confcar.cli.app import main as command_line

    gc.freeze()
    gc.enable()
    return command_line(arguments)


def _flushed(stream: TextIO, code: int) -> int:
    try:
        stream.flush()
    except BrokenPipeError:
        return code
    except OSError as error:
        if stream is sys.stdout:
            sys.stderr.write(f"confcar: cannot write the output: {error.strerror}\n")
        return code or _UNEXPECTED
    return code


def _open_standard_streams() -> None:
    """Put /dev/null where a standard stream is closed: else the next file or socket would become the output."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= _STANDARD_ERROR:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(_STANDARD_OUTPUT, "w", encoding="utf-8")
    sys.stderr = sys.stderr or os.fdopen(_STANDARD_ERROR, "w", encoding="utf-8")


if __name__ == "__main__":
    main()
