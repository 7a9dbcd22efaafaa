"""A bundle with files inside and outside its directory, and what its readers may see of it when confcar dies."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from confcar.errors import PublishError
from confcar.model import RenderedFile
from confcar.publishing.layout import PublishMode
from confcar.publishing.publisher import Publisher
from tests.unit.publishing.disks import FailingDisk, KilledDisk
from tests.unit.publishing.samples import behind_data, file, leftovers, opened, publish, visible


class World:
    """A bundle of two inside files and one outside, and what its readers may see."""

    def __init__(self, root: Path, mode: PublishMode) -> None:
        self.directory = root / "web"
        self.mode = mode
        self.outside = root / "etc"

    def old(self) -> list[RenderedFile]:
        return [file("a", "old"), file("d/gone", "old"), file(self.outside / "x", "old"), file(self.outside / "gone")]

    def new(self) -> list[RenderedFile]:
        return [file("a", "new"), file("d/added", "new"), file(self.outside / "x", "new"), file(self.outside / "add")]

    def seen(self) -> dict[str, str]:
        return {**visible(self.directory), **{f"outside/{n}": text for n, text in visible(self.outside).items()}}

    def told(self, wanted: list[RenderedFile]) -> dict[str, str]:
        names = {each.destination: each.content.decode() for each in wanted}
        return {name.replace(str(self.outside), "outside"): text for name, text in names.items()}

    def attempt(self, disk: KilledDisk | FailingDisk) -> Publisher:
        """Publish the new set on that disk; return the publisher, dead or alive."""
        publisher = Publisher("web", self.directory, mode=self.mode, keep=1, disk=disk)
        try:
            publisher.open()
            publisher.publish(publisher.stage(self.new()), acknowledged=False)
            with suppress(PublishError):  # it is shown by now; only a power cut could still take it back
                publisher.finish()
        finally:
            publisher.close()
        return publisher

    def assert_no_file_is_torn(self) -> None:
        assert set(self.seen().values()) <= {"old", "new", "text\n", "(dangling)"}

    def assert_data_is_whole(self) -> None:
        inside = [
            {each.destination: each.content.decode() for each in wanted if not each.is_outside}
            for wanted in (self.old(), self.new())
        ]
        assert behind_data(self.directory) in [*inside, None]

    def reopen(self) -> str:
        """Start again; return which set is there, whole."""
        publisher = opened(self.directory, self.mode, keep=1)
        seen = self.seen()
        state = publisher.state
        publisher.close()
        assert leftovers(self.directory) + leftovers(self.outside) == []
        if seen == self.told(self.new()):
            assert state.current == state.highest
            return "new"
        assert seen == (self.told(self.old()) if state.current else {})
        return "old"

    def assert_can_go_on(self) -> None:
        publisher = opened(self.directory, self.mode, keep=1)
        publish(publisher, self.new())
        assert self.seen() == self.told(self.new())
        assert publisher.compare(self.new()) == ()
        publisher.close()


def prepared(root: Path, mode: PublishMode, *, with_old: bool) -> World:
    root.mkdir()
    world = World(root, mode)
    world.outside.mkdir()
    if with_old:
        publisher = opened(world.directory, mode, keep=1)
        publish(publisher, world.old())
        publisher.close()
    return world
