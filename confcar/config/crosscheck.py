"""What can be wrong between parts that are right by themselves: places claimed twice, things that are not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

from confcar.config.bundles import TemplateOptions
from confcar.config.document import Location
from confcar.config.settings import Settings

Place = Callable[[Location], str]


def find_conflicts(settings: Settings, place: Place) -> list[str]:
    """Return one line per conflict, with the place of the later party."""
    checks = (_directories, _destinations, _templates, _rollouts)
    return [line for check in checks for line in check(settings, place)]


def _directories(settings: Settings, place: Place) -> Iterator[str]:
    for (first, one), (second, other) in combinations(settings.bundles.items(), 2):
        where = f"{place(('bundles', second, 'directory'))}: bundles.{second}.directory"
        if one.directory == other.directory:
            yield f"{where}: the bundle {first} has the same directory"
        elif one.directory in other.directory.parents:
            yield f"{where}: lies inside the directory of the bundle {first}"
        elif other.directory in one.directory.parents:
            yield f"{where}: the directory of the bundle {first} lies inside it"


def _destinations(settings: Settings, place: Place) -> Iterator[str]:
    owners: dict[str, str] = {}
    for name, bundle in settings.bundles.items():
        for index, template in enumerate(bundle.templates):
            if not template.destination.startswith("/"):
                continue
            location = ("bundles", name, "templates", index, "destination")
            where = f"{place(location)}: {'.'.join(map(str, location))}"
            folder = _fixed_folder(template)
            inside = [each for each, other in settings.bundles.items() if other.directory in {folder, *folder.parents}]
            below = [each for each, other in settings.bundles.items() if folder in other.directory.parents]
            if template.destination in owners and template.for_each is None:
                yield f"{where}: the bundle {owners[template.destination]} has the same destination"
            elif inside == [name]:
                yield f"{where}: lies in the bundle's own directory; write it relative to that"
            elif inside:
                yield f"{where}: lies in the directory of the bundle {inside[0]}"
            elif below and template.for_each is not None:
                yield f"{where}: an item's file could lie in the directory of the bundle {below[0]}; use another folder"
            owners[template.destination] = name


def _fixed_folder(template: TemplateOptions) -> Path:
    """Return the folder that the file lies in; of many files, the one that is written before the first expression."""
    fixed = template.destination
    if template.for_each is not None:
        fixed = min((fixed.partition(mark)[0] for mark in template.delimiters.openings), key=len)
    return Path(fixed.rpartition("/")[0] or "/")


def _templates(settings: Settings, place: Place) -> Iterator[str]:
    for name, bundle in settings.bundles.items():
        for index, template in enumerate(bundle.templates):
            if template.source is not None and not template.source.is_file():
                location = ("bundles", name, "templates", index, "source")
                what = "is not a file" if template.source.exists() else "there is no such file"
                yield f"{place(location)}: {'.'.join(map(str, location))}: {what}: {template.source}"


def _rollouts(settings: Settings, place: Place) -> Iterator[str]:
    for name, bundle in settings.bundles.items():
        if bundle.rollout is None:
            continue
        location: Location = ("bundles", name, "rollout", "source")
        where = f"{place(location)}: {'.'.join(map(str, location))}"
        source = settings.sources.get(bundle.rollout.source)
        if source is None:
            yield f"{where}: there is no source named {bundle.rollout.source}"
        elif source.type != "consul":
            yield f"{where}: {bundle.rollout.source} is a {source.type} source; slots are had in Consul only"
        if not bundle.reload:
            location = ("bundles", name, "rollout")
            yield f"{place(location)}: bundles.{name}.rollout: paces reloads, and the bundle has no `reload`"
