"""The container image of this checkout, built without a daemon: `python -m tests.servers.image`.

Its base is made by debootstrap once per machine: no registry of images is needed. The image itself is built by buildah
from what the Dockerfile copies, once for each state of that, and unpacked; both are kept in the user's cache folder.
Needs root, as chroot and mounts do.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.steps import BuildError, cache_folder, locked, run_step, say

_ROOT = Path(__file__).resolve().parents[2]
_TOOLS = {"buildah": "buildah", "debootstrap": "debootstrap", "unshare": "util-linux", "nsenter": "util-linux"}
_BASE_PACKAGES = "python3,python3-venv,ca-certificates"
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_COPIED = ("Dockerfile", ".dockerignore", "pyproject.toml", "README.md", "LICENSE", "requirements", "confcar")
_KEPT_SECONDS = 10_800.0  # an unpacked image that nobody used for three hours is of an older state


class ImageUnavailableError(Exception):
    """The image cannot be built on this machine; the message says what is missing."""


@dataclass(frozen=True)
class Image:
    """The unpacked image.

    Attributes:
        root: Its root file system; never written to.
        config: The `config` object of the image, as Docker stores it: `User`, `Entrypoint`, `Healthcheck`, `Labels` …
        added_bytes: Size of its layers above the base, uncompressed.
    """

    root: Path
    config: Mapping[str, Any]
    added_bytes: int


def find_image(environment: Mapping[str, str]) -> Image:
    """Return the image of this checkout's state, and build it first where that was not done yet.

    Raises:
        ImageUnavailableError: A tool is missing, this is not root, or the base has not been made.
        BuildError: A step of the build failed.
    """
    _refuse_without_tools(environment)
    if not _base(environment).exists():
        raise ImageUnavailableError(
            f"no image: its base is not in {cache_folder(environment)}; `make servers` makes it"
        )
    return _build(environment)


def obtain_image(environment: Mapping[str, str]) -> Image:
    """Return the image, and make its base first where that was not done yet; prints its steps.

    Raises:
        ImageUnavailableError: A tool is missing, or this is not root.
        BuildError: A step failed; a retry helps where the network was the cause.
    """
    _refuse_without_tools(environment)
    _make_base(environment)
    return _build(environment)


def _refuse_without_tools(environment: Mapping[str, str]) -> None:
    missing = [tool for tool in _TOOLS if shutil.which(tool, path=environment.get("PATH")) is None]
    if missing:
        packages = " ".join(sorted({_TOOLS[tool] for tool in missing}))
        raise ImageUnavailableError(f"no image without {', '.join(missing)}; on Debian: apt install {packages}")
    if os.geteuid() != 0:
        message = "no image: it is built and run by chroot and mounts, which need root"
        raise ImageUnavailableError(message)


def _codename() -> str:
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return next((line.partition("=")[2].strip('"') for line in lines if line.startswith("VERSION_CODENAME=")), "stable")


def _base(environment: Mapping[str, str]) -> Path:
    return cache_folder(environment) / f"image-base-{_codename()}.tar"


def _make_base(environment: Mapping[str, str]) -> None:
    """Make the base: the smallest Debian with Python, of this machine's release, trusting whom the machine trusts."""
    target = _base(environment)
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(target.with_suffix(".lock")):
        if target.exists():
            return
        say(f"the image's base is not here: making it from {_codename()}'s packages (1 to 3 minutes, once per machine)")
        with tempfile.TemporaryDirectory(prefix=".image-base-", dir=target.parent) as work:
            root = Path(work, "root")
            options = ["--variant=minbase", f"--include={_BASE_PACKAGES}"]
            _step("installing the base", ["debootstrap", *options, _codename(), str(root)], Path(work), environment)
            for archive in root.glob("var/cache/apt/archives/*.deb"):
                archive.unlink()
            for index in root.glob("var/lib/apt/lists/*_*"):
                index.unlink()
            if _CERTIFICATES.exists():
                shutil.copy(_CERTIFICATES, root / _CERTIFICATES.relative_to("/"))
            packed = Path(work, "base.tar")
            _step("packing the base", ["tar", "-C", str(root), "-cf", str(packed), "."], Path(work), environment)
            packed.replace(target)


def _build(environment: Mapping[str, str]) -> Image:
    cache = cache_folder(environment)
    folder = cache / f"image-{_state()}"
    with locked(cache / f".{folder.name}.lock"):
        if not (folder / "image.json").exists():
            _remove_older(cache)
            shutil.rmtree(folder, ignore_errors=True)
            say("the image of this state is not here: building it (1 to 3 minutes)")
            with tempfile.TemporaryDirectory(prefix=".image-", dir=cache) as work:
                _bake(Path(work), _base(environment), environment)
                Path(work, "kept").replace(folder)
        os.utime(folder)
    told = json.loads((folder / "image.json").read_text(encoding="utf-8"))
    return Image(folder / "root", told["config"], told["added_bytes"])


def _bake(work: Path, base: Path, environment: Mapping[str, str]) -> None:
    """Build the image in a store of its own below *work*, and lay it out in `work/kept`."""
    store = ["--root", str(work / "store"), "--runroot", str(work / "run"), "--storage-driver", "vfs"]
    variables = {**environment, "BUILDAH_ISOLATION": "chroot"}

    def buildah(what: str, *arguments: str) -> None:
        _step(what, ["buildah", *store, *arguments], _ROOT, variables)

    def ask(*arguments: str) -> str:
        command = ["buildah", *store, *arguments]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BuildError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout.strip()

    container = ask("from", "scratch")
    buildah("unpacking the base", "add", container, str(base), "/")
    buildah("naming the base", "config", *_pip_settings(environment), container)
    buildah("storing the base", "commit", "--rm", "--format", "docker", container, "localhost/confcar-base")
    options = ["--format", "docker", "--layers=false", "--build-arg", "BASE=localhost/confcar-base"]
    buildah("building the image", "bud", *options, "--tag", "localhost/confcar", str(_ROOT))
    layers = [_layer_sizes(ask("inspect", "--type", "image", name)) for name in ("confcar-base", "confcar")]
    told = json.loads(ask("inspect", "--type", "image", "localhost/confcar"))
    mounted = ask("mount", ask("from", "localhost/confcar"))
    kept = work / "kept"
    kept.mkdir()
    Path(mounted).rename(kept / "root")
    (kept / "root" / "etc" / "confcar").mkdir()  # a runtime makes the places that volumes are mounted at
    about = {"config": told["Docker"]["config"], "added_bytes": sum(layers[1]) - sum(layers[0])}
    (kept / "image.json").write_text(json.dumps(about), encoding="utf-8")


def _pip_settings(environment: Mapping[str, str]) -> Sequence[str]:
    """Return options that let pip in the build ask the index that it asks on this machine, and trust the same."""
    values = {name: value for name, value in environment.items() if name in {"PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT"}}
    values["PIP_CERT"] = str(_CERTIFICATES)
    return [part for name, value in values.items() for part in ("--env", f"{name}={value}")]


def _layer_sizes(inspected: str) -> Sequence[int]:
    return [layer["size"] for layer in json.loads(json.loads(inspected)["Manifest"])["layers"]]


def _state() -> str:
    """Return a digest of all that the Dockerfile can copy, and of the recipe here."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    paths = [path for name in _COPIED for path in sorted([_ROOT / name, *(_ROOT / name).rglob("*")])]
    for path in paths:
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(_ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _remove_older(cache: Path) -> None:
    for folder in cache.glob("image-*"):
        if folder.is_dir() and time.time() - folder.stat().st_mtime > _KEPT_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _step(what: str, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    run_step(what, command, folder=folder, environment=environment)


def main() -> int:
    """Build the image and print where it is and how large.

    Returns:
        0 where it is there, 1 where it cannot be had.
    """
    try:
        image = obtain_image(os.environ)
    except (ImageUnavailableError, BuildError) as error:
        print(f"  {'image':<16} none: {error}", flush=True)
        return 1
    print(f"  {'image':<16} {image.root} ({image.added_bytes / 1e6:.1f} MB above its base)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
