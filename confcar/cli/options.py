"""The options that several commands share; each has its `CONFCAR_...` variable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from confcar.config.types import parse_duration


def _check_duration(text: str) -> str:
    try:
        parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return text


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        envvar="CONFCAR_CONFIG",
        help="The config file. Default: confcar.yaml here, then /etc/confcar/confcar.yaml.",
        show_default=False,
    ),
]
BundleOption = Annotated[
    list[str] | None,
    typer.Option(
        "--bundle", "-b", envvar="CONFCAR_BUNDLE", help="Only this bundle; may be given again.", metavar="NAME"
    ),
]
TimeoutOption = Annotated[
    str,
    typer.Option(
        "--timeout",
        envvar="CONFCAR_TIMEOUT",
        callback=_check_duration,
        help="How long to wait for data.",
        metavar="DURATION",
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        envvar="CONFCAR_ADMIN__LISTEN",
        help="Where the sidecar listens. Default: as the config says.",
        metavar="ADDRESS",
        show_default=False,
    ),
]
SecretsOption = Annotated[
    bool, typer.Option("--show-secrets", envvar="CONFCAR_SHOW_SECRETS", help="Do not mask what came from secrets.")
]
