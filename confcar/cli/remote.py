"""The commands that ask the running sidecar, over its own listener, and the options that only they have."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from confcar.cli.options import AddressOption, ConfigOption


def add_remote_commands(app: typer.Typer) -> None:
    """Make them commands of *app*."""
    for command in (healthcheck, status, sync, reload, rollback):
        app.command()(command)


def healthcheck(
    config: ConfigOption = None,
    *,
    ready: Annotated[bool, typer.Option("--ready", envvar="CONFCAR_READY", help="Ask for readiness instead.")] = False,
) -> None:
    """Ask the running sidecar whether it is alive; for probes.

    Example: confcar healthcheck --ready
    """
    from confcar.cli.healthcheck import ask

    raise typer.Exit(ask(config, is_ready_asked=ready, environ=os.environ))


def status(
    config: ConfigOption = None,
    *,
    address: AddressOption = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", envvar="CONFCAR_WATCH", help="Show it until Ctrl-C.")] = False,
    json: Annotated[bool, typer.Option("--json", envvar="CONFCAR_JSON", help="Print the document of /status.")] = False,
) -> None:
    """Show what the running sidecar says of itself.

    Ends with 0 where it is ready, 1 where not, 3 where nobody answers. Example: confcar status --watch
    """
    from confcar.cli.asking import Sidecar
    from confcar.cli.status import status as show

    sidecar = Sidecar(config, os.environ, address=address)
    raise typer.Exit(show(sidecar, is_json=json, is_watching=watch))


def sync(config: ConfigOption = None, *, address: AddressOption = None) -> None:
    """Have the running sidecar read all sources now.

    Example: confcar sync
    """
    from confcar.cli.asking import Sidecar
    from confcar.cli.steering import sync as ask

    raise typer.Exit(ask(Sidecar(config, os.environ, address=address)))


def reload(config: ConfigOption = None, *, address: AddressOption = None) -> None:
    """Have the running sidecar take over its changed config.

    Where config or templates are broken, the old ones stay, and the command ends with 2. Example: confcar reload
    """
    from confcar.cli.asking import Sidecar
    from confcar.cli.steering import reload as ask

    raise typer.Exit(ask(Sidecar(config, os.environ, address=address)))


def rollback(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="Name of the bundle.", show_default=False)],
    config: ConfigOption = None,
    *,
    address: AddressOption = None,
) -> None:
    """Have a bundle go back to the generation before.

    Example: confcar rollback web
    """
    from confcar.cli.asking import Sidecar
    from confcar.cli.steering import roll_back as ask

    raise typer.Exit(ask(Sidecar(config, os.environ, address=address), bundle))
