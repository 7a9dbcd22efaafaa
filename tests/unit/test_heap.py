"""Memory that is free goes back to the machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from confcar.heap import release_free_memory


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries give free memory back by themselves")
def test_what_compiling_a_long_text_took_goes_back() -> None:
    text = "\n".join(f"write(read('folder/key-{number:05}'))" for number in range(20_000))
    code = compile(text, "long", "exec")
    before = _resident_bytes()
    release_free_memory()
    assert code.co_consts
    assert before - _resident_bytes() > 10 * 1024 * 1024
