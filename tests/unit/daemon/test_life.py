"""The two lives in this process: how they start, what they refuse, how they end."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from confcar.daemon.assembly import Context
from confcar.daemon.life import once, run
from confcar.errors import CheckRefusedError, ConfigError, LockedError, MissingDataError, PublishError, TemplateError
from confcar.publishing.publisher import Publisher
from tests.unit.daemon.place import Place, bundle
from tests.waiting import free_port, is_running, wait_until


@contextmanager
def stopped_when(seen: Callable[[], object], number: int = signal.SIGTERM) -> Iterator[list[object]]:
    """Send a signal to this process once *seen* says so; what went wrong meanwhile is in the list."""
    errors: list[object] = []
    before = signal.getsignal(number)

    def watch() -> None:
        # Before they are heard, signals would end the test.
        wait_until(lambda: signal.getsignal(number) != before)
        try:
            wait_until(seen, timeout=5.0)
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            errors.append(error)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=watch)
    thread.start()
    yield errors
    thread.join()


def live(place: Place, seen: Callable[[Context], object], number: int = signal.SIGTERM) -> Context:
    """Run until *seen*, and return the context as it was at the end."""
    context = place.context()
    with stopped_when(lambda: seen(context), number) as errors:
        run(context)
    assert errors == []
    return context


def is_published(context: Context) -> bool:
    states = {bundle.state for bundle in context.status.copy().bundles.values()}
    return states == {"published"}


def has_state(context: Context, name: str, state: str) -> bool:
    bundle = context.status.copy().bundles.get(name)
    return bundle is not None and bundle.state == state


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_publishes_and_ends_when_told(place: Place, number: int) -> None:
    context = live(place, is_published, number)
    assert place.text() == "first"
    assert context.status.bundle("web").generation == 1


def test_run_leaves_no_thread_and_no_lock_behind(place: Place) -> None:
    live(place, is_published)
    live(place, is_published)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("confcar")]


def test_run_writes_its_pid_and_removes_it(place: Place) -> None:
    place.configure(pid_file="confcar.pid")
    pid_file, seen = place.folder / "confcar.pid", []

    def look(context: Context) -> bool:
        if pid_file.exists():
            seen.append(pid_file.read_text())
        return is_published(context)

    live(place, look)
    assert seen[-1] == f"{os.getpid()}\n"
    assert not pid_file.exists()


def test_a_pid_file_that_is_another_ones_by_now_is_left_to_it(place: Place) -> None:
    place.configure(pid_file="confcar.pid")

    def take_over(context: Context) -> bool:
        (place.folder / "confcar.pid").write_text("1\n")
        return is_published(context)

    live(place, take_over)
    assert (place.folder / "confcar.pid").read_text() == "1\n"


def test_a_pid_file_that_cannot_be_written_is_a_config_error_before_anything_is_published(place: Place) -> None:
    place.configure(pid_file="no/such/folder/confcar.pid")
    with pytest.raises(ConfigError, match=r"^pid_file: cannot write .*No such file or directory"):
        run(place.context())
    assert place.text() is None


def test_an_admin_address_in_use_is_a_config_error_before_anything_is_published(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        place.configure(admin={"listen": f"127.0.0.1:{other.getsockname()[1]}"}, pid_file="confcar.pid")
        with pytest.raises(ConfigError, match=r"^admin\.listen: "):
            run(place.context())
    assert place.text() is None
    assert not (place.folder / "confcar.pid").exists()
    live_again = Publisher("web", place.folder / "web", mode="swap", keep=2)
    live_again.open()
    live_again.close()


def test_a_directory_of_another_confcar_is_refused_before_anything_else_is_touched(place: Place) -> None:
    place.configure(
        bundles={"free": bundle("free"), "held": bundle("held")}, pid_file="confcar.pid", admin={"listen": "off"}
    )
    (place.folder / "confcar.pid").write_text("1\n")
    holder = Publisher("held", place.folder / "held", mode="swap", keep=2)
    holder.open()
    with pytest.raises(LockedError):
        run(place.context())
    holder.close()
    assert place.text("free") is None
    assert (place.folder / "confcar.pid").read_text() == "1\n", "the first one's"


def test_a_directory_that_is_not_there_yet_does_not_hold_up_the_others(place: Place) -> None:
    place.configure(bundles={"late": bundle("late"), "web": bundle("web")})
    (place.folder / "late").write_text("in the way")

    def mount(_: Context) -> bool:
        if place.text("web") == "first":
            (place.folder / "late").unlink(missing_ok=True) if (place.folder / "late").is_file() else None
        return place.text("late") == "first"

    context = live(place, mount)
    assert is_published(context)


def test_a_bundle_whose_template_does_not_compile_does_not_hold_up_the_others(place: Place) -> None:
    place.configure(bundles={"bad": bundle("bad", "{% if %}"), "web": bundle("web")})
    context = live(place, lambda context: has_state(context, "web", "published"))
    assert context.status.bundle("bad").state == "failed"


def test_the_admin_listener_answers_while_it_runs(place: Place) -> None:
    address = f"127.0.0.1:{free_port()}"
    place.configure(admin={"listen": address})
    documents = []

    def look(context: Context) -> bool:
        if not is_published(context):
            return False
        with urllib.request.urlopen(f"http://{address}/status", timeout=2.0) as answer:
            documents.append(json.loads(answer.read()))
        return True

    live(place, look)
    assert documents[0]["bundles"]["web"]["generation"] == 1


def test_a_stop_does_not_wait_for_a_check_that_hangs_and_leaves_nothing_of_it(place: Place) -> None:
    begun = place.folder / "begun"
    command = ["sh", "-c", f"sleep 60 & echo $! > {begun}.new; mv {begun}.new {begun}; wait"]
    place.configure(bundles={"web": bundle("web", check={"command": command, "timeout": "50s"})})
    began: list[float] = []

    def has_begun(_: Context) -> bool:
        began.append(time.monotonic())
        return begun.exists()

    context = live(place, has_begun)
    took = time.monotonic() - began[-1]
    wait_until(lambda: not is_running(int(begun.read_text())))
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("confcar")])
    assert took < 1.3
    assert place.text() is None
    assert context.status.bundle("web").state != "refused", "it was ended, and has refused nothing"


def test_a_stop_waits_for_a_reload_that_is_under_way_and_remembers_it(place: Place) -> None:
    begun, ended = place.folder / "begun", place.folder / "ended"
    command = ["sh", "-c", f"touch {begun}; sleep 1.2; touch {ended}"]
    place.configure(bundles={"web": bundle("web", reload={"command": command})})
    context = live(place, lambda _: begun.exists())
    assert ended.exists()
    assert context.status.bundle("web").reload.acknowledged_generation == 1


def test_once_publishes_every_bundle(place: Place) -> None:
    place.configure(bundles={"web": bundle("web"), "api": bundle("api", "{{ key('name') | upper }}")})
    once(place.context(), timeout_seconds=5.0)
    assert (place.text("web"), place.text("api")) == ("first", "FIRST")


def test_once_of_several_failures_raises_the_one_with_the_lowest_code_and_publishes_the_rest(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.configure(
        bundles={
            "refused": bundle("refused", check={"command": ["false"]}),
            "missing": bundle("missing", "{{ key('nothing') }}"),
            "web": bundle("web"),
        }
    )
    with pytest.raises(MissingDataError):
        once(place.context(), timeout_seconds=0.3)
    assert place.text("web") == "first"
    told = [record.confcar_fields["bundle"] for record in caplog.records if record.getMessage() == "not published"]  # type: ignore[attr-defined]
    assert told == ["refused", "missing"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        pytest.param({"check": {"command": ["false"]}}, CheckRefusedError, id="5"),
        pytest.param({"content": "{% if %}"}, TemplateError, id="4"),
        pytest.param({"directory": "data.yaml"}, PublishError, id="6"),
    ],
)
def test_once_raises_what_ended_it(place: Place, options: dict[str, object], error: type[Exception]) -> None:
    place.configure(bundles={"web": bundle(str(options.pop("directory", "web")), **options)})  # type: ignore[arg-type]
    with pytest.raises(error):
        once(place.context(), timeout_seconds=5.0)


def test_once_ends_at_once_when_told(place: Place) -> None:
    place.configure(bundles={"web": bundle("web", "{{ key('nothing') }}")})
    context = place.context()
    began = time.monotonic()
    with (
        stopped_when(lambda: has_state(context, "web", "pending")) as errors,
        pytest.raises(MissingDataError),
    ):
        once(context, timeout_seconds=30.0)
    assert errors == []
    assert time.monotonic() - began < 3.0
