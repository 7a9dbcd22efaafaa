"""The pages on migrating: each row of their tables gives the same bytes as the peer, and so do the peers' examples."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT
from tests.integration.peers import Place, numbered, parts, ported, rows, tags_of
from tests.servers.consul import ConsulServer
from tests.servers.obtain import built_version
from tests.servers.openbao import OpenBaoServer

FROM_CONSUL_TEMPLATE = DOCS / "how-to" / "migrate-from-consul-template.md"
FROM_AGENT = DOCS / "how-to" / "migrate-from-vault-agent.md"
FROM_CONFD = DOCS / "how-to" / "migrate-from-confd.md"
CONFD = f"github.com/abtreece/confd@v{built_version('confd')}"
CONFDS_STORE = "github.com/kelseyhightower/memkv@v0.1.1"
CONSUL_TEMPLATE = f"github.com/hashicorp/consul-template@v{built_version('consul-template')}"
# What becomes of the tags in the examples of consul-template's documentation, one after the other.
TAGS = {
    "services": [
        "{% for each in services() %}",
        "{{ each.name }}",
        "{% for instance in service(each.name) %}",
        "{{ instance.address }}",
        "{% endfor %}",
        "{% endfor %}",
    ],
    "varnish": [
        '{% for x in service("consul") %}',
        "{{ x.name }}",
        "{{ x.id }}",
        "{{ x.address }}",
        "{{ x.port }}",
        "{% endfor %}",
        '{% for x in service("consul") %}',
        "{{ x.name }}",
        "{{ x.id }}",
        "{% endfor %}",
    ],
    "apache": [
        '{% for tag in service("web") | map(attribute="tags") | sum(start=[]) | unique(true) | sort(false, true) %}',
        "{{ tag }}",
        "{{ tag }}",
        '{% for x in service("web") if tag in x.tags %}',
        "{{ x.address }}",
        "{{ x.port }}",
        "{% endfor %}",
        *["{{ tag }}"] * 6,
        "{% endfor %}",
    ],
    "nginx": [
        "{% for each in services() %}",
        "{% set name = each.name %}",
        "{% set instances = service(each.name) %}",
        *["{{ name }}"] * 2,
        "{% for x in instances %}",
        "{{ x.address }}",
        "{{ x.port }}",
        "{% else %}",
        "{% endfor %}",
        "{% endfor %}",
        "{% for each in services() %}",
        "{% set name = each.name %}",
        *["{{ name }}"] * 2,
        "{% endfor %}",
    ],
}

KEYS = {
    "app/name": "shop",
    "app/port": "8080",
    "app/hosts": "b.example,a.example",
    "app/text": "line one\nline two",
    "app/json": '{"name": "ann", "roles": ["a", "b"]}',
    "app/list": '["x", "y"]',
    "app/yaml": "name: ann\n",
    "config/db/host": "db1",
    "config/db/port": "5432",
    "config/log/level": "info",
    "myapp/subdomain": "myapp",
    "myapp/upstream/app1": "10.0.1.101:80",
    "myapp/upstream/app2": "10.0.1.100:80",
    "overrides/log/level": "debug",
    "sites/a.example": "root-a",
    "sites/b.example": "root-b",
    "service/haproxy/maxconn": "4",
    "service/haproxy/mode": "http",
    "service/haproxy/timeouts/client": "50000ms",
    "service/haproxy/timeouts/connect": "5000ms",
}


@pytest.fixture(scope="module")
def place(consul_program: Path, openbao_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Give a Consul and an OpenBao with the data that the pages read, and nothing else."""
    folder = tmp_path_factory.mktemp("peers")
    with (
        ConsulServer(folder / "consul", consul_program) as consul,
        OpenBaoServer(folder / "openbao", openbao_program) as openbao,
    ):
        consul.put_many(KEYS)
        for number, zone in ((1, "b"), (2, "a"), (3, "b")):
            consul.register(
                f"n{number}",
                "web",
                ID=f"web-{number}",
                Address=f"10.0.0.{number}",
                Port=8080 + number % 2,
                Tags=["release", "blue"] if number < 3 else ["release"],
                Meta={"weight": str(number), "zone": zone},
            )
        consul.register("n4", "web", ID="web-4", Port=8080, status="warning", Meta={"zone": "c"})
        consul.register("n4", "api", ID="api-1", Port=9090, Tags=["v1"])
        openbao.put_kv("app", {"user": "first", "password": "correct-horse-battery"})
        openbao.put_kv("app", {"user": "second", "password": "correct-horse-battery"})
        openbao.put_kv("mail", {"password": "tr0ub4dor"})
        openbao.mount("pki", "pki")
        openbao.write("pki/root/generate/internal", {"common_name": "test CA", "ttl": "24h"})
        openbao.write("pki/roles/web", {"allow_any_name": True, "ttl": "1h"})
        yield Place(folder / "rendered", consul, openbao)


def different(page: Path, theirs: Callable[[str], str], ours: Callable[[str], str]) -> list[tuple[str, str, str]]:
    """Return the rows that promise the same bytes and do not keep it, with what both gave."""
    run = [row for row in rows(page) if row.is_run]
    assert run
    given = parts(theirs(numbered([row.theirs for row in run])))
    got = parts(ours(numbered([row.ours for row in run])))
    assert len(given) == len(got) == len(run)
    return [
        (row.theirs, one, other)
        for row, one, other in zip(run, given, got, strict=True)
        if (one != other if row.is_same else not other)
    ]


def test_each_row_for_consul_template_gives_the_same_bytes(place: Place, consul_template_program: Path) -> None:
    def theirs(template: str) -> str:
        return place.by_consul_template(consul_template_program, template)

    assert different(FROM_CONSUL_TEMPLATE, theirs, place.by_confcar) == []


def test_the_page_has_every_function_of_consul_template(module_sources: Callable[[str], Path]) -> None:
    source = (module_sources(CONSUL_TEMPLATE) / "template" / "template.go").read_text()
    known = set(re.findall(r'^\t\t"(\w+)": ', source, re.MULTILINE))
    assert {"key", "spew_dump"} <= known
    named = {word for row in rows(FROM_CONSUL_TEMPLATE) for word in re.findall(r"[A-Za-z_]\w+", row.theirs)}
    assert known - named == set()


def test_the_pages_name_the_versions_that_they_are_compared_with() -> None:
    assert f"consul-template {built_version('consul-template')} renders" in FROM_CONSUL_TEMPLATE.read_text()
    assert f"consul-template is {built_version('consul-template')}" in (ROOT / "README.md").read_text()
    assert f"confd of the tests is {built_version('confd')}" in " ".join(FROM_CONFD.read_text().split())


@pytest.mark.parametrize("name", ["haproxy", *TAGS])
def test_an_example_of_consul_templates_documentation_gives_the_same_bytes(
    name: str, place: Place, consul_template_program: Path, module_sources: Callable[[str], Path]
) -> None:
    page = (module_sources(CONSUL_TEMPLATE) / "examples" / f"{name}.md").read_text()
    theirs = re.findall(r"^```liquid\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)[0]
    tags = TAGS.get(name) or [ours for _, ours in tags_of(FROM_CONSUL_TEMPLATE)]
    rendered = place.by_consul_template(consul_template_program, theirs)
    assert "10.0.0.1" in rendered or name == "varnish"
    assert place.by_confcar(ported(theirs, tags)) == rendered


def test_the_tags_on_the_page_are_those_of_the_example(module_sources: Callable[[str], Path]) -> None:
    example = (module_sources(CONSUL_TEMPLATE) / "examples" / "haproxy.md").read_text().partition("```shell")[0]
    assert re.findall(r"\{\{.*?\}\}", example) == [theirs for theirs, _ in tags_of(FROM_CONSUL_TEMPLATE)]


def test_the_config_in_consul_templates_documentation_gives_the_same_bytes(
    place: Place, consul_template_program: Path, module_sources: Callable[[str], Path]
) -> None:
    page = (module_sources(CONSUL_TEMPLATE) / "docs" / "configuration.md").read_text().partition("\n### Example\n")[2]
    config = re.findall(r"^```hcl\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)[0]
    assert 'contents = "{{key \\"hello\\"}}"' in config
    place.consul.put("hello", "a value\nof two lines\n")
    rendered = place.by_config_of_consul_template(consul_template_program, config, destination="out.txt")
    assert place.by_confcar('{{ key("hello") }}') == rendered


def test_each_row_for_the_agent_gives_the_same_bytes(place: Place, openbao_program: Path) -> None:
    assert different(FROM_AGENT, lambda template: place.by_agent(openbao_program, template), place.by_confcar) == []


def test_each_row_for_confd_gives_the_same_bytes(place: Place, confd_program: Path) -> None:
    assert different(FROM_CONFD, lambda template: place.by_confd(confd_program, template), place.by_confcar) == []


def test_the_page_has_every_function_of_confd(module_sources: Callable[[str], Path]) -> None:
    folder = module_sources(CONFD) / "pkg" / "template"
    source = "".join(path.read_text() for path in folder.glob("*.go") if not path.name.endswith("_test.go"))
    known = set(re.findall(r'\bm\["(\w+)"\] = ', source))
    known |= set(re.findall(r'^\t\t"(\w+)": ', (module_sources(CONFDS_STORE) / "store.go").read_text(), re.MULTILINE))
    assert {"getv", "lookupSRV"} <= known
    named = {word for row in rows(FROM_CONFD) for word in re.findall(r"[A-Za-z]\w+", row.theirs)}
    assert known - named == set()


def test_the_example_of_confds_documentation_gives_the_same_bytes(
    place: Place, confd_program: Path, module_sources: Callable[[str], Path]
) -> None:
    page = (module_sources(CONFD) / "docs" / "quick-start-guide.md").read_text()
    theirs = re.findall(r"^```\n(upstream .*?)^```$", page, re.DOTALL | re.MULTILINE)[0]
    tags = tags_of(FROM_CONFD)
    assert re.findall(r"\{\{.*?\}\}", theirs) == [there for there, _ in tags]
    resource = 'prefix = "/myapp"\nkeys = ["/subdomain", "/upstream"]'
    rendered = place.by_confd(confd_program, theirs, resource=resource)
    assert "server 10.0.1.100:80;" in rendered
    assert place.by_confcar(ported(theirs, [here for _, here in tags])) == rendered
