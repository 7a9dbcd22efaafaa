"""What `for_each` refuses: lists that are none, destinations that data must not choose, and how it is said."""

from __future__ import annotations

import pytest

from confcar.errors import TemplateError
from confcar.log import Redactor
from confcar.model import Dependency
from confcar.rendering.items import MOST_ITEMS
from tests.unit.rendering.for_each_bench import SITES, each, refusal, rendered, sites, texts
from tests.unit.rendering.workbench import PASSWORD, inline, key, renderer_for, secret, view_of


def test_two_items_with_one_destination_are_named() -> None:
    options = each("{{ ls('sites') }}", "x", "{{ item.value }}.conf")
    assert refusal(options, {SITES: sites(a="1", b="1")}) == (
        "item 'a' of content of {{ item.value }}.conf and item 'b' of content of {{ item.value }}.conf"
        " have the same destination '1.conf'"
    )


def test_collision_is_told_until_it_is_gone() -> None:
    renderer = renderer_for([each("{{ ls('sites') }}", "x", "{{ item.value }}.conf")])
    for touched in (None, frozenset[Dependency](), frozenset({SITES})):
        with pytest.raises(TemplateError, match="same destination"):
            renderer.render(view_of({SITES: sites(a="1", b="1")}), touched)
    assert list(texts(renderer.render(view_of({SITES: sites(a="1", b="2")}), frozenset({SITES})))) == [
        "1.conf",
        "2.conf",
    ]


def test_item_with_the_destination_of_another_template_is_named() -> None:
    renderer = renderer_for([*inline("x"), each("{{ ['file-0', 'file-0/x'] }}", "x", "{{ item }}")])
    with pytest.raises(TemplateError) as caught:
        renderer.render({}, None)
    assert str(caught.value).splitlines() == [
        "content of file-0 and item 1 of content of {{ item }} have the same destination 'file-0'",
        "item 2 of content of {{ item }} has the destination 'file-0/x', below 'file-0' of content of file-0",
    ]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("../up", "it must be a plain path without empty, . or .. parts"),
        ("a/../../b", "it must be a plain path without empty, . or .. parts"),
        ("", "it must be a plain path without empty, . or .. parts"),
        ("/etc/passwd", "only the config can say that it is absolute, with a / as its first character"),
        ("..data", "names that begin with .. are confcar's own there"),
        ("a\\nb", "it holds control characters"),
        ("a" * 256, "a name in it is longer than 255 bytes"),
    ],
)
def test_item_that_would_leave_the_directory_is_refused(item: str, words: str) -> None:
    found = refusal(each(f'{{{{ ["ok", "{item}"] }}}}', "x", "{{ item }}"))
    assert found.startswith("content of {{ item }}: the destination ")
    assert found.endswith(f" of item 2 is refused: {words}")


def test_absolute_destination_cannot_be_left_either() -> None:
    options = each("{{ ['../passwd'] }}", "x", "/etc/app/{{ item }}")
    assert "plain path" in refusal(options)
    assert "confcar's own" in refusal(each("{{ ['..data'] }}", "x", "/etc/app/{{ item }}"))
    assert texts(rendered(each("{{ ['a'] }}", "x", "/etc/app/{{ item }}"))) == {"/etc/app/a": "x"}


@pytest.mark.parametrize(
    ("for_each", "words"),
    [
        ("{{ key('text') }}", "for_each must give a list or a mapping, not text; split, from_json or from_yaml makes"),
        ("{{ 1 }}", "for_each must give a list or a mapping in {{ 1 }}"),
        ("{{ none }}", "for_each must give a list or a mapping in {{ none }}"),
        ("{{ nope }}", "'nope' is undefined in {{ nope }}"),
        ("{{ [nope] }}", "'nope' is undefined in {{ [nope] }}"),
        ("{{ secret('s').nope }}", "'nope' is undefined in {{ secret('s').nope }}"),
        ("{{ 1 // 0 }}", "division by zero in {{ 1 // 0 }}"),
        (f"{{{{ range({MOST_ITEMS + 1}) }}}}", f"for_each gives more than {MOST_ITEMS} items"),
    ],
)
def test_what_is_no_list_is_told_with_its_expression(for_each: str, words: str) -> None:
    found = refusal(each(for_each, "x", "{{ item }}"), {key("text"): "a,b", secret("s"): {"a": "b"}})
    assert found.startswith(f"for_each of {{{{ item }}}}:1: {words}")


@pytest.mark.parametrize(
    ("for_each", "destination", "words"),
    [
        ("{{ a }}{{ b }}", "{{ item }}", "for_each of {{ item }}: for_each is one expression between {{ and }}"),
        ("{{ a }} {# c #}{{ b }}", "{{ item }}", "for_each of {{ item }}: for_each is one expression"),
        ("{{ ls('a' }}", "{{ item }}", "for_each of {{ item }}:1: unexpected '}'"),
        ("{{ ls('a') | nope }}", "{{ item }}", "for_each of {{ item }}:1: there is no filter 'nope'"),
        ("{{ ls('a', 'b') }}", "{{ item }}", "for_each of {{ item }}:1: ls() takes one plain argument"),
        ("{{ ls('a') }}", "{{ item | nope }}", "destination {{ item | nope }}:1: there is no filter 'nope'"),
        ("{{ ls('a') }}", "{{ item", "destination {{ item:1: unexpected end of template"),
    ],
)
def test_what_does_not_compile_is_told_before_any_data_is_read(for_each: str, destination: str, words: str) -> None:
    with pytest.raises(TemplateError) as caught:
        renderer_for([each(for_each, "x", destination)])
    assert str(caught.value).startswith(words)


def test_fault_in_the_destination_names_it() -> None:
    found = refusal(each("{{ ['a'] }}", "x", "s/{{ item.nope }}"))
    assert found == "destination s/{{ item.nope }}:1: 'nope' is undefined in {{ item.nope }}"


def test_no_secret_stands_in_a_message_about_items() -> None:
    redactor = Redactor()
    renderer = renderer_for([each("{{ secret('s').names }}", "x", "../{{ item }}")], redactor=redactor)
    with pytest.raises(TemplateError) as caught:
        renderer.render(view_of({secret("s"): {"names": [PASSWORD]}}), None)
    assert PASSWORD not in str(caught.value)
