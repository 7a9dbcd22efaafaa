"""Log lines, and the masking of secrets in them."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcar.log import MASK, MASKED_FROM_LENGTH, JsonFormatter, Redactor, configure, fields, secret_strings

QUOTED = "pa\"ss'wo\\rd"
LINES = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\n-----END KEY-----\n"
NON_TEXT = "tab\there\x1b[31m"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def redactor_for(*secrets: str) -> Redactor:
    redactor = Redactor()
    redactor.learn(secrets)
    return redactor


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """Return a logger of confcar's; what the test configured is undone."""
    logger = logging.getLogger("confcar")
    before = (logger.handlers[:], logger.level, logger.propagate)
    yield logging.getLogger("confcar.test")
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


def written(
    log: logging.Logger,
    *secrets: str,
    format_: Literal["auto", "console", "json"] = "json",
    stream: io.StringIO | None = None,
    **values: object,
) -> str:
    stream = stream or io.StringIO()
    configure(redactor_for(*secrets), level="info", format_=format_, stream=stream)
    log.info("file written", extra=fields(**values))
    return stream.getvalue()


def test_json_line_holds_time_level_event_and_fields_in_this_order(log: logging.Logger) -> None:
    line = written(log, bundle="web", bytes=12, changed=("a", "b"), error=None)
    event = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event.pop("time"))
    assert event == {
        "level": "info",
        "event": "file written",
        "bundle": "web",
        "bytes": 12,
        "changed": ["a", "b"],
        "error": None,
    }
    assert list(json.loads(line))[:4] == ["time", "level", "event", "bundle"]
    assert line.count("\n") == 1


def test_field_cannot_take_the_place_of_time_level_or_event(log: logging.Logger) -> None:
    event = json.loads(written(log, event="other", level="other"))
    assert (event["event"], event["level"]) == ("file written", "info")


def test_console_line_is_short(log: logging.Logger) -> None:
    line = written(log, format_="console", bundle="web", changed=("a", "b"), words="two words", none=None, empty="")
    assert re.fullmatch(r'\d\d:\d\d:\d\d file written bundle=web changed=a,b words="two words"\n', line)


def test_console_line_names_warnings_and_errors(log: logging.Logger) -> None:
    stream = io.StringIO()
    configure(Redactor(), level="info", format_="console", stream=stream)
    log.warning("reload failed")
    assert stream.getvalue().endswith(" warning: reload failed\n")


@pytest.mark.parametrize(
    ("format_", "terminal", "start"),
    [
        pytest.param("auto", True, "\x1b[", id="auto on a terminal is for people, in colour"),
        pytest.param("auto", False, "{", id="auto elsewhere is JSON"),
        pytest.param("json", True, "{", id="JSON on a terminal where asked for"),
        pytest.param("console", False, "", id="console elsewhere has no colour"),
    ],
)
def test_format_fits_the_place(
    log: logging.Logger,
    format_: Literal["auto", "console", "json"],
    terminal: bool,  # noqa: FBT001 - a table's column
    start: str,
) -> None:
    line = written(log, format_=format_, stream=Terminal() if terminal else io.StringIO())
    assert line.startswith(start)
    assert ("\x1b" in line) == (start == "\x1b[")


def test_level_leaves_out_what_is_below_it(log: logging.Logger) -> None:
    stream = io.StringIO()
    configure(Redactor(), level="warning", format_="json", stream=stream)
    log.info("left out")
    assert stream.getvalue() == ""


def test_configuring_twice_writes_each_event_once(log: logging.Logger) -> None:
    first = io.StringIO()
    configure(Redactor(), level="info", format_="json", stream=first)
    assert written(log).count("\n") == 1
    assert first.getvalue() == ""


@pytest.mark.parametrize("format_", ["json", "console"])
@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("plain-secret", id="plain"),
        pytest.param(QUOTED, id="quotes and backslash"),
        pytest.param(LINES, id="lines"),
        pytest.param(NON_TEXT, id="control characters"),
        pytest.param("pässwörd-€", id="not ASCII"),
        pytest.param("123456789", id="number"),
    ],
)
def test_secret_is_masked_wherever_it_stands(
    log: logging.Logger, format_: Literal["console", "json"], secret: str
) -> None:
    line = written(
        log,
        secret,
        format_=format_,
        text=f"it is {secret}!",
        deep={"a": [{"b": secret}], secret: 1},
        several=("x", secret),
        error=ValueError(f"bad value {secret!r}"),
        number=123456789,
    )
    parts = [part for part in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], *secret.split("\n")) if part]
    if secret != "123456789":
        assert "123456789" in line
    assert not [part for part in parts if part in line]
    assert MASK in line
    if format_ == "json":
        assert json.loads(line)["text"] == f"it is {MASK}!" or secret == LINES


def test_secret_in_the_event_is_masked_and_a_traceback_names_class_and_frames_only(log: logging.Logger) -> None:
    stream = io.StringIO()
    configure(redactor_for(QUOTED), level="info", format_="json", stream=stream)
    try:
        int(QUOTED)
    except ValueError:
        log.exception("it failed with %s", QUOTED)
    event = json.loads(stream.getvalue())
    assert event["event"] == f"it failed with {MASK}"
    error, frame = event["traceback"].splitlines()
    assert error == "builtins.ValueError"
    assert frame.startswith(f"  {__file__}:")


def test_traceback_is_left_out_where_the_error_is_told(log: logging.Logger) -> None:
    stream = io.StringIO()
    configure(Redactor(), level="info", format_="json", stream=stream)
    try:
        int("x")
    except ValueError as error:
        log.warning("failed", exc_info=True, extra=fields(error=error))
    assert "traceback" not in json.loads(stream.getvalue())


@pytest.mark.parametrize("format_", ["json", "console"])
def test_value_can_neither_break_the_line_nor_write_on_the_terminal(
    log: logging.Logger, format_: Literal["console", "json"]
) -> None:
    line = written(log, format_=format_, output="one\ntwo\x1b[2J\x9b31m\x7f")
    assert line.count("\n") == 1
    assert "\x1b" not in line
    if format_ == "console":
        assert "\x9b" not in line


def test_number_that_is_a_secret_is_masked_and_the_line_stays_json(log: logging.Logger) -> None:
    event = json.loads(written(log, "424242", pin=424242, bytes=7, is_ready=True))
    assert (event["pin"], event["bytes"], event["is_ready"]) == (MASK, 7, True)


def test_value_of_another_type_is_written_as_its_text(log: logging.Logger) -> None:
    event = json.loads(written(log, path=sys.version_info, names={"a"}, object=ValueError("why")))
    assert event["object"] == "why"
    assert event["names"] == ["a"]


def test_short_values_are_not_masked_and_long_lines_of_a_secret_are() -> None:
    redactor = redactor_for("on", "x" * (MASKED_FROM_LENGTH - 1), f"ab\n{'y' * MASKED_FROM_LENGTH}\n")
    assert redactor.mask("on xxxxx ab") == "on xxxxx ab"
    assert redactor.mask("say yyyyyy") == f"say {MASK}"


def test_secret_that_holds_another_is_masked_as_a_whole() -> None:
    assert redactor_for("secret", "my-secret-2").mask("my-secret-2 secret") == f"{MASK} {MASK}"


def test_surrounding_blanks_do_not_hide_a_secret() -> None:
    assert redactor_for("  token-4711\n").mask("<token-4711>") == f"<{MASK}>"


@pytest.mark.parametrize(
    ("text", "from_end", "shown"),
    [
        pytest.param("fine", False, "fine", id="short"),
        pytest.param("", False, "", id="empty"),
        pytest.param(" a\n\n b\x00c\t", False, "a b c", id="one line"),
        pytest.param("0123456789abc", False, "0123456789...", id="beginning"),
        pytest.param("abc0123456789", True, "...0123456789", id="end"),
    ],
)
def test_excerpt_is_one_printable_line(text: str, from_end: bool, shown: str) -> None:  # noqa: FBT001 - a table
    assert Redactor().excerpt(text, limit=10, from_end=from_end) == shown


@pytest.mark.parametrize(
    "secret", [pytest.param("secret-4711", id="plain"), pytest.param("two words\nand more", id="two")]
)
def test_cut_does_not_halve_a_secret(secret: str) -> None:
    redactor = redactor_for(secret)
    for start in range(12):
        for from_end in (False, True):
            shown = redactor.excerpt(f"{'.' * start}{secret}{'.' * start}", limit=12, from_end=from_end)
            assert not re.search("[a-z0-9]", shown)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_masking_without_secrets_changes_nothing_json_like(value: Any) -> None:  # noqa: ANN401 - any JSON
    assert Redactor().mask_values(value) == value


@given(secret=st.text(min_size=MASKED_FROM_LENGTH), before=st.text(max_size=5), after=st.text(max_size=5))
def test_any_secret_is_masked_in_a_line_that_stays_json(secret: str, before: str, after: str) -> None:
    redactor = redactor_for(secret)
    record = logging.LogRecord("confcar", logging.INFO, "", 0, "event", None, None)
    record.__dict__.update(fields(text=f"{before}{secret}{after}"))
    text = json.loads(JsonFormatter(redactor).format(record))["text"]
    stripped = secret.strip()
    if len(stripped) >= MASKED_FROM_LENGTH and set(stripped) - {"*"}:
        assert stripped not in text


def test_strings_of_a_secret_are_found_at_any_depth() -> None:
    value = {"a": "text", "b": [b"bytes", 7, 1.5, True, None], "c": {"d": ("deep",)}}
    assert sorted(secret_strings(value)) == ["1.5", "7", "bytes", "deep", "text"]
