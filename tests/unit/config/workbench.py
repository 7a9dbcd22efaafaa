"""Writes a config, loads it, and returns what is wrong with it: what most tests of the config do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from confcar.config.load import Config, load
from confcar.errors import ConfigError

BUNDLE = """\
bundles:
  web:
    directory: out
    templates:
      - {content: hello, destination: a}
"""
"""A bundle that is right; five lines, so that what is added stands from line 6 on."""


@dataclass(frozen=True, slots=True)
class Workbench:
    """A folder with a config in it."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def load(self, text: str | bytes, environ: Mapping[str, str] | None = None, *, name: str = "c.yaml") -> Config:
        """Write *text* to the file *name* and load it."""
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return load(path, environ=environ or {})

    def problems(
        self, text: str | bytes, environ: Mapping[str, str] | None = None, *, name: str = "c.yaml"
    ) -> list[str]:
        """Return every line that is wrong with *text*, without the folder in front; none where it is right."""
        try:
            self.load(text, environ, name=name)
        except ConfigError as error:
            return [line.replace(f"{self.folder}/", "") for line in error.problems]
        return []
