"""Where the tests of the commands run them: a folder with a config and its data."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.integration.sidecar import run_confcar

SECRET = "correct-horse-battery"


class Place:
    """A folder with a config and its data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "confcar.yaml"
        self.data = folder / "data.yaml"
        self.data.write_text(f"app: {{name: first}}\ndb: {{password: {SECRET}}}\n")
        self.configure()

    def configure(self, template: str = "{{ key('app/name') }}\n", more: str = "", sources: str = "") -> None:
        self.config.write_text(
            f"sources:\n  local: {{type: file, path: data.yaml}}\n{sources}"
            "admin: {listen: off}\n"
            "bundles:\n  web:\n    directory: out\n    templates:\n"
            f"      - {{content: {json.dumps(template)}, destination: name}}\n{more}"
        )

    def run(self, *arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        name, *rest = arguments
        return run_confcar(name, "-c", self.config, *rest, environ=environ)

    def text(self) -> str | None:
        path = self.folder / "out" / "name"
        return path.read_text() if path.exists() else None
