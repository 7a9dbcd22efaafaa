"""Differences between two versions of a file that give away no secret of either."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from confcar.cli.masking import shown, unified_diff
from confcar.log import MASK, MASKED_FROM_LENGTH, Redactor

OLD, NEW = "old-secret-value", "new-secret-value"


def redactor_for(*secrets: str) -> Redactor:
    redactor = Redactor()
    redactor.learn(secrets)
    return redactor


def diff_of(before: str, after: str, *secrets: str, is_secret: bool = True) -> str:
    lines = unified_diff(
        "app.conf", before.encode(), after.encode(), redactor=redactor_for(*secrets), is_secret=is_secret
    )
    return "".join(lines)


def test_a_rotated_secret_is_masked_on_both_sides() -> None:
    text = diff_of(f"user=app\npassword={OLD}\n", f"user=app\npassword={NEW}\n", NEW)
    assert text.splitlines()[3:] == [" user=app", f"-password={MASK}", f"+password={MASK}"]


def test_a_changed_line_without_a_secret_is_shown_where_no_secret_is_read() -> None:
    text = diff_of("port=1\n", "port=2\n", is_secret=False)
    assert text.splitlines()[3:] == ["-port=1", "+port=2"]


def test_an_older_line_that_resembles_no_new_one_is_not_shown_where_secrets_are_read() -> None:
    text = diff_of(f"token {OLD}\nport=1\n", "port=2\n", NEW)
    assert OLD not in text
    assert "-port=1" not in text
    assert "--show-secrets" in text


def test_everything_is_shown_where_that_is_asked_for() -> None:
    text = "".join(unified_diff("a", OLD.encode(), NEW.encode(), redactor=None, is_secret=True))
    assert OLD in text
    assert NEW in text


def test_equal_versions_differ_in_nothing() -> None:
    assert diff_of(NEW, NEW, NEW) == ""


def test_a_file_that_would_be_new_is_shown_masked() -> None:
    text = diff_of("", f"user=app\npassword={NEW}\n", NEW)
    assert text.splitlines()[3:] == ["+user=app", f"+password={MASK}"]


def test_a_file_that_would_go_shows_nothing_of_its_secrets() -> None:
    assert OLD not in diff_of(f"password={OLD}\n", "")


def test_each_line_of_a_multi_line_secret_is_masked_also_where_it_is_indented() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n"
    indented = "".join(f"    {line}\n" for line in key.splitlines())
    text = diff_of("key: |\n    MIIEolderolder\n", f"key: |\n{indented}", key)
    assert not [part for part in ("MIIEvQIBADANBg", "kqhkiG9w0BAQEF", "MIIEolderolder") if part in text]


def test_a_secret_in_a_line_without_a_line_end_is_masked() -> None:
    text = diff_of(f"p={OLD}", f"p={NEW}", NEW)
    assert OLD not in text
    assert NEW not in text


def test_bytes_that_are_no_text_are_told_by_their_number() -> None:
    text = "".join(unified_diff("a", b"\xff\x00", b"\xff\x00\x01", redactor=Redactor(), is_secret=True))
    assert "(3 bytes that are not UTF-8)" in text
    assert shown(b"\xff", None) == "(1 bytes that are not UTF-8)\n"


def test_values_that_are_too_short_are_not_recognised_in_the_new_version() -> None:
    """As the docs say: they would blank out half of every file."""
    short = "x" * (MASKED_FROM_LENGTH - 1)
    assert f"+pin={short}" in diff_of("", f"pin={short}\n", short)


def test_short_values_of_the_old_version_are_not_shown_all_the_same() -> None:
    assert "1234" not in diff_of("pin=1234\n", "pin=99999\n", "99999")


def test_a_value_that_a_template_has_changed_is_not_recognised() -> None:
    """As the docs say: no list of encodings would ever be complete."""
    encoded = base64.b64encode(NEW.encode()).decode()
    assert encoded in diff_of("", f"auth={encoded}\n", NEW)


def test_a_value_that_is_quoted_for_json_is_recognised() -> None:
    secret = 'pa"ss\\word-ü'
    assert "word-ü" not in diff_of("", 'password="pa\\"ss\\\\word-ü"\n', secret)


@pytest.mark.timeout(10)
def test_a_line_of_many_secrets_is_compared_in_little_time() -> None:
    secrets = [f"secret-{number:03d}" for number in range(60)]
    began = time.monotonic()
    text = diff_of("a," * 2000 + "!\n", ",".join(secrets) + "\n", *secrets)
    assert time.monotonic() - began < 1.0
    assert "-a," not in text


# Letters that no other text here has, so that a secret cannot turn up by chance.
SECRETS = st.lists(
    st.text(st.sampled_from("€ßøđŋħ\"'\\ \n\t{}"), min_size=8, max_size=24).filter(
        lambda text: all(len(line.strip()) >= MASKED_FROM_LENGTH for line in text.splitlines()) and text.strip()
    ),
    min_size=1,
    max_size=4,
    unique=True,
)
LINES = st.lists(st.tuples(st.text("abc=: ", max_size=6), st.integers(-1, 3), st.text("abc;", max_size=4)), max_size=8)


def _file(lines: list[tuple[str, int, str]], secrets: list[str]) -> str:
    return "".join(
        f"{head}{secrets[number % len(secrets)] if number >= 0 else ''}{tail}\n" for head, number, tail in lines
    )


@settings(max_examples=300)
@given(old=SECRETS, new=SECRETS, before=LINES, after=LINES)
def test_no_line_of_any_secret_of_either_version_is_ever_shown(
    old: list[str], new: list[str], before: list[tuple[str, int, str]], after: list[tuple[str, int, str]]
) -> None:
    text = diff_of(_file(before, old), _file(after, new), *new)
    secrets = [line.strip() for secret in (*old, *new) for line in secret.splitlines()]
    assert not [line for line in secrets if line in text]
