"""Every kind of fault: exactly where it is, and in which words."""

from __future__ import annotations

import pytest

from tests.unit.config.workbench import BUNDLE, Workbench

_SEVEN = """\
sources:
  vault:
    type: vault
    adress: https://a
    refresh: 30
bundles:
  web:
    directory: ${NO}
    templates:
      - source: gone.j2
        destination: a
        mode: 0640
        mode: "0600"
log:
  levl: info
"""


def test_all_faults_are_told_at_once(bench: Workbench) -> None:
    found = bench.problems(_SEVEN)
    assert found == [
        "c.yaml:4:5: sources.vault.adress: unknown key; did you mean address?",
        "c.yaml:5:5: sources.vault.refresh: a duration is a string with a unit, such as 250ms, 5s, 1m30s or 2h",
        "c.yaml:8:5: bundles.web.directory: the variable NO is not set; set it or write ${NO:-default}",
        "c.yaml:10:9: bundles.web.templates.0.source: there is no such file: gone.j2",
        'c.yaml:12:9: bundles.web.templates.0.mode: quote the mode: "0640"; without quotes it is read as a number',
        "c.yaml:13:9: the key mode stands here twice",
        "c.yaml:15:3: log.levl: unknown key; did you mean level?",
    ]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        pytest.param("    keep: two\n", "6:5: bundles.web.keep: must be a whole number", id="number"),
        pytest.param("    keep: -1\n", "6:5: bundles.web.keep: must be at least 0", id="range"),
        pytest.param("    publish: swop\n", "6:5: bundles.web.publish: must be swap or rename", id="word"),
        pytest.param("    wait: 5s\n", "6:5: bundles.web.wait: must be a mapping", id="mapping"),
        pytest.param("    check: {command: nginx}\n", "6:13: bundles.web.check.command: must be a list", id="list"),
        pytest.param(
            "    wait: {quiet: 6s}\n", "6:5: bundles.web.wait: max must be at least quiet", id="whole-section"
        ),
        pytest.param("    check: {timeout: 1s}\n", "6:5: bundles.web.check.command: is required", id="missing"),
        pytest.param(
            "    check: {command: [a], timeout: 0s}\n", "6:27: bundles.web.check.timeout: must be above 0", id="above"
        ),
        pytest.param("    templats: []\n", "6:5: bundles.web.templats: unknown key; did you mean templates?", id="key"),
        pytest.param(
            "    reload: {signal: HUP}\n",
            "6:5: bundles.web.reload: a signal needs one of pid, pid_file or process to say whom to signal, "
            "or a primary in the config",
            id="single-step",
        ),
    ],
)
def test_fault_in_a_bundle(bench: Workbench, lines: str, problem: str) -> None:
    assert bench.problems(BUNDLE + lines) == [f"c.yaml:{problem}"]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        pytest.param("{address: x}", "2:3: sources.v: type is required: vault or consul or file", id="no-type"),
        pytest.param("{type: valt}", "2:3: sources.v: type must be one of vault, consul, file", id="unknown-type"),
        pytest.param(
            "{type: vault, auth: {method: token_file}}", "2:20: sources.v.auth.path: is required", id="in-two-unions"
        ),
        pytest.param(
            "{type: vault, auth: {method: approle}}",
            "2:20: sources.v.auth: give either role_id or role_id_file",
            id="whole-section-in-two-unions",
        ),
        pytest.param(
            "{type: file, path: a, pth: b}", "2:28: sources.v.pth: unknown key; did you mean path?", id="key-in-union"
        ),
        pytest.param(
            "{type: consul, tls: {verify: no}}",
            "2:27: sources.v.tls.verify: must be true or false; no is a word in YAML 1.2",
            id="word-for-false",
        ),
    ],
)
def test_place_is_not_hidden_by_a_union(bench: Workbench, lines: str, problem: str) -> None:
    assert bench.problems(f"sources:\n  v: {lines}\n{BUNDLE}") == [f"c.yaml:{problem}"]


@pytest.mark.parametrize(
    "written", ["{http: {url: 'http://a/', timeot: 1s}}", "[{http: {url: 'http://a/', timeot: 1s}}]"]
)
def test_place_is_not_doubled_by_one_or_list(bench: Workbench, written: str) -> None:
    index = ".0" if written.startswith("[") else ""
    column = 13 + written.index("timeot")
    problem = f"bundles.web.reload{index}.http.timeot: unknown key; did you mean timeout?"
    assert bench.problems(f"{BUNDLE}    reload: {written}\n") == [f"c.yaml:6:{column}: {problem}"]


def test_name_with_other_characters_is_refused(bench: Workbench) -> None:
    found = bench.problems(BUNDLE.replace("web:", "We_b:"))
    assert found == ["c.yaml:2:3: bundles.We_b: a name is made of small letters, digits and -"]


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("vault", "auth: {method: token_file, path: ...} or VAULT_TOKEN"),
        ("consul", "token_file or CONSUL_HTTP_TOKEN"),
    ],
)
def test_token_in_the_file_is_refused_and_not_shown(bench: Workbench, kind: str, hint: str) -> None:
    found = bench.problems(f"sources:\n  s:\n    type: {kind}\n    token: hunter2\n{BUNDLE}")
    assert found == [f"c.yaml:4:5: sources.s.token: a token does not belong into the config; use {hint}"]


def test_faulty_source_is_not_said_to_lack_a_login_as_well(bench: Workbench) -> None:
    found = bench.problems("sources:\n  v: {type: vault, auth: {method: approl}}\n" + BUNDLE)
    methods = "token, token_file, approle, kubernetes, jwt, userpass, ldap, cert"
    assert found == [f"c.yaml:2:20: sources.v.auth: method must be one of {methods}"]


def test_config_without_bundles_is_refused(bench: Workbench) -> None:
    assert bench.problems("log: {}\n") == ["c.yaml: bundles: is required"]
    assert bench.problems("bundles: {}\n") == ["c.yaml:1:1: bundles: must not be empty"]
