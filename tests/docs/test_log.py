"""The page on the log has every event with its levels and every error, each with its cause, and no others."""

from __future__ import annotations

import re

from confcar.errors import ConfcarError
from tests.docs.events import logged_events
from tests.docs.generate import _tree, import_everything
from tests.docs.pages import DOCS, REFERENCE, ROOT

_PAGE = (REFERENCE / "log.md").read_text()
_CODE = re.compile(r"`([^`]+)`")


def documented_events() -> dict[str, set[str]]:
    """Return the levels of each event on the page."""
    found: dict[str, set[str]] = {}
    for row in re.findall(r"^\| (`[^|]+`) \| ([a-z, ]+) \| ([^|]+) \|", _PAGE.partition("## Errors")[0], re.MULTILINE):
        names, levels, cause = row
        assert cause.strip(), names
        for name in _CODE.findall(names):
            assert name not in found, f"{name} stands twice"
            found[name] = set(levels.split(", "))
    return found


def test_log_page_has_every_event_with_its_levels_and_no_other() -> None:
    assert documented_events() == logged_events()


def test_every_warning_and_error_has_a_cure() -> None:
    rows = re.findall(r"^\| (`[^|]+`) \| [a-z, ]*(?:warning|error)[a-z, ]* \| [^|]+ \| ([^|]*)\|$", _PAGE, re.MULTILINE)
    # What somebody else's end or absence explains whole needs none.
    assert [names for names, cure in rows if not cure.strip()] == [
        "`signal ignored`",
        "`signal not passed on`, `signal not passed on, the primary does not run`",
    ]


def test_log_page_has_every_error_with_cause_and_cure() -> None:
    import_everything()
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", _PAGE.partition("## Errors")[2], re.MULTILINE)
    assert all(cause.strip() and cure.strip() for _, cause, cure in rows)
    assert [name for name, *_ in rows] == [kind.__name__ for kind in _tree(ConfcarError)]


def test_every_module_logs_by_a_logger_of_the_usual_name() -> None:
    """Else its events would not be found."""
    odd = [
        (path.name, line)
        for path in (ROOT / "confcar").rglob("*.py")
        for line in path.read_text().splitlines()
        if "getLogger(" in line and not re.match(r"_(log|LOG) = logging\.getLogger\(__name__\)$", line)
    ]
    assert {name for name, _ in odd} == {"log.py", "context.py"}


def test_events_that_other_pages_name_exist() -> None:
    """Where a page says what stands in the log, the log can say it."""
    known = logged_events()
    column = re.findall(
        r"^\| [^|]+ \| [^|]+ \| ([^|]+) \|", (DOCS / "explanation" / "failure-modes.md").read_text(), re.MULTILINE
    )
    named = {name for cell in column for name in _CODE.findall(cell)}
    unknown = {name for name in named if name not in known and re.fullmatch(r"[a-z ,']+", name)}
    assert unknown - {"output", "error"} == set()
