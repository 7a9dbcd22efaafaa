"""`for_each` in the config: what cannot be right is said before any data is read."""

from __future__ import annotations

import pytest

from tests.unit.config.workbench import BUNDLE, Workbench

_TEMPLATE = "- {content: hello, destination: a}"


def with_template(text: str) -> str:
    return BUNDLE.replace(_TEMPLATE, f"- {{content: hello, {text}}}")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("""for_each: "{{ ls('sites') }}", destination: 'sites/{{ item.key }}.conf'""", id="relative"),
        pytest.param("""for_each: ' {{ ["a"] }} ', destination: '/etc/app/{{ item | trim }}'""", id="absolute"),
        pytest.param(
            """for_each: "[[ ls('a') ]]", destination: 's/[[ item.key ]]', delimiters: {variable: ['[[', ']]']}""",
            id="delimiters",
        ),
        pytest.param("""destination: 's/{{ x }}', delimiters: {variable: ['[[', ']]'], block: ['[%', '%]'],"""
                     """ comment: ['[#', '#]']}""", id="braces-in-a-plain-name"),
    ],
)  # fmt: skip
def test_right_ones_are_taken(bench: Workbench, text: str) -> None:
    assert bench.problems(with_template(text)) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "for_each: ls('sites'), destination: 's/{{ item.key }}'",
            'for_each is one expression, such as {{ ls("sites") }}',
            id="no-expression",
        ),
        pytest.param(
            """for_each: "{{ ls('sites') }}", destination: site.conf""",
            "with for_each the destination must name the item, such as sites/{{ item.key }}.conf, or all items had one"
            " file",
            id="one-destination-for-all",
        ),
        pytest.param(
            """for_each: "{{ ls('sites') }}", destination: '{{ items }}'""",
            "with for_each the destination must name the item, such as sites/{{ item.key }}.conf, or all items had one"
            " file",
            id="another-name",
        ),
        pytest.param(
            "destination: 's/{{ item.key }}'",
            "the destination is a template only with for_each; ${VAR} stands for an environment variable",
            id="expression-without-for-each",
        ),
    ],
)
def test_wrong_ones_are_told_with_their_place(bench: Workbench, text: str, problem: str) -> None:
    assert bench.problems(with_template(text)) == [f"c.yaml:5:9: bundles.web.templates.0: {problem}"]


@pytest.mark.parametrize(
    ("destination", "problem"),
    [
        ("{folder}/out/{{ item }}", "lies in the bundle's own directory; write it relative to that"),
        ("{folder}/out/a/b-{{ item }}/c", "lies in the bundle's own directory; write it relative to that"),
        ("{folder}/{{ item }}", "an item's file could lie in the directory of the bundle web; use another folder"),
        ("/{% if item %}a{% endif %}", "an item's file could lie in the directory of the bundle web"),
    ],
)  # fmt: skip
def test_absolute_destination_whose_items_could_get_in_the_way(
    bench: Workbench, destination: str, problem: str
) -> None:
    destination = destination.replace("{folder}", str(bench.folder)).replace("'", "''")
    text = with_template(f"""for_each: "{{{{ ls('s') }}}}", destination: '{destination}'""")
    if "{%" in destination:
        text = text.replace("{% if", "{{ item }}{% if")
    (found,) = bench.problems(text)
    assert f"bundles.web.templates.0.destination: {problem}" in found


def test_absolute_destination_in_a_folder_of_its_own_is_fine(bench: Workbench) -> None:
    text = with_template(f"""for_each: "{{{{ ls('s') }}}}", destination: '{bench.folder}/other/{{{{ item.key }}}}'""")
    assert bench.problems(text) == []


def test_variables_are_expanded_in_both(bench: Workbench) -> None:
    text = with_template("""for_each: "{{ ls('${ROOT}/sites') }}", destination: '${NAME:-web}/{{ item.key }}'""")
    (template,) = bench.load(text, {"ROOT": "eu"}).settings.bundles["web"].templates
    assert (template.for_each, template.destination) == ("{{ ls('eu/sites') }}", "web/{{ item.key }}")
