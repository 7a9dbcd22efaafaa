"""What a staged generation must pass before it is published: the formats of its files, and the check command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from confcar.commands import change_environment, fill_in, run_command
from confcar.config.bundles import CheckOptions
from confcar.errors import CheckRefusedError
from confcar.model import Change, RenderedFile
from confcar.publishing.formats import find_format_fault

_CANNOT_START = 127


def check_formats(files: Sequence[RenderedFile]) -> None:
    """Refuse files that are not in the format they ask to be checked as. Needs nothing on disk.

    Raises:
        CheckRefusedError: One line per file at fault, `destination:line:column: not JSON: reason`.
    """
    faults = [fault for file in files if (fault := find_format_fault(file)) is not None]
    if faults:
        raise CheckRefusedError("\n".join(faults))


def run_check(
    options: CheckOptions, change: Change, *, environ: Mapping[str, str], mask: Callable[[str], str] = str
) -> None:
    """Run the check command on a staged generation; status 0 accepts it. Blocks for at most its time-out.

    Args:
        options: The command and its time-out.
        change: What `stage` returned: `{directory}` is the staged folder.
        environ: Environment to start from; credentials of confcar's own are left out.
        mask: Blanks secrets out of what the command printed.

    Raises:
        CheckRefusedError: Says how it ended; `output` holds what it printed.
    """
    argv = fill_in(options.command, change)
    with change_environment(change, environ) as environment:
        result = run_command(argv, timeout_seconds=options.timeout_seconds, environment=environment)
    if result.is_success:
        return
    refused = f"check of {change.bundle} refused generation {change.generation}: {argv[0]}"
    if result.timed_out:
        how = f"did not end within {options.timeout_seconds:g} s and was killed"
    elif result.status < 0:
        how = f"was ended by signal {-result.status}"
    elif result.status == _CANNOT_START:
        how = "could not be started, or did not find a program (status 127)"
    else:
        how = f"ended with status {result.status}"
    raise CheckRefusedError(f"{refused} {how}", output=mask(result.output))
