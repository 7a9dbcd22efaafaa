"""`${VAR}` in the config."""

from __future__ import annotations

import pytest

from confcar.config.expand import ExpansionError, expand
from tests.unit.config.workbench import BUNDLE, Workbench

_ENVIRON = {"A": "x", "EMPTY": "", "NESTED": "${A}"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        pytest.param("${A}", "x", id="whole"),
        pytest.param("a-${A}-${A}", "a-x-x", id="inside"),
        pytest.param("${NO:-d}", "d", id="default"),
        pytest.param("${NO:-}", "", id="empty-default"),
        pytest.param("${EMPTY:-d}", "d", id="default-for-empty"),
        pytest.param("${EMPTY}", "", id="empty"),
        pytest.param("$${A}", "${A}", id="escaped"),
        pytest.param("$A $$ $(a) {}", "$A $$ $(a) {}", id="other-dollars"),
        pytest.param("${NESTED}", "${A}", id="only-once"),
        pytest.param("${NO:-http://a:1/}", "http://a:1/", id="default-with-colons"),
    ],
)
def test_reference_becomes_its_value(text: str, expanded: str) -> None:
    assert expand(text, _ENVIRON) == expanded


@pytest.mark.parametrize("text", ["${", "${}", "${A", "${A-b}", "${1A}", "${A B}"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ExpansionError, match=r"write \$\$\{ for the characters themselves"):
        expand(text, _ENVIRON)


def test_unset_variable_is_located(bench: Workbench) -> None:
    found = bench.problems(BUNDLE.replace("out", "${NO}/out"))
    text = "the variable NO is not set; set it or write ${NO:-default}"
    assert found == [f"c.yaml:3:5: bundles.web.directory: {text}"]


def test_template_text_is_left_alone(bench: Workbench) -> None:
    config = bench.load(BUNDLE.replace("content: hello", "content: '${NO} $${A}'"))
    assert config.settings.bundles["web"].templates[0].content == "${NO} $${A}"


def test_keys_are_left_alone(bench: Workbench) -> None:
    found = bench.problems(BUNDLE + "log: {'${A}': info}\n", _ENVIRON)
    assert found == ["c.yaml:6:7: log.${A}: unknown key; there is format, level"]


@pytest.mark.parametrize(("text", "keep"), [("${KEEP}", 7), ("${NO:-3}", 3)])
def test_reference_may_stand_for_a_number(bench: Workbench, text: str, keep: int) -> None:
    config = bench.load(BUNDLE + f"    keep: {text}\n", {"KEEP": "7"})
    assert config.settings.bundles["web"].keep == keep


def test_reference_may_stand_for_true_or_false(bench: Workbench) -> None:
    config = bench.load("sources: {c: {type: consul, tls: {verify: '${V:-false}'}}}\n" + BUNDLE)
    assert "verify=False" in repr(config.settings.sources["c"])


def test_unset_variable_matters_not_where_the_environment_overrides(bench: Workbench) -> None:
    config = bench.load(BUNDLE.replace("out", "${NO}"), {"CONFCAR_BUNDLES__WEB__DIRECTORY": "other"})
    assert config.settings.bundles["web"].directory == bench.folder / "other"


def test_value_of_a_variable_is_never_shown(bench: Workbench) -> None:
    text = BUNDLE + "    splay: ${S}\nadmin: {listen: '${S}'}\nlog: {level: '${S}'}\n"
    found = bench.problems(text, {"S": "hunter2"})
    assert len(found) == 3
    assert "hunter2" not in "".join(found)
