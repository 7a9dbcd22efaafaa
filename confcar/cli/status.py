"""`confcar status`: what the running sidecar says of itself, for people on a terminal and for scripts elsewhere."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from confcar.admin.times import in_words, seconds_since
from confcar.cli.asking import NoAnswerError, Sidecar

_TIMEOUT_SECONDS = 5.0
_EVERY_SECONDS = 1.0
_NO_ANSWER, _NOT_READY = 3, 1
_GREEN, _YELLOW, _RED, _DIM, _BOLD = "32", "33", "31", "2", "1"
_COLOURS = {"published": _GREEN, "pending": _YELLOW, "refused": _RED, "failed": _RED}
_SHOWN_MISSING = 5
_HOME_AND_CLEAR = "\x1b[H\x1b[J"

Paint = Callable[[str, str], str]


def status(sidecar: Sidecar, *, is_json: bool, is_watching: bool) -> int:
    """Print the status, again and again where *is_watching*, and return 0 where it is ready, 1 where not, else 3."""
    if not is_watching:
        return _show(sidecar, is_json=is_json, before="")
    code = 0
    with suppress(KeyboardInterrupt):
        while True:
            # In place on a terminal; elsewhere one after the other.
            code = _show(sidecar, is_json=is_json, before=_HOME_AND_CLEAR if sys.stdout.isatty() else "")
            sys.stdout.flush()
            time.sleep(_EVERY_SECONDS)
    return code


def _show(sidecar: Sidecar, *, is_json: bool, before: str) -> int:
    try:
        reply = sidecar.ask("/status", timeout_seconds=_TIMEOUT_SECONDS)
        document = json.loads(reply.body)
        ready = bool(document["ready"])
    except (NoAnswerError, ValueError, KeyError, TypeError) as error:
        why = error if isinstance(error, NoAnswerError) else "it is not confcar that answers"
        sys.stdout.write(before)
        print(f"confcar: {why}", file=sys.stderr)
        return _NO_ANSWER
    is_terminal = sys.stdout.isatty()
    lines = (
        [json.dumps(document, ensure_ascii=False, indent=2)]
        if is_json
        else describe(document, time.time(), paint(has_colours=is_terminal))
    )
    print(before + "\n".join(lines))
    return 0 if ready else _NOT_READY


def paint(*, has_colours: bool) -> Paint:
    """Return what puts text into a colour, or leaves it alone."""
    return (lambda colour, text: f"\x1b[{colour}m{text}\x1b[0m") if has_colours else (lambda _, text: text)


def describe(document: dict[str, Any], now: float, paint: Paint) -> list[str]:
    """Return the document of /status as lines for people."""
    ready = paint(_GREEN, "ready") if document["ready"] else paint(_RED, "not ready")
    config = document.get("config") or {}
    since = f", config in force for {_ago(config.get('loaded_at'), now)}" if config.get("loaded_at") else ""
    lines = [f"confcar {document['version']}  {ready}{since}"]
    if config.get("error"):
        lines.append(paint(_RED, "  the config now on disk is not in force:"))
        lines += [f"    {line}" for line in str(config["error"]).splitlines()]
    lines += ["", paint(_BOLD, "bundles")]
    for name, bundle in document["bundles"].items():
        lines += _bundle(name, bundle, now, paint)
    if document.get("primary"):
        lines += ["", paint(_BOLD, "primary"), *_primary(document["primary"], now, paint)]
    lines += ["", paint(_BOLD, "sources")]
    for name, source in document["sources"].items():
        lines += _source(name, source, now, paint)
    return lines


def _bundle(name: str, bundle: dict[str, Any], now: float, paint: Paint) -> list[str]:
    state = paint(_COLOURS.get(bundle["state"], _DIM), f"{bundle['state']:<9}")
    if bundle["generation"] is None:
        published = "nothing published yet"
    else:
        published = f"generation {bundle['generation']}, {_ago(bundle['published_at'], now)} old"
    lines = [f"  {name:<20} {state}  {published}"]
    if bundle["error"]:
        lines += [f"    {line}" for line in str(bundle["error"]).splitlines()]
    for each in bundle["missing"][:_SHOWN_MISSING]:
        where = f"{each['template']}:{each['line']}"
        lines.append(f"    waits for {each['function']}({each['path']!r}) from {each['source']}")
        lines.append(f"      {where}: {each['reason']}")
    more = len(bundle["missing"]) - _SHOWN_MISSING
    if more > 0:
        lines.append(f"    and {more} more")
    if isinstance(refused := bundle.get("refused"), dict):
        how = "taken back by hand" if refused.get("by_hand") else "refused"
        lines.append(paint(_RED, f"    generation {refused.get('generation')} was {how}: {refused.get('reason')}"))
    reload = bundle["reload"]
    if reload["pending"]:
        lines.append(paint(_YELLOW, f"    reload pending, tried {reload['attempts']} times"))
        if reload["last_error"]:
            lines.append(f"      {reload['last_error']}")
    return lines


def _primary(primary: dict[str, Any], now: float, paint: Paint) -> list[str]:
    colour = {"running": _GREEN, "ended": _RED, "restarting": _YELLOW}.get(primary["state"], _DIM)
    state = paint(colour, f"{primary['state']:<9}")
    parts = [f"PID {primary['pid']}"] if primary["pid"] else []
    parts += [f"for {_ago(primary['started_at'], now)}"] if primary["started_at"] else []
    parts += [f"started again {primary['restarts']} times"] if primary["restarts"] else []
    lines = [f"  {primary['mode']:<20} {state}  {', '.join(parts)}".rstrip()]
    if last := primary["last_exit"]:
        how = last["signal"] or f"code {last['code']}"
        lines.append(f"    ended last with {how}, {_ago(last['at'], now)} ago")
    if primary["waits_for"] and primary["state"] == "waiting":
        lines.append(f"    waits for: {primary['waits_for']}")
    if primary["error"]:
        lines.append(paint(_RED, f"    {primary['error']}"))
    return lines + _environment(primary["environment"] or {}, paint)


def _environment(environment: dict[str, Any], paint: Paint) -> list[str]:
    lines = [paint(_RED, f"    environment: {line}") for line in str(environment.get("error") or "").splitlines()]
    for each in environment.get("missing", ()):
        lines.append(f"    its environment waits for {each['function']}({each['path']!r}) from {each['source']}")
        lines.append(f"      {each['template']}:{each['line']}: {each['reason']}")
    return lines


def _source(name: str, source: dict[str, Any], now: float, paint: Paint) -> list[str]:
    up = {True: paint(_GREEN, f"{'up':<9}"), False: paint(_RED, f"{'down':<9}")}.get(
        source["up"], paint(_DIM, f"{'not read':<9}")
    )
    answered = f"answered {_ago(source['last_success'], now)} ago" if source["last_success"] else "no answer yet"
    lines = [f"  {name:<20} {up}  {source['type']}, {answered}"]
    if source["error"]:
        lines.append(f"    {source['error']}")
    return lines


def _ago(at: str | None, now: float) -> str:
    seconds = seconds_since(at, now)
    return "?" if seconds is None else in_words(seconds)
