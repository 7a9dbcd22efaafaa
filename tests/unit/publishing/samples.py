"""Short ways to files, publishers and what a reader sees."""

from __future__ import annotations

import os
from pathlib import Path

from confcar.model import Change, RenderedFile
from confcar.publishing.disk import Disk
from confcar.publishing.layout import PublishMode
from confcar.publishing.publisher import Publisher

OPENED: list[Publisher] = []
"""What `opened` returned in this test; closed at its end."""

MODES: tuple[PublishMode, ...] = ("swap", "rename")


def files(**contents: str) -> list[RenderedFile]:
    """Return files by name; `__` stands for a slash, `_` for a dot."""
    return [file(name.replace("__", "/").replace("_", "."), text) for name, text in contents.items()]


def file(destination: str | Path, content: str = "text\n", *, mode: int = 0o640, secret: bool = False) -> RenderedFile:
    """Return one file."""
    return RenderedFile(os.fspath(destination), content.encode(), mode=mode, secret=secret)


def opened(directory: Path, mode: PublishMode = "swap", *, keep: int = 2, disk: Disk | None = None) -> Publisher:
    """Return an open publisher."""
    publisher = Publisher("web", directory, mode=mode, keep=keep, disk=disk)
    OPENED.append(publisher)
    publisher.open()
    return publisher


def publish(publisher: Publisher, wanted: list[RenderedFile], *, acknowledged: bool = False) -> Change:
    """Stage, publish and finish."""
    change = publisher.publish(publisher.stage(wanted), acknowledged=acknowledged)
    publisher.finish()
    return change


def visible(directory: Path) -> dict[str, str]:
    """Return what a reader finds by the bundle's visible names, links followed; confcar's own names left out."""
    found = {}
    for folder, folders, names in os.walk(directory, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith("..")]
        for name in names:
            path = Path(folder, name)
            if not name.startswith(".."):
                found[os.fspath(path.relative_to(directory))] = path.read_text() if path.exists() else "(dangling)"
    return found


def behind_data(directory: Path) -> dict[str, str] | None:
    """Return what a reader finds that opens `..data` once; None where it is not there."""
    try:
        root = os.open(directory / "..data", os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        base = Path(f"/proc/self/fd/{root}")
        names = [Path(folder, name) for folder, _, names in os.walk(f"{base}/") for name in names]
        return {os.fspath(path.relative_to(base)): path.read_text() for path in names if "..outside" not in path.parts}
    finally:
        os.close(root)


def leftovers(directory: Path) -> list[str]:
    """Return the names of temporary files anywhere below a folder."""
    return [
        name
        for _, folders, names in os.walk(directory)
        for name in (*folders, *names)
        if name.endswith(".tmp") or name.startswith("..confcar-")
    ]
