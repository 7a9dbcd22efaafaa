"""The status page: what stands on it, that nothing breaks out of it, and what a browser may do with it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from confcar.admin.page import HEADERS, render_page
from confcar.admin.server import AdminServer
from confcar.admin.times import in_words
from confcar.model import Missing
from confcar.status import Status
from tests.unit.admin.boards import every_state
from tests.unit.admin.listener import ask

_VOID = {"meta", "link", "br"}


class _Parser(HTMLParser):
    """Collects text, and fails where elements are not nested as they should be."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text.append(data)


def read(status: Status, now: float | None = None) -> tuple[str, _Parser]:
    """Return the page's text with single spaces, and what was parsed."""
    parser = _Parser()
    parser.feed(render_page(status.copy(), "1.2.3", now=now).decode())
    assert parser.open == []
    return " ".join(" ".join(parser.text).split()), parser


def test_every_state_is_named_with_its_reason() -> None:
    text, _ = read(every_state())
    for words in (
        "not ready",
        "6 bundles: 2 published, 1 waiting, 1 pending, 1 refused, 1 failed",
        "Waits for 2 pieces of data",
        "site.j2:3 key('app/port') from local: not found",
        "check of checked refused generation 4",
        "What the check said",
        "nginx: [emerg] unknown directive",
        "Reload pending, tried 3 times",
        "the PID file /run/nginx.pid does not exist",
        "the volume is read-only",
        "has acknowledged generation 6",
        "Generation 13 was refused 31 s ago",
        "verify by http: answered 502",
        "generation 7, ",
        "nothing yet",
        "confcar.yaml:3:5: bundles.web.directry: unknown key",
        "vault",
        "permission denied",
        "Token ttl 59 min 50 s left",
        "Polled 2 queries in turn",
        "not read yet",
    ):
        assert words in text, words


def test_ages_are_counted_from_the_moment_of_asking() -> None:
    status = Status()
    status.add_bundle("web", "/shared/web")
    status.update_bundle("web", generation=1, published_at=1000.0, state="published")
    text, _ = read(status, now=1000.0 + 3 * 3600 + 120)
    assert "generation 1, 3 h 2 min ago" in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5.0, "0 s"),
        (0.4, "0 s"),
        (59.9, "59 s"),
        (60.0, "1 min"),
        (185.0, "3 min 5 s"),
        (3600.0, "1 h"),
        (3605.0, "1 h"),
        (90000.0, "1 d 1 h"),
    ],
)
def test_durations_are_said_in_their_two_largest_units(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_nothing_that_a_source_or_config_says_becomes_markup() -> None:
    evil = '"><script>alert(1)</script><b onclick=x>'
    status = Status()
    status.config_loaded(f"/{evil}")
    status.config_refused(evil)
    status.add_source(evil, evil)
    status.source_failed(evil, evil)
    status.add_bundle(evil, evil)
    status.update_bundle(evil, state="pending", error=evil, missing=(Missing(evil, 1, evil, evil, evil, evil),))
    status.update_reload(evil, pending=True, attempts=1, last_error=evil)
    status.beat(evil, -1.0)
    page = render_page(status.copy(), evil).decode()
    assert page.count("<script>") == 1
    assert "<b onclick" not in page
    read(status)


def test_it_is_complete_and_renews_itself_without_a_script() -> None:
    page = render_page(every_state().copy(), "1").decode()
    assert '<noscript><meta http-equiv="refresh" content="10"></noscript>' in page
    without = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert "Reload pending" in without


def test_the_policy_lets_nothing_run_but_what_stands_in_the_page() -> None:
    policy = dict(HEADERS)["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    _, parsed = read(every_state())
    inline = [name for _, name, _ in parsed.attributes if name == "style" or name.startswith("on")]
    assert inline == [], "the policy would not let them be"


def test_the_listener_serves_it_with_its_policy() -> None:
    server = AdminServer("127.0.0.1:0", every_state(), version="1")
    answer = ask(server.address, "/")
    server.close()
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.body.startswith("<!doctype html>")


def test_before_anything_is_known_it_can_be_read_too() -> None:
    text, _ = read(Status())
    assert "The config has none." in text


def test_the_primary_is_shown_with_how_it_ended_and_what_it_waits_for() -> None:
    text, _ = read(every_state())
    assert "restarting" in text
    assert "Ended last with SIGSEGV" in text
    assert "cannot start app: Permission denied" in text
    assert "Its environment waits for data" in text


def test_without_a_primary_none_is_shown() -> None:
    status = Status()
    status.add_bundle("web", "/shared/web")
    page = render_page(status.copy(), "1").decode()
    assert 'id="the-primary"' not in page
