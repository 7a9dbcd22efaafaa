"""The status page in a real browser: it fits a phone, obeys its own policy, and renews itself."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from confcar.admin.page import render_page
from confcar.admin.server import AdminServer
from confcar.status import Status, StatusCopy
from tests.unit.admin.boards import every_state

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
_IN_CI = bool(os.environ.get("CI") or os.environ.get("CONFCAR_TEST_REQUIRE_SERVERS"))

pytestmark = pytest.mark.timeout(180)


class CountingStatus(Status):
    """A board on which the generation says how often it was looked at."""

    looks: int = 0

    def copy(self) -> StatusCopy:
        """Count, and return what is there."""
        self.looks += 1
        self.update_bundle("web", generation=self.looks)
        return super().copy()


@pytest.fixture
def browser(tmp_path: Path) -> Sequence[str]:
    """Return the command line of a Chromium with a profile of its own."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        if _IN_CI:
            pytest.fail("no Chromium on PATH; install Debian's chromium (it is required here)", pytrace=False)
        pytest.skip("no Chromium on PATH; Debian's package is called chromium")
    return [found, *_QUIET, f"--user-data-dir={tmp_path / 'profile'}"]


def dump(browser: Sequence[str], url: str, *options: str) -> tuple[str, str]:
    """Return the page as it is in the end, and what the browser logged."""
    command = [*browser, "--enable-logging=stderr", "--dump-dom", *options, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, done.stderr


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(browser: Sequence[str], tmp_path: Path, width: int) -> None:
    board = every_state()
    board.update_bundle("web", directory="/shared/" + "long" * 60)
    board.update_reload("web", last_error="x" * 300)
    page = re.sub(r"<script>.*?</script>", "", render_page(board.copy(), "1").decode(), flags=re.DOTALL)
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe id="f" width="{width}" height="900" srcdoc="{html.escape(page)}"></iframe><script>'
        "f.onload = () => { document.title = 'wide ' + f.contentDocument.documentElement.scrollWidth"
        " + ' of ' + f.contentWindow.innerWidth; }</script>"
    )
    text, _ = dump(browser, f"file://{frame}", "--window-size=1600,1000", "--virtual-time-budget=2000")
    found = re.search(r"<title>wide (\d+) of (\d+)</title>", text)
    assert found is not None, text[:500]
    assert int(found[2]) >= width - 20
    assert int(found[1]) <= int(found[2])


def test_it_renews_itself_under_its_own_policy(browser: Sequence[str]) -> None:
    board = CountingStatus()
    board.add_bundle("web", "/shared/web")
    server = AdminServer("127.0.0.1:0", board, version="1")
    try:
        text, logged = dump(browser, f"http://{server.address}/", "--virtual-time-budget=20000")
    finally:
        server.close()
    shown = re.search(r"generation (\d+)", text)
    assert shown is not None, text[:500]
    assert int(shown[1]) > 1, "the script has not run"
    assert "Content Security Policy" not in logged
