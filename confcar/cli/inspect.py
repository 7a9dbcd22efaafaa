"""`check`, `render` and `diff`: look at what would happen, change nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from confcar.cli.context import load_context
from confcar.cli.masking import shown, unified_diff
from confcar.daemon.assembly import Context
from confcar.daemon.preview import PRIMARY_ENVIRONMENT, Preview, compile_templates, preview, published, template_sets
from confcar.errors import CheckRefusedError, ConfcarError, ConfigError
from confcar.publishing.checks import check_formats
from confcar.publishing.publisher import PublishedFile

_NOTHING = PublishedFile(b"", 0, secret=False)


def check(config: Path | None, *, is_live: bool, timeout_seconds: float) -> None:
    """Check config and templates; with *is_live* render everything from the sources too.

    Raises:
        typer.Exit: Something is wrong; it is printed.
    """
    context = load_context(config, quiet=True)
    _end_with([("", error) for error in compile_templates(context)])
    settings = context.config.settings
    templates = sum(len(bundle.templates) for bundle in settings.bundles.values())
    counts = (_counted(len(settings.sources), "source"), _counted(len(settings.bundles), "bundle"))
    print(f"{context.config.path}: {', '.join(counts)}, {_counted(templates, 'template')}: fine")
    for name, bundle in settings.bundles.items():
        for destination in bundle.outside:
            what = "outside the directory, published by rename, not part of the atomic set"
            print(f"{name}: {destination}: {what}")
    if not is_live:
        return
    errors: list[tuple[str, ConfcarError]] = []
    for found in preview(context, tuple(template_sets(context)), timeout_seconds=timeout_seconds):
        if found.error is None:
            noun, verb = ("variable", "set") if found.bundle == PRIMARY_ENVIRONMENT else ("file", "written")
            print(f"{found.bundle}: all data is there; {_counted(len(found.files), noun)} would be {verb}")
        else:
            errors.append((f"{found.bundle}: ", found.error))
    for name, source in context.status.copy().sources.items():
        print(f"{name} ({source.type}): {'answers' if source.up else source.error or 'nothing reads it'}")
    _end_with(errors)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def render(config: Path | None, *, bundles: Sequence[str] | None, shows_secrets: bool, timeout_seconds: float) -> None:
    """Print every file as it would be written.

    Raises:
        typer.Exit: A bundle cannot be rendered, or a file is not in its format; what there is is printed.
    """
    context = load_context(config, quiet=True)
    errors: list[tuple[str, ConfcarError]] = []
    for found in preview(context, _chosen(context, bundles), timeout_seconds=timeout_seconds):
        if found.error is not None:
            errors.append((f"{found.bundle}: ", found.error))
            continue
        redactor = None if shows_secrets else context.redactor
        for file in found.files:
            print(f"# {found.bundle}: {file.destination} ({file.mode:04o})")
            text = shown(file.content, redactor)
            sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")
        try:
            check_formats(found.files)
        except CheckRefusedError as error:
            errors += [(f"{found.bundle}: ", CheckRefusedError(line)) for line in str(error).splitlines()]
    _end_with(errors)


def diff(config: Path | None, *, bundles: Sequence[str] | None, shows_secrets: bool, timeout_seconds: float) -> bool:
    """Print the differences between what is published and what would be; return whether there are any.

    Raises:
        typer.Exit: A bundle cannot be rendered; the others are compared and printed.
    """
    context = load_context(config, quiet=True)
    errors: list[tuple[str, ConfcarError]] = []
    differs = False
    for found in preview(context, _chosen(context, bundles), timeout_seconds=timeout_seconds):
        if found.error is None:
            differs = _print_differences(context, found, shows_secrets=shows_secrets) or differs
        else:
            errors.append((f"{found.bundle}: ", found.error))
    _end_with(errors)
    return differs


def _print_differences(context: Context, found: Preview, *, shows_secrets: bool) -> bool:
    before = published(context, found.bundle)
    after = {file.destination: PublishedFile(file.content, file.mode, secret=file.secret) for file in found.files}
    differs = False
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, _NOTHING), after.get(name, _NOTHING)
        if name in before and name in after and old.mode != new.mode:
            print(f"{found.bundle}: {name}: mode {old.mode:04o} -> {new.mode:04o}")
            differs = True
        if (name in before) != (name in after):
            print(f"{found.bundle}: {name}: {'would be new' if name in after else 'would go'}")
            differs = True
        redactor = None if shows_secrets else context.redactor
        is_secret = old.secret or new.secret
        for line in unified_diff(name, old.content, new.content, redactor=redactor, is_secret=is_secret):
            sys.stdout.write(line)
            differs = True
    return differs


def _chosen(context: Context, bundles: Sequence[str] | None) -> tuple[str, ...]:
    known = context.config.settings.bundles
    unknown = [name for name in bundles or () if name not in known]
    if unknown:
        raise ConfigError(f"--bundle {unknown[0]}: no such bundle; there is {', '.join(known)}")
    return tuple(dict.fromkeys(bundles or known))


def _end_with(errors: Sequence[tuple[str, ConfcarError]]) -> None:
    """Print what went wrong and where, and leave with the lowest exit code, where there is an error at all."""
    for where, error in errors:
        print(f"confcar: {where}{error}", file=sys.stderr)
    if errors:
        raise typer.Exit(min(error.exit_code for _, error in errors))
