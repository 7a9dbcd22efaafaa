"""What a bundle's collector renders, what it waits for, and what it says about why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from confcar.errors import (
    MissingDataError,
    SourceDataError,
    SourceDeniedError,
    SourceUnavailableError,
    TemplateError,
)
from confcar.model import ABSENT, Dependency, Reading
from confcar.pipeline.collecting import Collector, PendingError
from confcar.pipeline.inbox import Inbox
from confcar.store import Listener, Store, View
from tests.unit.rendering.workbench import inline, key, renderer_for


@dataclass
class Feed:
    """A store that is written to by the test."""

    store: Store = field(default_factory=Store)
    wanted: list[frozenset[Dependency]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def want(self, reader: str, dependencies: frozenset[Dependency], listener: Listener) -> None:
        self.wanted.append(dependencies)
        self.store.subscribe(reader, dependencies, listener)

    def take(self, reader: str) -> tuple[frozenset[Dependency], View]:
        return self.store.take(reader)

    def lease_ends(self, reader: str) -> Mapping[Dependency, float]:
        return self.store.lease_ends(reader)

    def published(self, reader: str) -> None:
        self.said.append(f"{reader} published")

    def settled(self, reader: str) -> None:
        self.said.append(f"{reader} settled")

    def put(self, **values: str | None) -> None:
        self.store.put({key(path): _reading(value) for path, value in values.items()})

    def fail(self, **errors: Exception) -> None:
        self.store.fail({key(path): error for path, error in errors.items()})


def _reading(value: str | None) -> Reading:
    return ABSENT if value is None else Reading(value.encode())


class Bench:
    def __init__(self, *texts: str) -> None:
        self.feed = Feed()
        self.inbox = Inbox()
        self.renderer = renderer_for(inline(*texts), config_directory=Path("/nonexistent"))
        self.collector = Collector("web", self.renderer, self.feed, self.inbox)
        self.collector.start()

    def contents(self) -> list[str]:
        return [file.content.decode() for file in self.collector.render().files]

    def pending(self) -> PendingError:
        with pytest.raises(PendingError) as caught:
            self.collector.render()
        return caught.value


def test_what_the_templates_name_is_wanted_before_the_first_render() -> None:
    assert Bench("{{ key('a') }}", "{{ key('b') }}").feed.wanted == [{key("a"), key("b")}]


def test_a_dependency_that_was_never_answered_holds_the_render_back_and_is_the_sources_fault() -> None:
    bench = Bench("{{ key('a') }}{{ key('b') }}")
    bench.feed.put(a="1")
    pending = bench.pending()
    assert isinstance(pending.cause, SourceUnavailableError)
    assert "key('b')" in str(pending.cause)
    assert (pending.missing, pending.is_final, pending.is_absent) == ((), False, False)


def test_all_data_there_renders_at_once() -> None:
    bench = Bench("{{ key('a') }}", "{{ key('b') }}")
    bench.feed.put(a="1", b="2")
    assert bench.contents() == ["1", "2"]


def test_data_that_is_not_there_is_named_and_confirmed() -> None:
    bench = Bench("{{ key('a') }}\n{{ key('b') }}")
    bench.feed.put(a=None, b="2")
    pending = bench.pending()
    assert isinstance(pending.cause, MissingDataError)
    assert [(item.function, item.path, item.line, item.reason) for item in pending.missing] == [
        ("key", "a", 1, "not found")
    ]
    assert (pending.is_final, pending.is_absent) == (False, True)


@pytest.mark.parametrize(
    ("error", "is_final"),
    [
        pytest.param(SourceUnavailableError("away"), False, id="unavailable"),
        pytest.param(SourceDataError("not UTF-8"), False, id="unusable"),
        pytest.param(SourceDeniedError("no read"), True, id="denied"),
    ],
)
def test_a_sources_error_is_the_cause_and_only_a_denial_is_final(error: Exception, is_final: bool) -> None:  # noqa: FBT001 - a row
    bench = Bench("{{ key('a') }}")
    bench.feed.fail(a=error)
    pending = bench.pending()
    assert pending.cause is error
    assert (pending.is_final, pending.is_absent) == (is_final, False)


def test_a_denial_outweighs_an_outage() -> None:
    bench = Bench("{{ key('a') }}{{ key('b') }}")
    bench.feed.fail(a=SourceUnavailableError("away"), b=SourceDeniedError("no read"))
    assert isinstance(bench.pending().cause, SourceDeniedError)


def test_an_error_of_data_that_the_render_does_not_need_is_not_its_cause() -> None:
    bench = Bench("{% if key('a') == 'on' %}{{ key('b') }}{% endif %}{{ key('c') }}")
    bench.feed.put(a="off", c=None)
    bench.feed.fail(b=SourceDeniedError("no read"))
    pending = bench.pending()
    assert isinstance(pending.cause, MissingDataError)
    assert pending.is_final is False


def test_an_outage_after_the_first_reading_changes_nothing() -> None:
    bench = Bench("{{ key('a') }}")
    bench.feed.put(a="1")
    bench.contents()
    bench.feed.fail(a=SourceUnavailableError("away"))
    assert bench.contents() == ["1"]


def test_only_touched_templates_are_executed_again() -> None:
    bench = Bench("{{ key('a') }}", "{{ key('b') }}")
    bench.feed.put(a="1", b="2")
    assert bench.collector.render().rendered == 2
    bench.feed.put(b="3")
    rendering = bench.collector.render()
    assert (rendering.rendered, [file.content for file in rendering.files]) == (1, [b"1", b"3"])


def test_what_was_touched_is_not_forgotten_while_other_data_is_unanswered() -> None:
    bench = Bench("{{ key('a') }}", "{{ key(key('b')) }}")
    bench.feed.put(a="1", b="c")
    bench.pending()
    bench.feed.put(a="2")
    bench.pending()
    bench.feed.put(c="3")
    assert bench.contents() == ["2", "3"]


def test_what_was_touched_is_not_forgotten_where_a_template_fails() -> None:
    bench = Bench("{{ key('a') }}", "{{ 1 // (key('b') | int) }}")
    bench.feed.put(a="1", b="1")
    bench.contents()
    bench.feed.put(a="2", b="0")
    with pytest.raises(TemplateError):
        bench.collector.render()
    bench.feed.put(b="1")
    assert bench.contents() == ["2", "1"]


def test_what_a_failing_render_reads_is_followed_all_the_same() -> None:
    bench = Bench("{{ 1 // (key('a') | int) }}", "{{ key(key('b')) }}")
    bench.feed.put(a="0", b="c")
    with pytest.raises(TemplateError):
        bench.collector.render()
    assert key("c") in bench.feed.wanted[-1]


def test_dependencies_that_depend_on_data_are_found_level_by_level() -> None:
    bench = Bench("{{ key(key(key('a'))) }}")
    levels: list[Mapping[str, str]] = [{"a": "b"}, {"b": "c"}, {"c": "deep"}]
    for level in levels[:-1]:
        bench.feed.put(**level)
        bench.pending()
    bench.feed.put(**levels[-1])
    assert bench.contents() == ["deep"]


def test_what_is_read_no_more_is_wanted_no_more() -> None:
    bench = Bench("{{ key(key('a')) }}")
    bench.feed.put(a="b")
    bench.pending()
    bench.feed.put(b="1")
    bench.contents()
    bench.feed.put(a="c")
    bench.pending()
    bench.feed.put(c="2")
    bench.contents()
    assert bench.feed.wanted[-1] == {key("a"), key("c")}


def test_the_moment_of_the_oldest_change_is_kept_until_it_is_published() -> None:
    bench = Bench("{{ key('a') }}")
    bench.feed.put(a=None)
    bench.pending()
    first = bench.collector.changed_at
    bench.feed.put(a="1")
    bench.contents()
    assert first is not None
    assert bench.collector.changed_at == first
    bench.collector.published(1)
    assert bench.collector.changed_at is None


def test_a_template_without_data_renders_without_a_source() -> None:
    assert Bench("constant").contents() == ["constant"]


def test_older_data_is_let_go_only_when_the_newest_generation_is_what_the_primary_knows() -> None:
    bench = Bench("plain")
    bench.collector.settled(None)
    bench.collector.published(2)
    bench.collector.settled(1)  # rolled back: what the generation before uses is still in use
    assert [said.split()[1] for said in bench.feed.said] == ["published"]

    bench.collector.settled(2)

    assert [said.split()[1] for said in bench.feed.said] == ["published", "settled"]
