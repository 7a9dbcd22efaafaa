"""What durations, modes, signals and paths may be written as."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcar.config.bundles import TemplateOptions
from confcar.config.http import HttpOptions
from confcar.config.types import parse_duration, parse_signal
from tests.unit.config.workbench import BUNDLE, Workbench

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("0", 0.0, id="nothing"),
        pytest.param("0s", 0.0, id="no-seconds"),
        pytest.param("250ms", 0.25, id="milliseconds"),
        pytest.param("5s", 5.0, id="seconds"),
        pytest.param("1m30s", 90.0, id="two-units"),
        pytest.param("2h", 7200.0, id="hours"),
        pytest.param("1d", 86400.0, id="days"),
        pytest.param("1.5s", 1.5, id="fraction"),
    ],
)
def test_duration_is_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "wrong", ["", "5", "s", "5 s", "-5s", "5s!", "1m30", "5S", "\u0665s", 5, 5.0, True, None], ids=repr
)
def test_what_is_no_duration_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="a duration is a string with a unit"):
        parse_duration(wrong)


@pytest.mark.parametrize("wrong", ["3661d", "9" * 400 + "s"], ids=repr)
def test_duration_beyond_ten_years_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="at most 3660d"):
        parse_duration(wrong)


@given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from(sorted(_UNITS))), min_size=1, max_size=5))
def test_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert parse_duration(text) == pytest.approx(sum(number * _UNITS[unit] for number, unit in parts))


@pytest.mark.parametrize("text", ["HUP", "SIGHUP", "hup", "1", 1], ids=repr)
def test_signal_is_written_in_any_way(text: object) -> None:
    assert parse_signal(text) == signal.SIGHUP


@pytest.mark.parametrize("wrong", ["", "HUPP", "0", 0, 999, -1, True, None, 1.0, "\u00b9"], ids=repr)
def test_what_is_no_signal_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="write it as HUP, SIGHUP or 1"):
        parse_signal(wrong)


@pytest.mark.parametrize(("text", "bits"), [("0640", 0o640), ("640", 0o640), ("02750", 0o2750), ("000", 0)])
def test_mode_is_octal(text: str, bits: int) -> None:
    assert TemplateOptions.model_validate({"content": "", "destination": "a", "mode": text}).mode == bits


@pytest.mark.parametrize("wrong", ["64", "0888", "u=rw", "006400", ""], ids=repr)
def test_what_is_no_mode_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="three or four octal digits"):
        TemplateOptions.model_validate({"content": "", "destination": "a", "mode": wrong})


@pytest.mark.parametrize("wrong", ["", "/", "a//b", "a/../b", "./a", "..data", "..", "a/", "a\0b"], ids=repr)
def test_destination_that_could_leave_the_directory_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"plain path|confcar's own"):
        TemplateOptions.model_validate({"content": "", "destination": wrong})


@pytest.mark.parametrize(("given_as", "expect"), [("2xx", "2xx"), (204, "204"), ("200,204", "200,204")])
def test_expected_status_may_be_a_number(given_as: object, expect: str) -> None:
    assert HttpOptions.model_validate({"url": "http://a/", "expect": given_as}).expect == expect


@pytest.mark.parametrize("wrong", ["", "ok", "2x", "600", 99, True], ids=repr)
def test_expectation_that_is_no_status_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="write expected status codes"):
        HttpOptions.model_validate({"url": "http://a/", "expect": wrong})


@pytest.mark.parametrize("directory", ['""', "${NOT_SET:-}", "${EMPTY}"])
def test_empty_path_is_never_the_folder_of_the_config(bench: Workbench, directory: str) -> None:
    found = bench.problems(BUNDLE.replace("out", directory), {"EMPTY": ""})
    assert found == ["c.yaml:3:5: bundles.web.directory: a path may not be empty"]


def test_relative_path_starts_at_the_config(bench: Workbench) -> None:
    settings = bench.load(BUNDLE.replace("out", "./x/../out") + "pid_file: /run/p\n").settings
    assert settings.bundles["web"].directory == bench.folder / "out"
    assert str(settings.pid_file) == "/run/p"


@pytest.mark.parametrize("listen", ["127.0.0.1:9797", "0.0.0.0:0", ":9797", "[::1]:9797", "localhost:80", "off"])
def test_listen_is_taken_as_written(bench: Workbench, listen: str) -> None:
    assert bench.load(BUNDLE + f"admin: {{listen: '{listen}'}}\n").settings.admin.listen == listen


def test_off_without_quotes_is_the_word(bench: Workbench) -> None:
    assert bench.load(BUNDLE + "admin: {listen: off}\n").settings.admin.listen == "off"


def test_unix_socket_is_relative_to_the_config(bench: Workbench) -> None:
    assert (
        bench.load(BUNDLE + "admin: {listen: 'unix:a.sock'}\n").settings.admin.listen == f"unix:{bench.folder}/a.sock"
    )


@pytest.mark.parametrize("wrong", ["", "9797", "host", "host:", "host:99999", "::1:80", "unix:", "a b:80"], ids=repr)
def test_listen_that_is_no_address_is_refused(bench: Workbench, wrong: str) -> None:
    found = bench.problems(BUNDLE + f"admin:\n  listen: '{wrong}'\n")
    assert found == ["c.yaml:7:3: admin.listen: write host:port, [v6]:port, unix:/path or off"]
