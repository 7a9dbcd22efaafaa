"""A pod in small: `once`, `run` and the primary as users of their own, in PID namespaces, on one shared directory."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.namespaces import OWN_NAMESPACE, as_user, child_of, needs_namespaces, shared_namespace
from tests.integration.primary_place import PrimaryPlace
from tests.integration.sidecar import Sidecar, command, environment
from tests.waiting import wait_until

pytestmark = needs_namespaces
CONFCAR, PRIMARY, GROUP = 61001, 61002, 62000


class Pod(PrimaryPlace):
    """A shared directory with the group of all, and the containers on it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "web").mkdir()
        # As Kubernetes makes a volume with fsGroup.
        for each in (folder, folder / "web"):
            shutil.chown(each, CONFCAR, GROUP)
            each.chmod(0o2775)
        self.pid_file = folder / "primary.pid"

    def run_once(self) -> int:
        """Run the init container to its end."""
        words = [
            *OWN_NAMESPACE,
            *as_user(CONFCAR, group=GROUP),
            *command("once", "-c", self.config, "--timeout", "30s"),
        ]
        ended = subprocess.run(words, env=environment(None), check=False, timeout=60.0, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        return ended.returncode

    def sidecar(self, namespace: Sequence[str] = OWN_NAMESPACE, *, user: int = CONFCAR) -> Sidecar:
        """Return the sidecar's container."""
        return Sidecar(self.config, prefix=[*namespace, *as_user(user, group=GROUP)])

    @contextmanager
    def primary(self, namespace: Sequence[str] = OWN_NAMESPACE, *, user: int = PRIMARY) -> Iterator[None]:
        """Run the primary's container."""
        starts = self.events().count("start")
        words = [*namespace, *as_user(user, group=GROUP), *self.command()]
        with subprocess.Popen(words, start_new_session=True) as process:
            try:
                wait_until(lambda: self.events().count("start") == starts + 1, timeout=30.0)
                yield
            finally:
                os.kill(child_of(process.pid), signal.SIGKILL)
                process.wait(30.0)


@pytest.fixture
def pod() -> Iterator[Pod]:
    # Not in pytest's own folder, which is closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="confcar-pod-"))
    yield Pod(folder)
    shutil.rmtree(folder)


SEEN = {"signal": "HUP", "process": {"cmdline": "supervised_primary.py"}}


def test_the_primary_reads_what_once_published_and_the_sidecar_reloads_nothing_at_its_start(pod: Pod) -> None:
    pod.configure(bundle={"reload": SEEN})
    pod.run_once()
    with shared_namespace() as namespace, pod.primary(namespace, user=CONFCAR):
        assert pod.lines()[0]["text"] == "first"
        sidecar = pod.sidecar(namespace).start()
        assert sidecar.bundle()["generation"] == 1
        assert not sidecar.bundle()["reload"]["pending"]
        pod.write(name="second")
        pod.wait_for_events("start", "reload")
        assert pod.lines()[-1]["text"] == "second"
        end(sidecar)


def test_a_change_between_once_and_run_is_told(pod: Pod) -> None:
    pod.configure(bundle={"reload": SEEN})
    pod.run_once()
    with shared_namespace() as namespace, pod.primary(namespace, user=CONFCAR):
        pod.write(name="second")
        sidecar = pod.sidecar(namespace).start()
        pod.wait_for_events("start", "reload")
        assert pod.lines()[-1]["text"] == "second"
        end(sidecar)


def test_either_is_killed_and_comes_back(pod: Pod) -> None:
    pod.configure(bundle={"reload": SEEN})
    pod.run_once()
    with shared_namespace() as namespace:
        sidecar = pod.sidecar(namespace).start()
        with pod.primary(namespace, user=CONFCAR):
            end(sidecar, signal.SIGKILL)
            pod.write(name="second")
            sidecar.start()
            pod.wait_for_events("start", "reload")
        # Without a primary the reload is owed; one that starts after the publish has read the files.
        pod.write(name="third")
        wait_until(lambda: sidecar.bundle()["generation"] == 3 and sidecar.bundle()["reload"]["pending"])
        with pod.primary(namespace, user=CONFCAR):
            wait_until(lambda: sidecar.bundle()["reload"]["acknowledged_generation"] == 3, timeout=90.0)
            assert pod.lines()[-1]["text"] == "third"
        end(sidecar)


def test_a_namespace_that_is_not_shared_is_named_with_the_remedy(pod: Pod) -> None:
    pod.configure(bundle={"reload": SEEN})
    pod.run_once()
    with pod.primary(user=CONFCAR):
        sidecar = pod.sidecar().start()
        pod.write(name="second")
        wait_until(lambda: sidecar.bundle()["reload"]["last_error"], timeout=30.0)
        assert "shareProcessNamespace: true" in sidecar.bundle()["reload"]["last_error"]
        assert pod.events() == ["start"]
        end(sidecar)


def test_another_users_primary_is_named_with_both_users_and_the_remedy(pod: Pod) -> None:
    pod.configure(bundle={"reload": SEEN})
    pod.run_once()
    with shared_namespace() as namespace, pod.primary(namespace):
        sidecar = pod.sidecar(namespace).start()
        pod.write(name="second")
        wait_until(lambda: sidecar.bundle()["reload"]["last_error"], timeout=30.0)
        error = sidecar.bundle()["reload"]["last_error"]
        assert f"runs as uid {PRIMARY}, confcar as uid {CONFCAR}" in error
        assert "CAP_KILL" in error
        assert pod.events() == ["start"]
        end(sidecar)


def test_a_sidecar_that_follows_the_primary_ends_with_it_so_that_the_pod_completes(pod: Pod) -> None:
    pod.configure(primary={"process": {"cmdline": "supervised_primary.py"}})
    pod.run_once()
    with shared_namespace() as namespace:
        with pod.primary(namespace, user=CONFCAR):
            sidecar = pod.sidecar(namespace).start()
            wait_until(lambda: sidecar.status()["primary"]["state"] == "running", timeout=30.0)
            pod.write(name="second")
            pod.wait_for_events("start", "reload")
        assert sidecar.process is not None
        assert sidecar.process.wait(30.0) == 0


def end(sidecar: Sidecar, number: int = signal.SIGTERM) -> None:
    """End the sidecar by a signal to itself: what runs it hands none on."""
    os.kill(child_of(sidecar.pid), number)
    assert sidecar.process is not None
    sidecar.process.wait(30.0)
