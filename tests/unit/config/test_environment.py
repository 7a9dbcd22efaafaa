"""Overrides by `CONFCAR_...` variables."""

from __future__ import annotations

import re

import pytest
import typer

import confcar.cli.app
from tests.unit.config.workbench import BUNDLE, Workbench

_CONSUL = "sources:\n  my-consul: {type: consul, address: 'http://a:1'}\n"


def test_variable_wins_over_the_file(bench: Workbench) -> None:
    settings = bench.load(BUNDLE + "log: {level: error}\n", {"CONFCAR_LOG__LEVEL": "debug"}).settings
    assert settings.log.level == "debug"
    assert settings.log.format == "auto"


def test_underscore_stands_for_the_dash_of_a_name(bench: Workbench) -> None:
    settings = bench.load(_CONSUL + BUNDLE, {"CONFCAR_SOURCES__MY_CONSUL__ADDRESS": "http://b:2"}).settings
    assert "http://b:2" in repr(settings.sources["my-consul"])
    assert list(settings.sources) == ["my-consul"]


def test_number_indexes_a_list(bench: Workbench) -> None:
    bundle = bench.load(BUNDLE, {"CONFCAR_BUNDLES__WEB__TEMPLATES__0__MODE": "0600"}).settings.bundles["web"]
    assert bundle.templates[0].mode == 0o600
    assert bundle.templates[0].content == "hello"


def test_number_one_beyond_the_end_adds_an_item(bench: Workbench) -> None:
    prefix = "CONFCAR_BUNDLES__WEB__TEMPLATES__1__"
    bundle = bench.load(BUNDLE, {f"{prefix}CONTENT": "{{ 1 }}", f"{prefix}DESTINATION": "b"}).settings.bundles["web"]
    assert [(each.destination, each.content) for each in bundle.templates] == [("a", "hello"), ("b", "{{ 1 }}")]


@pytest.mark.parametrize("prefix", ["CONFCAR_BUNDLES__WEB__RELOAD__", "CONFCAR_BUNDLES__WEB__RELOAD__0__"])
def test_single_reload_step_is_reached_with_and_without_a_number(bench: Workbench, prefix: str) -> None:
    text = BUNDLE + "    reload: {signal: HUP, pid: 7}\n"
    bundle = bench.load(text, {f"{prefix}PID": "8"}).settings.bundles["web"]
    assert [(step.signal, step.pid) for step in bundle.reload] == [(1, 8)]


def test_values_become_what_the_field_wants(bench: Workbench) -> None:
    web = "CONFCAR_BUNDLES__WEB__"
    environ = {
        f"{web}KEEP": "5",
        f"{web}SPLAY": "1m",
        f"{web}CHECK__COMMAND": "[nginx, -t]",
        f"{web}RELOAD": '[{"command": ["a"]}, {"signal": "1", "pid": 3}]',
        "CONFCAR_SOURCES__C__TLS__VERIFY": "false",
        "CONFCAR_SOURCES__C__MAX_CONNECTIONS": "4",
    }
    settings = bench.load("sources: {c: {type: consul}}\n" + BUNDLE, environ).settings
    bundle = settings.bundles["web"]
    assert (bundle.keep, bundle.splay_seconds, len(bundle.reload)) == (5, 60.0, 2)
    assert bundle.check is not None
    assert list(bundle.check.command) == ["nginx", "-t"]
    assert re.search(r"max_connections=4.*verify=False", repr(settings.sources["c"]))


def test_text_that_looks_like_something_else_stays_text(bench: Workbench) -> None:
    environ = {"CONFCAR_BUNDLES__WEB__TEMPLATES__0__CONTENT": "{a: 1}", "CONFCAR_BUNDLES__WEB__TEMPLATES__0__USER": "1"}
    template = bench.load(BUNDLE, environ).settings.bundles["web"].templates[0]
    assert (template.content, template.user) == ("{a: 1}", "1")


def test_override_is_not_expanded(bench: Workbench) -> None:
    environ = {"CONFCAR_BUNDLES__WEB__TEMPLATES__0__USER": "${A}", "A": "x"}
    assert bench.load(BUNDLE, environ).settings.bundles["web"].templates[0].user == "${A}"


def test_section_without_anything_in_it_is_filled(bench: Workbench) -> None:
    assert bench.load(BUNDLE + "admin:\n", {"CONFCAR_ADMIN__LISTEN": "off"}).settings.admin.listen == "off"


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        pytest.param("CONFCAR_ADMIN__LISTN", "x", "admin.listn: unknown key; did you mean listen?", id="unknown-key"),
        pytest.param(
            "CONFCAR_LOG__LEVEL", "loud", "log.level: must be debug, info, warning or error", id="unknown-word"
        ),
        pytest.param("CONFCAR_LOG__LEVEL__X", "x", "level is a single value, there is nothing below it", id="too-deep"),
        pytest.param(
            "CONFCAR_BUNDLES__WEB__TEMPLATES__7__MODE", "0600", "7 is not an index of a list of 1", id="beyond-the-end"
        ),
        pytest.param(
            "CONFCAR_BUNDLES__WEB__TEMPLATES__MODE", "0600", "MODE is not an index of a list of 1", id="no-number"
        ),
        pytest.param(
            "CONFCAR_LOG____LEVEL", "info", "there is nothing between two pairs of underscores", id="four-underscores"
        ),
        pytest.param("CONFCAR_BUNDLES__WEB__KEEP", "two", "bundles.web.keep: must be a whole number", id="not-whole"),
    ],
)
def test_wrong_variable_is_named(bench: Workbench, variable: str, value: str, problem: str) -> None:
    found = bench.problems(BUNDLE + "log: {level: info}\n", {variable: value})
    assert found == [f"environment {variable}: {problem}"]


def test_variable_of_no_section_only_warns(bench: Workbench) -> None:
    config = bench.load(BUNDLE, {"CONFCAR_PORT": "tcp://10.0.0.1:80", "CONFCAR_SOURCE__A__TYPE": "file"})
    assert config.warnings == (
        "the variable CONFCAR_PORT names nothing in the config and is not used",
        "the variable CONFCAR_SOURCE__A__TYPE names nothing in the config and is not used",
    )


def test_variables_of_the_command_line_are_known(bench: Workbench) -> None:
    group = typer.main.get_command(confcar.cli.app.app)
    assert isinstance(group, typer.core.TyperGroup)
    named = {str(option.envvar) for command in group.commands.values() for option in command.params if option.envvar}
    # Those of a section are the config's own, and have to hold what it takes.
    known = {name for name in named if "__" not in name}
    assert {"CONFCAR_CONFIG", "CONFCAR_WATCH"} <= known
    assert bench.load(BUNDLE, dict.fromkeys(known, "x")).warnings == ()


def test_token_may_come_from_a_variable_of_the_source(bench: Workbench) -> None:
    settings = bench.load("sources: {v: {type: vault}}\n" + BUNDLE, {"CONFCAR_SOURCES__V__TOKEN": "s3cret"}).settings
    token = getattr(settings.sources["v"], "token", None)
    assert token is not None
    assert token.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(settings)
