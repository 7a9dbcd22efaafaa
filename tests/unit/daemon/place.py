"""A folder with a config, its data and what is published; and its context, as the command line makes it."""

from __future__ import annotations

import json
from pathlib import Path

from confcar.config.load import load
from confcar.daemon.assembly import Context
from confcar.log import Redactor
from confcar.status import Status


class Place:
    """One bundle `web` of one file `name`, until it is configured otherwise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "confcar.json"
        self.configure()
        self.write("name: first\n")

    def configure(self, *, bundles: dict[str, dict[str, object]] | None = None, **settings: object) -> None:
        """Write the config; *settings* are other top-level keys."""
        sources = {"local": {"type": "file", "path": "data.yaml"}}
        chosen = bundles or {"web": bundle("web")}
        whole = {"sources": sources, "bundles": chosen, "admin": {"listen": "off"}} | settings
        self.config.write_text(json.dumps(whole))

    def write(self, data: str) -> None:
        """Replace the data at once."""
        (self.folder / "new").write_text(data)
        (self.folder / "new").replace(self.folder / "data.yaml")

    def context(self) -> Context:
        """Load the config."""
        return Context(load(self.config, environ={}), {"PATH": "/usr/bin:/bin"}, Status(), Redactor())

    def text(self, bundle: str = "web", name: str = "name") -> str | None:
        """Return what is published, None where nothing is."""
        path = self.folder / bundle / name
        return path.read_text() if path.exists() else None


def bundle(directory: str, content: str = "{{ key('name') }}", **options: object) -> dict[str, object]:
    """Return a bundle's config."""
    templates = [{"content": content, "destination": "name"}]
    return {"directory": directory, "templates": templates, "wait": {"quiet": "10ms", "max": "1s"}, **options}


WEB_AND_API = {"web": bundle("web"), "api": bundle("api", "{{ key('name') | upper }}")}
