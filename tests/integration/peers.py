"""The peers that people come from: each run once on a template, beside confcar on the port of that template."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.integration.sidecar import run_confcar
from tests.servers.consul import ConsulServer
from tests.servers.openbao import OpenBaoServer

_ENDS_WITHIN_SECONDS = 60.0
_CELL_BORDER = re.compile(r"(?<!\\)\|")
_TAG = re.compile(r"\{\{.*?\}\}")
_CODE = re.compile(r"`([^`]+)`")
VARIABLES = {"HOST_NAME": "web-1"}
"""What the peers and confcar have in their environment beside the tokens."""


@dataclass(frozen=True)
class Row:
    """One row of a page's table of code.

    Attributes:
        theirs: The code of the first column.
        ours: The code of the second column; empty where it is no single piece of code with tags.
        mind: The third column.
    """

    theirs: str
    ours: str
    mind: str

    @property
    def is_run(self) -> bool:
        """Whether both columns are templates."""
        return "{{" in self.theirs and ("{{" in self.ours or "{%" in self.ours or "{#" in self.ours)

    @property
    def is_same(self) -> bool:
        """Whether the row promises the same bytes."""
        return not self.mind.startswith("not the same bytes")


def rows(page: Path) -> list[Row]:
    """Return every row of the tables with three columns on a page."""
    found = []
    for line in page.read_text().splitlines():
        cells = [cell.strip().replace("\\|", "|") for cell in _CELL_BORDER.split(line)[1:-1]]
        if len(cells) == 3 and cells[0].startswith("`"):
            codes = _CODE.findall(cells[1])
            ours = codes[0] if len(codes) == 1 and cells[1] == f"`{codes[0]}`" else ""
            found.append(Row(" ".join(_CODE.findall(cells[0])), ours, cells[2]))
    return found


def tags_of(page: Path) -> list[tuple[str, str]]:
    """Return the pairs of tags in the page's table with two columns of code."""
    found = re.findall(r"^\| `(\{\{[^`]+)` \| `([^`]+)` \|$", page.read_text(), re.MULTILINE)
    return [(theirs.replace("\\|", "|"), ours.replace("\\|", "|")) for theirs, ours in found]


def ported(template: str, tags: Sequence[str]) -> str:
    """Return a peer's template with its tags replaced by *tags*, one after the other, and all else as it is."""
    left = iter(tags)
    port = _TAG.sub(lambda _: next(left), template)
    assert list(left) == [], "there are more tags than theirs"
    return port


def numbered(templates: Sequence[str]) -> str:
    """Return one template of all, each between marks of its own."""
    return "".join(f"<{number}>{template}</{number}>\n" for number, template in enumerate(templates))


def parts(text: str) -> list[str]:
    """Return what stands between the marks."""
    return [found[1] for found in re.findall(r"<(\d+)>(.*?)</\1>", text, re.DOTALL)]


@dataclass(frozen=True)
class Place:
    """Where one template is rendered by all: a folder and the two servers."""

    folder: Path
    consul: ConsulServer
    openbao: OpenBaoServer

    def by_consul_template(self, program: Path, template: str) -> str:
        """Return what consul-template makes of it."""
        source, destination = self._files("consul-template", template)
        self._run(
            program,
            "-once",
            "-log-level=err",
            f"-consul-addr={self.consul.address}",
            f"-vault-addr={self.openbao.address}",
            "-vault-renew-token=false",
            f"-template={source}:{destination}",
        )
        return destination.read_text()

    def by_config_of_consul_template(self, program: Path, config: str, *, destination: str) -> str:
        """Return what consul-template makes of its own config file, on this Consul, in a file beside it."""
        path = self._write("configured/config.hcl", config)
        self._run(program, "-once", f"-config={path}", f"-consul-addr={self.consul.address}", folder=path.parent)
        return (path.parent / destination).read_text()

    def by_agent(self, program: Path, template: str) -> str:
        """Return what the agent of OpenBao or Vault makes of it."""
        source, destination = self._files("agent", template)
        token = self._write("agent/token", self.openbao.token)
        method = {"type": "token_file", "config": {"token_file_path": str(token)}}
        config = {
            "exit_after_auth": True,
            "vault": {"address": self.openbao.address},
            "auto_auth": {"method": [method]},
            "template": [{"source": str(source), "destination": str(destination), "error_on_missing_key": True}],
        }
        self._run(program, "agent", f"-config={self._write('agent/agent.json', json.dumps(config))}")
        return destination.read_text()

    def by_confd(self, program: Path, template: str, *, resource: str = 'keys = ["/"]') -> str:
        """Return what confd makes of it, with these lines in the template resource."""
        _, destination = self._files("confd", template)
        self._write("confd/templates/it.tmpl", template)
        toml = f'[template]\nsrc = "it.tmpl"\ndest = "{destination}"\nmode = "0644"\n{resource}\n'
        self._write("confd/conf.d/it.toml", toml)
        folder = str(self.folder / "confd")
        node = f"127.0.0.1:{self.consul.port}"
        self._run(program, "-onetime", "-backend=consul", f"-node={node}", f"-confdir={folder}", "-log-level=error")
        return destination.read_text()

    def by_confcar(self, template: str) -> str:
        """Return what confcar makes of it."""
        self._write("confcar/it.j2", template)
        sources = {
            "consul": {"type": "consul", "address": self.consul.address},
            "vault": {"type": "vault", "address": self.openbao.address},
        }
        bundle = {"directory": "out", "templates": [{"source": "it.j2", "destination": "it"}]}
        config = self._write("confcar/confcar.json", json.dumps({"sources": sources, "bundles": {"it": bundle}}))
        ended = run_confcar("once", "-c", config, "--timeout", "30s", environ=self._environment())
        assert ended.returncode == 0, ended.stderr
        return (config.parent / "out" / "it").read_text()

    def _files(self, name: str, template: str) -> tuple[Path, Path]:
        return self._write(f"{name}/template", template), self.folder / name / "rendered"

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def _run(self, *command: str | Path, folder: Path | None = None) -> None:
        ended = subprocess.run(
            command,
            cwd=folder,
            env={"PATH": os.defpath, "HOME": str(self.folder), **self._environment()},
            capture_output=True,
            text=True,
            check=False,
            timeout=_ENDS_WITHIN_SECONDS,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def _environment(self) -> Mapping[str, str]:
        return {"VAULT_TOKEN": self.openbao.token, **VARIABLES}
