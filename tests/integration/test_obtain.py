"""Where the programs of the servers are looked for, in which order, and what is said where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.build import Module, build
from tests.servers.obtain import PROGRAMS, UnavailableError, find_program, main


def make_program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_program_named_in_the_environment_comes_first(tmp_path: Path) -> None:
    named = make_program(tmp_path / "mine")
    make_program(tmp_path / "bin" / "consul")
    environment = {"CONFCAR_TEST_CONSUL": str(named), "PATH": str(tmp_path / "bin")}

    program = find_program("consul", environment)
    assert (program.path, program.origin) == (named, "CONFCAR_TEST_CONSUL")


def test_program_on_path_comes_before_the_cache(tmp_path: Path) -> None:
    on_path = make_program(tmp_path / "bin" / "consul")
    make_program(tmp_path / "confcar" / "servers" / "consul-1.13.9" / "consul")
    environment = {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path)}

    assert find_program("consul", environment).path == on_path


def test_built_program_is_found_in_the_cache(tmp_path: Path) -> None:
    built = make_program(tmp_path / ".cache" / "confcar" / "servers" / "consul-1.13.9" / "consul")

    assert find_program("consul", {"HOME": str(tmp_path)}).path == built


def test_vault_on_path_serves_as_openbao(tmp_path: Path) -> None:
    vault = make_program(tmp_path / "vault")

    assert find_program("bao", {"PATH": str(tmp_path)}).path == vault


def test_program_that_is_nowhere_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"CONFCAR_TEST_CONSUL.*make servers"):
        find_program("consul", {"PATH": str(tmp_path), "HOME": str(tmp_path)})


@pytest.mark.parametrize("name", PROGRAMS)
def test_variable_that_names_nothing_is_an_error_and_no_reason_to_look_on(name: str, tmp_path: Path) -> None:
    variable = f"CONFCAR_TEST_{name.upper().replace('-', '_')}"
    make_program(tmp_path / name)

    with pytest.raises(UnavailableError, match=variable):
        find_program(name, {variable: str(tmp_path / "none"), "PATH": str(tmp_path)})


def test_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nomad"]) == 2
    assert "nomad" in capsys.readouterr().err


def test_built_program_is_not_built_again(tmp_path: Path) -> None:
    module = Module(name="thing", version="1.0", path="example.invalid/thing", takes="no time")
    built = make_program(tmp_path / "confcar" / "servers" / "thing-1.0" / "thing")

    assert build(module, {"XDG_CACHE_HOME": str(tmp_path), "PATH": ""}) == built
