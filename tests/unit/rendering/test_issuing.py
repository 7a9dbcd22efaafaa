"""Credentials are asked for by the render that reaches them, never by the text of a template alone."""

from __future__ import annotations

import pytest

from confcar.config.bundles import TemplateOptions
from confcar.errors import TemplateError
from confcar.log import Redactor
from confcar.model import BY_READING, Dependency, Reading
from confcar.rendering.renderer import Rendering
from confcar.store import Answer
from tests.unit.rendering.workbench import inline, key, render, renderer_for, secret, text_of, view_of

CREDS = secret("database/creds/web")
READ_CREDS = Dependency("vault", "issue", "database/creds/web", BY_READING)
DYNAMIC = Answer(Reading(None, is_dynamic=True))


def issue(path: str, **params: str | int | bool) -> Dependency:
    return Dependency("vault", "issue", path, tuple(sorted(params.items())))


def leased(until: float | None = None, **fields: object) -> Answer:
    return Answer(Reading(fields, leased_until=until))


def reasons(rendering: Rendering) -> list[str]:
    return [missing.reason for missing in rendering.missing]


def test_issue_is_not_found_by_the_text_but_by_the_render() -> None:
    renderer = renderer_for(inline("{{ issue('pki/issue/web', common_name='a.example').certificate }}"))
    assert renderer.dependencies == frozenset()

    rendering = renderer.render({}, None)

    assert reasons(rendering) == ["not issued yet"]
    assert renderer.dependencies == {issue("pki/issue/web", common_name="a.example")}


def test_branch_that_is_not_taken_asks_for_no_credential() -> None:
    template = "{% if key('tls') == 'on' %}{{ issue('pki/issue/web').certificate }}{% endif %}plain"
    renderer = renderer_for(inline(template))

    assert text_of(renderer.render(view_of({key("tls"): "off"}), None)) == "plain"
    assert renderer.dependencies == {key("tls")}


def test_secret_of_a_dynamic_engine_becomes_an_issue_when_a_render_reaches_it() -> None:
    renderer = renderer_for(inline("{{ secret('database/creds/web').username }}"))
    assert renderer.dependencies == {CREDS}

    assert reasons(renderer.render({CREDS: DYNAMIC}, None)) == ["not issued yet"]
    assert renderer.dependencies == {CREDS, READ_CREDS}

    known = {CREDS: DYNAMIC, READ_CREDS: leased(username="v-web-1")}
    assert text_of(renderer.render(known, frozenset({READ_CREDS}))) == "v-web-1"
    assert renderer.dependencies == {CREDS, READ_CREDS}


def test_reading_and_writing_the_same_path_are_two_things() -> None:
    renderer = renderer_for(inline("{{ secret('database/creds/web').a }}{{ issue('database/creds/web').a }}"))
    renderer.render({CREDS: DYNAMIC}, None)

    assert renderer.dependencies == {CREDS, READ_CREDS, issue("database/creds/web")}


def test_three_files_with_the_same_parameters_share_one_issue() -> None:
    fields = ("certificate", "private_key", "issuing_ca")
    renderer = renderer_for(inline(*(f"{{{{ issue('pki/issue/web', ttl='1h', cn='a').{each} }}}}" for each in fields)))
    renderer.render({}, None)

    assert renderer.dependencies == {issue("pki/issue/web", cn="a", ttl="1h")}


def test_parameters_are_text_numbers_truth_and_lists_joined_by_commas() -> None:
    template = "{{ issue('a/b', s='x', n=3, b=true, l=['c', 'd', 1, true]).f }}"
    renderer = renderer_for(inline(template))
    renderer.render({}, None)

    (found,) = renderer.dependencies
    assert found.params == (("b", True), ("l", "c,d,1,true"), ("n", 3), ("s", "x"))


def test_parameter_named_version_or_field_goes_to_the_source_as_it_is() -> None:
    renderer = renderer_for(inline("{{ issue('a/b', version='two', field=3).f }}"))
    renderer.render({}, None)

    assert renderer.dependencies == {issue("a/b", field=3, version="two")}


@pytest.mark.parametrize("value", ["1.5", "{'a': 1}", "none", "[1.5]", "[['a']]"])
def test_parameter_that_cannot_be_sent_is_an_error_of_the_template(value: str) -> None:
    with pytest.raises(TemplateError, match="ttl must be text, a whole number, true or false, or a list of these"):
        renderer_for(inline(f"{{{{ issue('a/b', ttl={value}).f }}}}")).render({}, None)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        pytest.param("issue()", "issue.. takes one plain argument, its path", id="no path"),
        pytest.param("issue('a', 'b')", "issue.. takes one plain argument, its path", id="two paths"),
        pytest.param("issue('a/../b')", "an empty, . or .. part", id="leads elsewhere"),
        pytest.param("issue('a', **{'(by reading)': true})", "no such option", id="a name that is none"),
        pytest.param("issue('a', cn=nothing)", "'nothing' is undefined", id="an undefined parameter"),
        pytest.param("issue('a', cn=[nothing])", "'nothing' is undefined", id="an undefined parameter in a list"),
        pytest.param("issue('a', source='consul')", "consul cannot serve issue", id="a source that cannot"),
    ],
)
def test_call_that_can_never_be_served_says_why(call: str, words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        renderer_for(inline(f"{{{{ {call} }}}}")).render({}, None)


def test_parameter_made_of_missing_data_waits_for_it_and_issues_nothing() -> None:
    renderer = renderer_for(inline("{{ issue('pki/issue/web', common_name=key('host')).certificate }}"))

    assert [each.function for each in renderer.render({}, None).missing] == ["key"]
    assert renderer.dependencies == {key("host")}

    renderer.render(view_of({key("host"): "a.example"}), None)
    assert issue("pki/issue/web", common_name="a.example") in renderer.dependencies


def test_why_nothing_is_issued_stands_in_what_is_missing() -> None:
    refused = Answer(error=TemplateError("denied, its policy needs a line"))
    rendering = renderer_for(inline("{{ issue('a/b').f }}")).render({issue("a/b"): refused}, None)

    assert reasons(rendering) == ["denied, its policy needs a line"]


def test_file_knows_when_its_first_lease_ends() -> None:
    template = "{{ issue('a/b').f }}{{ issue('c/d').f }}{{ secret('secret/app').f }}"
    known = {issue("a/b"): leased(200.0, f=1), issue("c/d"): leased(100.0, f=2), secret("secret/app"): leased(f=3)}
    renderer = renderer_for([*inline(template), *inline("plain", "{{ secret('secret/app').f }}")[1:]])

    files = renderer.render(known, None).files

    assert [file.leased_until for file in files] == [100.0, None]


def test_values_of_an_issue_are_learnt_as_secrets_however_deep() -> None:
    redactor = Redactor()
    renderer = renderer_for(inline("{{ issue('a/b').data.parts[0].token }}"), redactor=redactor)
    rendering = renderer.render({issue("a/b"): leased(data={"parts": [{"token": "deep-secret"}]})}, None)

    assert rendering.files[0].secret
    assert redactor.mask("it is deep-secret") == "it is ********"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        pytest.param("{{ secret('database/creds/web').password }}", "<dynamic>", id="field"),
        pytest.param("{{ secret('database/creds/web', field='password') }}", "<dynamic>", id="by option"),
        pytest.param("{{ secret('database/creds/web').items }}", "<dynamic>", id="named like a method"),
        pytest.param("{{ secret('database/creds/web').a.b.c }}", "<dynamic>", id="nested"),
        pytest.param("{{ secret('database/creds/web').chain | join('+') }}", "<dynamic>", id="list"),
        pytest.param("{{ secret('database/creds/web').a | upper }}", "<DYNAMIC>", id="filtered"),
        pytest.param("{{ secret('database/creds/web') | to_json }}", '{"<dynamic>": "<dynamic>"}', id="whole"),
    ],
)
def test_preview_shows_in_place_of_a_credential_that_it_is_dynamic(template: str, text: str) -> None:
    rendering = render(template, {CREDS: DYNAMIC, READ_CREDS: DYNAMIC})

    assert text_of(rendering) == text
    assert rendering.files[0].secret


def test_files_of_a_list_that_was_issued_know_when_its_lease_ends_and_files_share_one_issue() -> None:
    options = TemplateOptions(
        content="{{ item }} {{ issue('c/d').f }}", destination="{{ item }}", for_each="{{ issue('a/b').names }}"
    )
    renderer = renderer_for([options])
    assert reasons(renderer.render({}, None)) == ["not issued yet"]
    known = {issue("a/b"): leased(100.0, names=["x", "y"])}
    assert reasons(renderer.render(known, None)) == ["not issued yet"]
    known |= {issue("c/d"): leased(200.0, f=1)}

    files = renderer.render(known, None).files

    assert [(file.destination, file.leased_until, file.secret) for file in files] == [
        ("x", 100.0, True),
        ("y", 100.0, True),
    ]
    assert renderer.dependencies == {issue("a/b"), issue("c/d")}
