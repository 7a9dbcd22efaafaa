"""What can be wrong between parts that are right by themselves: places claimed twice, no such file, keys that clash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

from confcar.config.bundles import TemplateOptions
from confcar.config.document import Location
from confcar.config.primary import COMMAND_ONLY
from confcar.config.settings import Settings

Place = Callable[[Location], str]


def find_conflicts(settings: Settings, place: Place, *, has_primary: bool) -> list[str]:
    """Return one line per conflict, with the place of the later party.

    Args:
        settings: The config, without the parts that cannot be used.
        place: Says where a value stands.
        has_primary: Whether the config names a primary, even one that cannot be used.
    """
    finders = [_directories, _destinations, _templates, _rollouts, _primary, *([] if has_primary else [_targets])]
    return [line for find in finders for line in find(settings, place)]


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


def _targets(settings: Settings, place: Place) -> Iterator[str]:
    for name, bundle in settings.bundles.items():
        for index, step in enumerate(bundle.reload):
            if step.is_for_primary:
                location = ("bundles", name, "reload", index)
                path = f"bundles.{name}.reload" if len(bundle.reload) == 1 else f"bundles.{name}.reload.{index}"
                what = (
                    "a signal needs one of pid, pid_file or process to say whom to signal, or a primary in the config"
                )
                yield f"{place(location)}: {path}: {what}"


def _primary(settings: Settings, place: Place) -> Iterator[str]:
    primary = settings.primary
    if primary is None:
        return
    given = {_key(name) for name in primary.model_fields_set}
    for key in COMMAND_ONLY if primary.command is None else ():
        if key in given:
            yield f"{place(('primary', key))}: primary.{key}: belongs to a command, not to {primary.mode}"
    if primary.command is not None and "on_change" in given and not primary.environment:
        yield f"{place(('primary', 'on_change'))}: primary.on_change: there is no environment that could change"
    if primary.command is not None and primary.restart == "always" and "on_exit" in given:
        yield f"{place(('primary', 'on_exit'))}: primary.on_exit: with restart: always it never ends for good"


def _key(field: str) -> str:
    return field.removesuffix("_seconds")
