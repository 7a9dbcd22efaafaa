"""The whole config as one frozen model, and how its layers come together: the environment over the file."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from confcar.config.bundles import BundleOptions
from confcar.config.primary import PrimaryOptions
from confcar.config.sources import Sources
from confcar.config.types import ConfigPath, Model, Name, from_config_directory

_TCP_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\s\[\]]*):(\d{1,5})")
_MAX_PORT = 65535


class AdminOptions(Model):
    """The HTTP listener for probes, metrics and people."""

    listen: str = "127.0.0.1:9797"
    """`host:port`, `[v6]:port`, `unix:/path` or `off`. Loopback: nobody outside the pod can ask."""

    @field_validator("listen")
    @classmethod
    def _can_be_listened_on(cls, listen: str) -> str:
        if listen == "off":
            return listen
        if listen.startswith("unix:") and len(listen) > len("unix:"):
            return f"unix:{from_config_directory(listen.removeprefix('unix:'))}"
        found = _TCP_ADDRESS.fullmatch(listen)
        if found and int(found.group(2)) <= _MAX_PORT:
            return listen
        message = "write host:port, [v6]:port, unix:/path or off"
        raise ValueError(message)


class LogOptions(Model):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged."""
    format: Literal["auto", "console", "json"] = "auto"
    """`auto`: for people on a terminal, JSON elsewhere."""


class HandoverOptions(Model):
    """What `once` passes to `run`: Vault's token and leases, so that nothing is made twice."""

    path: ConfigPath
    """File for it, written with mode 0600. Its folder must be confcar's own with mode 0700, and is made so where it is
    missing."""


class _Layer(PydanticBaseSettingsSource):
    """One layer of values, complete as it is."""

    def __init__(self, settings_cls: type[BaseSettings], values: dict[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = values

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ANN401, ARG002 - its signature
        """Return one field's value, in the form that the base class wants."""
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._values


class Settings(BaseSettings):
    """confcar's config."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    sources: Sources = {}
    """Where data comes from, by name. The first that can serve a function does, unless the template names another."""
    bundles: Annotated[dict[Name, BundleOptions], Field(min_length=1)]
    """What is published, by name."""
    handover: HandoverOptions | None = None
    """Default: nothing is handed over."""
    primary: PrimaryOptions | None = None
    """The process that reads the files, where confcar starts it or ends with it. Default: it lives on its own."""
    admin: AdminOptions = AdminOptions()
    log: LogOptions = LogOptions()
    pid_file: ConfigPath | None = None
    """File that `confcar run` writes its own PID to."""

    @classmethod
    def settings_customise_sources(  # noqa: PLR0917 - pydantic-settings' signature
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - ours know lists, `-` in names and where a value stood
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - nothing is read that was not named
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the two layers that `load` prepares, the first one winning."""
        layers = init_settings()
        return _Layer(settings_cls, layers.get("environment", {})), _Layer(settings_cls, layers.get("document", {}))
