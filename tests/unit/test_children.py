"""Reaping what others leave behind, without taking the exit status of confcar's own processes away."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_in_own_process(body: str) -> str:
    """Run *body* where every child is of its own making: reaping here would take the tests' own children away."""
    head = """
        import os, signal, subprocess, threading, time
        from confcar import children
        from confcar.commands import run_command
        from tests.waiting import wait_until

        def zombies():
            found = subprocess.run(["ps", "-o", "stat=", "--ppid", str(os.getpid())], capture_output=True, text=True)
            return sum(line.startswith("Z") for line in found.stdout.split())
    """
    code = textwrap.dedent(head) + textwrap.dedent(body)
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=50
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_foreign_child_is_reaped() -> None:
    run_in_own_process("""
        pid = os.fork()
        if pid == 0:
            os._exit(3)
        wait_until(children.reap_others)
        assert zombies() == 0
    """)


def test_the_status_of_an_own_process_is_left_to_who_waits_for_it() -> None:
    run_in_own_process("""
        process = children.start(["sh", "-c", "exit 5"])
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert children.reap_others() == 0
        assert process.wait() == 5
    """)


def test_a_foreign_child_behind_an_own_one_that_has_ended_is_reaped() -> None:
    run_in_own_process("""
        process = children.start(["sh", "-c", "exit 5"])
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        pid = os.fork()
        if pid == 0:
            os._exit(3)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert children.reap_others() == 1
        assert process.wait() == 5
    """)


def test_commands_keep_their_status_while_everything_is_reaped_all_the_time() -> None:
    run_in_own_process("""
        is_over = threading.Event()

        def reap():
            while not is_over.is_set():
                children.reap_others()

        thread = threading.Thread(target=reap)
        thread.start()
        try:
            for status in range(60):
                result = run_command(
                    ["sh", "-c", f"(sleep 0.01 &) ; exit {status}"], timeout_seconds=20.0, environment=os.environ
                )
                assert result.status == status, (status, result)
        finally:
            is_over.set()
            thread.join()
    """)


def test_what_is_released_is_reaped_like_a_foreign_one() -> None:
    run_in_own_process("""
        process = children.start(["sleep", "0.05"])
        children.release(process)
        wait_until(children.reap_others)
        assert zombies() == 0
    """)


def test_orphans_come_to_confcar_and_are_ended_and_killed_where_they_do_not() -> None:
    out = run_in_own_process("""
        assert children.adopt_orphans()
        stubborn = 'trap "" TERM; echo up; while :; do sleep 0.05; done'
        docile = 'trap "exit 0" TERM; echo up; while :; do sleep 0.05; done'
        starter = children.start(["sh", "-c", f"sh -c '{stubborn}' & sh -c '{docile}' &"], stdout=subprocess.PIPE)
        assert [starter.stdout.readline() for _ in range(2)] == [b"up\\n", b"up\\n"]
        starter.wait()
        children.release(starter)
        children.end_others(signal.SIGTERM, 0.5)
        left = subprocess.run(["ps", "-o", "pid,stat,args", "--ppid", str(os.getpid())], capture_output=True, text=True)
        print(left.stdout)
    """)
    assert "sleep 0.05" not in out


def test_children_from_before_are_not_ended() -> None:
    run_in_own_process("""
        before = subprocess.Popen(["sleep", "30"])
        children.adopt_orphans()
        children.end_others(signal.SIGTERM, 0.2)
        assert before.poll() is None
        before.kill()
        before.wait()
    """)
