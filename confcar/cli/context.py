"""What every command starts with: find and load the config, set up the log."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from confcar import log
from confcar.config.find import find_config
from confcar.config.load import load
from confcar.daemon.assembly import Context
from confcar.status import Status


def load_context(config: Path | None, *, quiet: bool = False) -> Context:
    """Return the context of the config at *config*, or of the one that is found where that is None.

    With *quiet* only warnings and errors are logged unless the config asks for more or less: the command's result is
    what it prints.

    Raises:
        ConfigError: The config is not found or wrong.
    """
    loaded = load(find_config(config, os.environ), environ=os.environ)
    redactor = log.Redactor()
    level = loaded.settings.log.level
    log.configure(redactor, level="warning" if quiet and level == "info" else level, format_=loaded.settings.log.format)
    for warning in loaded.warnings:
        logging.getLogger("confcar").warning(warning)
    return Context(loaded, dict(os.environ), Status(), redactor)
