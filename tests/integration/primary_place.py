"""A folder with one bundle, its data, and a primary that notes what it reads; confcar runs there as its own process."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.integration.sidecar import ROOT
from tests.waiting import wait_until

PROGRAM = ROOT / "tests" / "primaries" / "supervised_primary.py"


class PrimaryPlace:
    """One bundle `web` of one file `name`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "confcar.yaml"
        self.log = folder / "primary.log"
        self.write(name="first")

    def command(self, *arguments: str) -> list[str]:
        """Return the command of the primary."""
        return [sys.executable, "-S", "-E", str(PROGRAM), str(self.folder / "web" / "name"), str(self.log), *arguments]

    def configure(self, *, bundle: dict[str, Any] | None = None, **settings: Any) -> None:  # noqa: ANN401 - a config
        """Write the config, JSON being YAML; *bundle* adds to the bundle, *settings* are top-level keys."""
        web = {
            "directory": "web",
            "templates": [{"content": "{{ key('name') }}", "destination": "name"}],
            "wait": {"quiet": "20ms", "max": "1s"},
            "reload": {"signal": "HUP"},
        }
        whole = {"sources": {"local": {"type": "file", "path": "data.json"}}, "bundles": {"web": web | (bundle or {})}}
        new = self.config.with_suffix(".new")
        new.write_text(json.dumps(whole | settings))
        new.rename(self.config)

    def write(self, **data: str) -> None:
        """Replace the data at once."""
        new = self.folder / "data.new"
        new.write_text(json.dumps(data))
        new.rename(self.folder / "data.json")

    def lines(self) -> list[dict[str, Any]]:
        """Return what the primaries have noted so far."""
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]

    def events(self) -> list[str]:
        """Return the events of all of them."""
        return [line["event"] for line in self.lines()]

    def wait_for_events(self, *events: str) -> None:
        """Wait until exactly these have happened."""
        wait_until(lambda: self.events() == list(events), timeout=30.0)
