"""Where the config file is. Imports next to nothing: `healthcheck` runs it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from confcar.errors import ConfigError

VARIABLE = "CONFCAR_CONFIG"
_PLACES = (Path("confcar.yaml"), Path("/etc/confcar/confcar.yaml"))


def find_config(option: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the config file: *option*, else `$CONFCAR_CONFIG`, else confcar.yaml, else /etc/confcar/confcar.yaml.

    Raises:
        ConfigError: None was named and none is there.
    """
    named = option or (Path(environ[VARIABLE]) if environ.get(VARIABLE) else None)
    if named is not None:
        return named
    for place in _PLACES:
        if place.exists():
            return place
    places = " or ".join(map(str, _PLACES))
    raise ConfigError(f"no config: name it with --config FILE or {VARIABLE}, or put it at {places}")
