"""What templates get of a catalogue, and what tells two calls apart."""

from __future__ import annotations

import pytest

from confcar.errors import TemplateError
from confcar.model import Dependency
from confcar.rendering.catalog import SourceCatalog
from tests.unit.rendering.workbench import dependency, inline, key, render, renderer_for, text_of

WEB = dependency("service", "web")
INSTANCES = (
    {"node": "n1", "address": "10.0.0.1", "port": 80, "tags": ("a", "b"), "meta": {"items": "3"}, "status": "passing"},
    {"node": "n2", "address": "10.0.0.2", "port": 81, "tags": (), "meta": {}, "status": "warning"},
)


def wanted_by(template: str) -> set[Dependency]:
    return set(renderer_for(inline(template)).dependencies)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param(
            "{% for i in service('web') %}{{ i.node }}={{ i.address }}:{{ i.port }} {% endfor %}",
            "n1=10.0.0.1:80 n2=10.0.0.2:81 ",
            id="attributes",
        ),
        pytest.param("{{ service('web')[0].tags | join(',') }}", "a,b", id="a list inside"),
        pytest.param("{{ service('web')[0].meta.items }}", "3", id="fields before methods"),
        pytest.param("{{ service('web') | map(attribute='port') | join(' ') }}", "80 81", id="map"),
        pytest.param("{{ service('web') | selectattr('status', 'eq', 'warning') | list | length }}", "1", id="select"),
        pytest.param(
            "{{ service('web') | sort(attribute='port', reverse=true) | map(attribute='node') | first }}",
            "n2",
            id="sort",
        ),
        pytest.param(
            "{% for s, all in service('web') | groupby('status') %}{{ s }}{{ all | length }}{% endfor %}",
            "passing1warning1",
            id="group",
        ),
        pytest.param(
            "{{ service('web')[1] | to_json }}",
            '{"node": "n2", "address": "10.0.0.2", "port": 81, "tags": [], "meta": {}, "status": "warning"}',
            id="whole as json",
        ),
    ],
)
def test_instances_are_used_like_other_values(template: str, expected: str) -> None:
    assert text_of(render(template, {WEB: INSTANCES})) == expected


def test_an_empty_list_is_a_value() -> None:
    assert text_of(render("[{% for i in service('web') %}x{% else %}none{% endfor %}]", {WEB: ()})) == "[none]"


def test_names_and_lists_of_the_other_functions() -> None:
    values: dict[Dependency, object] = {
        dependency("services", ""): ({"name": "api", "tags": ("v1",)}, {"name": "web", "tags": ()}),
        dependency("nodes", ""): ({"name": "n1", "address": "10.0.0.1"},),
        dependency("datacenters", ""): ("dc1", "dc2"),
    }
    template = (
        "{{ services() | map(attribute='name') | join('+') }} {{ nodes()[0].name }} {{ datacenters() | join(' ') }}"
    )
    assert text_of(render(template, values)) == "api+web n1 dc1 dc2"


@pytest.mark.parametrize("template", ["{{ service('web') }}", "{{ service('web')[0] }}", "{{ nodes() }}"])
def test_an_item_cannot_be_written_as_a_whole(template: str) -> None:
    with pytest.raises(TemplateError, match="cannot be written as a whole"):
        render(template, {WEB: INSTANCES, dependency("nodes", ""): INSTANCES})


@pytest.mark.parametrize("name", ["service('web')", "services()", "nodes()", "datacenters()"])
def test_what_was_not_read_yet_is_missing(name: str) -> None:
    rendering = render("{% for x in " + name + " %}{{ x.name }}{% endfor %}")
    assert [one.function for one in rendering.missing] == [name.partition("(")[0]]


@pytest.mark.parametrize(
    "call",
    [
        "service('web', tag='a')",
        "service('web', tag=['a', 'b'])",
        "service('web', tag='b')",
        "service('web', dc='dc2')",
        "service('web', near='_agent')",
        "service('web', near='n2')",
        "service('web', status='any')",
        "service('web', status='warning')",
        "service('web', status=['warning'])",
        "service('web', status='critical')",
        "service('api')",
        "services()",
        "services(dc='dc2')",
        "nodes()",
        "nodes(dc='dc2')",
        "datacenters()",
        "key('web')",
        "key('web', dc='dc2')",
        "ls('web')",
        "ls('web', dc='dc2')",
        "tree('web', dc='dc2')",
    ],
)
def test_every_option_that_selects_makes_a_dependency_of_its_own(call: str) -> None:
    (plain,) = wanted_by("{{ " + call + " | length }}")
    assert plain != WEB
    assert plain.path in {"web", "api", ""}
    others = wanted_by("{{ service('web') }}{{ " + call + " | length }}")
    assert others == {WEB, plain}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("service('web')", "service('web', status='passing', dc=none, tag=none)"),
        ("service('web', status='any')", "service('web', status=['critical', 'maintenance', 'passing', 'warning'])"),
        ("service('web', status='warning')", "service('web', status='warning, passing')"),
        ("service('web', tag=['a', 'b'])", "service('web', tag=('b', 'a', 'b'))"),
        ("key('a', dc='x')", "key_exists('a', dc='x')"),
    ],
)
def test_two_ways_to_write_one_selection_are_one_dependency(one: str, other: str) -> None:
    assert len(wanted_by("{{ " + one + " }}{{ " + other + " }}")) == 1


def test_options_from_loops_and_variables_are_found_before_any_render() -> None:
    template = (
        "{% set dc = 'dc2' %}{% for t in ['a', 'b'] %}{{ service('web', tag=t, dc=dc) }}{% endfor %}"
        "{{ service('api', status=['passing', 'critical']) }}"
    )
    assert wanted_by(template) == {
        Dependency("consul", "service", "web", (("dc", "dc2"), ("tag", "a"))),
        Dependency("consul", "service", "web", (("dc", "dc2"), ("tag", "b"))),
        Dependency("consul", "service", "api", (("status", "critical"), ("status", "passing"))),
    }


def test_an_option_that_depends_on_data_waits_for_it() -> None:
    template = "{{ service('web', tag=[key('tag')], dc=key('dc')) | length }}"
    assert wanted_by(template) == {key("tag"), key("dc")}
    assert {one.function for one in render(template).missing} == {"key"}
    found = render(template, {key("tag"): "a", key("dc"): "x"})
    assert found.missing[0].path == "web"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        pytest.param("service()", "takes one plain argument, its name", id="no name"),
        pytest.param("services('web')", "takes no plain argument; by name it takes dc=, source=", id="a name too many"),
        pytest.param("datacenters(dc='x')", "has no such option; it takes source=", id="no dc"),
        pytest.param("service('web', stat='any')", "did you mean 'status'", id="misspelt"),
        pytest.param(
            "service('web', status='healthy')", "status must be any, or of passing, warning", id="no such state"
        ),
        pytest.param("service('web', status=[])", "status must be text that is not empty or a list", id="no state"),
        pytest.param("service('web', tag='')", "tag must be text that is not empty or a list of them", id="empty tag"),
        pytest.param("service('web', dc=1)", "dc must be text that is not empty", id="dc no text"),
        pytest.param("key('a', dc='')", "dc must be text that is not empty", id="empty dc"),
        pytest.param("service('web', near='a\\nb')", "near must be text", id="control"),
        pytest.param("service('../x')", "has an empty, . or .. part", id="leading out"),
    ],
)
def test_a_call_that_cannot_be_served_says_why(call: str, words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        renderer_for(inline("{{ " + call + " }}"))


@pytest.mark.parametrize("name", ["service", "services", "nodes", "datacenters"])
def test_without_a_consul_source_the_error_says_what_to_add(name: str) -> None:
    catalog = SourceCatalog([("local", frozenset({"key", "ls", "tree"}))])
    with pytest.raises(TemplateError, match=rf"serves {name}\(\); it has local; give it one of type consul"):
        catalog.resolve(name, None)  # type: ignore[arg-type]  # a kind, as text
    with pytest.raises(TemplateError, match="the source local cannot serve"):
        catalog.resolve(name, "local")  # type: ignore[arg-type]  # a kind, as text
