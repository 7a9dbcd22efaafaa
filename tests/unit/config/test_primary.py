"""The primary in the config, and what clashes with it."""

from __future__ import annotations

import signal

import pytest

from tests.unit.config.workbench import BUNDLE, Workbench


def test_a_command_has_the_defaults_of_the_docs(bench: Workbench) -> None:
    primary = bench.load(BUNDLE + "primary: {command: [nginx]}\n").settings.primary
    assert primary is not None
    assert (primary.mode, primary.stop_signal, primary.stop_timeout_seconds) == ("command", signal.SIGTERM, 30.0)
    assert (primary.restart, primary.on_change, primary.on_exit) == ("never", "restart", "exit")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("{}", "6:1: primary: give exactly one of command, pid_file and process", id="none"),
        pytest.param(
            "{command: [a], pid_file: b}", "6:1: primary: give exactly one of command, pid_file and process", id="two"
        ),
        pytest.param(
            "{pid_file: b, stop_signal: INT}",
            "6:24: primary.stop_signal: belongs to a command, not to pid_file",
            id="stop-of-followed",
        ),
        pytest.param(
            "{process: {name: b}, environment: {A: b}}",
            "6:31: primary.environment: belongs to a command, not to process",
            id="environment-of-followed",
        ),
        pytest.param(
            "{command: [a], on_change: none}",
            "6:25: primary.on_change: there is no environment that could change",
            id="no-environment",
        ),
        pytest.param(
            "{command: [a], restart: always, on_exit: stay}",
            "6:42: primary.on_exit: with restart: always it never ends for good",
            id="never-over",
        ),
        pytest.param(
            "{command: [a], stop_signal: CHLD}", "6:25: primary.stop_signal: this signal ends no process", id="signal"
        ),
        pytest.param(
            "{command: [a], environment: {1A: b}}",
            "6:25: primary.environment: variables are named by letters, digits and _, no digit first",
            id="variable",
        ),
        pytest.param("{commands: [a]}", "6:11: primary.commands: unknown key; did you mean command?", id="key"),
    ],
)
def test_fault(bench: Workbench, text: str, problem: str) -> None:
    assert bench.problems(f"{BUNDLE}primary: {text}\n") == [f"c.yaml:{problem}"]


def test_a_signal_without_a_target_is_the_primarys(bench: Workbench) -> None:
    text = BUNDLE + "    reload: {signal: HUP}\nprimary: {pid_file: app.pid}\n"
    assert bench.load(text).settings.bundles["web"].reload[0].is_for_primary


def test_a_faulty_primary_is_not_told_as_a_missing_one_too(bench: Workbench) -> None:
    problems = bench.problems(BUNDLE + "    reload: {signal: HUP}\nprimary: {command: []}\n")
    assert problems == [
        "c.yaml:7:11: primary.command: a command is a list of its program and arguments, such as [nginx, -t]"
    ]


def test_variables_of_the_primary_keep_their_case_in_the_environment(bench: Workbench) -> None:
    text = BUNDLE + "primary: {command: [a]}\n"
    primary = bench.load(text, {"CONFCAR_PRIMARY__ENVIRONMENT__DB_URL": "x"}).settings.primary
    assert primary is not None
    assert primary.environment == {"DB_URL": "x"}
