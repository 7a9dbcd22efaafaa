"""The commands and their options; each option has its `CONFCAR_...` variable.

Nothing but the command line itself is imported until a command runs.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

import confcar
from confcar.cli.options import BundleOption, ConfigOption, SecretsOption, TimeoutOption
from confcar.cli.remote import add_remote_commands
from confcar.config.types import parse_duration
from confcar.errors import ConfcarError, ConfigError
from confcar.log import outline

_OUTPUT_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}

app = typer.Typer(
    name="confcar",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Keeps config files in step with Vault, Consul or files, and tells the primary process to reload.",
    epilog="Exit codes: 0 fine, 1 unexpected, 2 usage or config, 3 source unreachable or denied, 4 render failed or "
    "data missing, 5 check refused, 6 publish failed, 7 reload failed, 10 there are differences.",
)


@app.callback(invoke_without_command=True)
def _confcar(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print(f"confcar {confcar.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


@app.command()
def run(config: ConfigOption = None) -> None:
    """Follow, publish and reload until told to stop: the sidecar.

    Example: confcar run -c confcar.yaml
    """
    from confcar.cli.context import load_context
    from confcar.daemon.life import run as live

    code = live(load_context(config))
    if code:
        raise typer.Exit(code)


@app.command()
def once(config: ConfigOption = None, timeout: TimeoutOption = "5m") -> None:
    """Publish everything once, never reload: the init container.

    Example: confcar once --timeout 2m
    """
    from confcar.cli.context import load_context
    from confcar.daemon.life import once as live

    live(load_context(config), timeout_seconds=parse_duration(timeout))


@app.command()
def check(
    config: ConfigOption = None,
    *,
    live: Annotated[bool, typer.Option("--live", envvar="CONFCAR_LIVE", help="Also log in and read all data.")] = False,
    timeout: TimeoutOption = "30s",
) -> None:
    """Check config and templates; with --live the sources too.

    Example: confcar check --live
    """
    from confcar.cli.inspect import check as inspect

    inspect(config, is_live=live, timeout_seconds=parse_duration(timeout))


@app.command()
def render(
    config: ConfigOption = None,
    *,
    bundle: BundleOption = None,
    show_secrets: SecretsOption = False,
    timeout: TimeoutOption = "30s",
) -> None:
    """Print what would be written, secrets masked; writes nothing.

    Example: confcar render --bundle web
    """
    from confcar.cli.inspect import render as inspect

    inspect(config, bundles=bundle, shows_secrets=show_secrets, timeout_seconds=parse_duration(timeout))


@app.command()
def diff(
    config: ConfigOption = None,
    *,
    bundle: BundleOption = None,
    show_secrets: SecretsOption = False,
    timeout: TimeoutOption = "30s",
) -> None:
    """Print what would change, secrets masked; writes nothing.

    Ends with 0 where there is no difference and with 10 where there is one. Example: confcar diff
    """
    from confcar.cli.inspect import diff as inspect

    if inspect(config, bundles=bundle, shows_secrets=show_secrets, timeout_seconds=parse_duration(timeout)):
        raise typer.Exit(10)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the config.

    Example: confcar schema > confcar.schema.json
    """
    import json

    from confcar.config.schema import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))


add_remote_commands(app)


@app.command()
def demo(
    *,
    keep: Annotated[
        bool, typer.Option("--keep", envvar="CONFCAR_KEEP", help="Leave the demo's folder behind.")
    ] = False,
) -> None:
    """Show the whole line with a real primary; no server needed.

    Example: confcar demo
    """
    from confcar.cli.demo import demo as show

    show(keeps_folder=keep)


def main(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are printed, never raised.

    Raises:
        BrokenPipeError: Who read the output has left.
    """
    try:
        command: Callable[..., Any] = typer.main.get_command(app)
        code = command(list(arguments), prog_name="confcar", standalone_mode=False)
    except ConfcarError as error:
        # A config fault stands on a line of its own, in the form that editors jump to.
        lines = error.problems if isinstance(error, ConfigError) else [f"confcar: {error}"]
        print(*lines, sep="\n", file=sys.stderr)
        return error.exit_code
    except typer.TyperException as error:
        print(f"confcar: {error.format_message().rstrip('.')}; see confcar --help", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except SystemExit as error:
        # The command line's library turns a broken pipe into this.
        if isinstance(error.__context__, BrokenPipeError):
            raise error.__context__ from None
        raise
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the last place where its text, which may hold values, can be kept back
        _tell_unexpected(error)
        return 1
    return code if isinstance(code, int) else 0


def _tell_unexpected(error: Exception) -> None:
    if isinstance(error, OSError) and error.filename is None and error.errno in _OUTPUT_ERRORS:
        print(f"confcar: cannot write the output: {error.strerror}", file=sys.stderr)
    else:
        print(f"confcar: unexpected error, please report it:\n{outline(error)}", file=sys.stderr)
