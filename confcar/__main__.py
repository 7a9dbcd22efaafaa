"""Start of the program, kept cheap: probes run every few seconds, and every pod pays the start.

`healthcheck` is answered without the config models; everything else goes to the command line proper. The garbage
collector sleeps while modules are imported, and the process leaves without tearing every module down again.
"""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    gc.disable()
    if sys.argv[1:2] == ["healthcheck"] and not {"-h", "--help"} & set(sys.argv):
        from confcar.cli.healthcheck import main as healthcheck

        _leave(healthcheck(sys.argv[2:], os.environ))
    from confcar.cli.app import main as command_line

    gc.freeze()
    gc.enable()
    _leave(command_line(sys.argv[1:]))


def _leave(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            # The reader of a pipe has left (`confcar render | head`): nothing more to say, and no traceback about it.
            code = code or 0
    os._exit(code)


if __name__ == "__main__":
    main()
