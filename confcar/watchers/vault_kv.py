"""Reads of static secrets: from a path as people write it to the API's, and from the answer to a reading.

KV v1 and v2 differ in the path, in what is wrapped around the data, and in how a deleted secret looks. What a v1 answer
says of a lease's duration means nothing there; `refresh` decides. An engine that makes something new for each read is
left alone, and the reading says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from confcar.clients.vault import VaultClient
from confcar.clients.vault_answer import VaultAnswer
from confcar.errors import SourceDataError
from confcar.model import ABSENT, Dependency, Reading
from confcar.watchers.vault_mounts import Mount, Mounts

# Written first below a v2 mount, these are the API's own words; a key that begins so is written `data/data/…`.
_DATA, _RAW_VIEWS = "data", ("metadata", "subkeys")
_KV_V2 = 2
_DELETED, _DESTROYED, _UNMOUNTED = "deleted", "destroyed", "no engine is mounted there"


_DYNAMIC = Reading(None, is_dynamic=True)


class Read(NamedTuple):
    """What was read, and the answer it was read from; None where the server was not asked."""

    reading: Reading
    answer: VaultAnswer | None


class SecretReader:
    """Answers `secret` and `secrets`. Thread-safe."""

    def __init__(self, client: VaultClient, mounts: Mounts) -> None:
        self._client = client
        self._mounts = mounts

    def read(self, dependency: Dependency, *, token: str) -> Read:
        """Return what the server holds for a dependency: at most two requests, one where the mount is known.

        Raises:
            SourceUnavailableError: The server does not answer, or is in trouble; worth a retry.
            SourceDeniedError: The server refuses: the token is dead or its policy does not allow it.
            SourceDataError: The path or the answer cannot be used.
        """
        path = dependency.path
        check_path(path)
        mount = self._mounts.find(path, token=token)
        if mount.version is None and dependency.kind == "secret":
            _refuse_version(dependency)
            return Read(_DYNAMIC, None)
        if dependency.kind == "secrets":
            target, params = list_path(mount, path), {"list": "true"}
            action = "list"
        else:
            target, params = read_path(mount, path), _version_of(dependency, mount)
            action = "read"
        answer = self._client.call("GET", target, token=token, params=params)
        if not (answer.is_ok or answer.status == HTTPStatus.NOT_FOUND):
            cure = f'if the token is good, its policy needs: path "{target}" {{ capabilities = ["{action}"] }}'
            raise answer.error(f"{action} on {target}", cure=cure)
        reading = _names_in(answer) if dependency.kind == "secrets" else _secret_in(answer, mount, target)
        if reading.value is None and reading.note not in {_DELETED, _DESTROYED}:
            self._mounts.forget(mount)
        return Read(reading, answer)


def check_path(path: str) -> None:
    """Refuse what cannot be a path of a secret.

    Raises:
        SourceDataError: An empty, `.` or `..` segment, or a control character.
    """
    if any(segment in {"", ".", ".."} for segment in path.split("/")):
        raise SourceDataError(f"{path!r} is no path of a secret: it has an empty, `.` or `..` part")
    if not path.isprintable():
        raise SourceDataError(f"{path!r} is no path of a secret: it has a control character")


def read_path(mount: Mount, path: str) -> str:
    """Return the API's path for reading a secret, below `/v1/`.

    Raises:
        SourceDataError: The path is the mount itself.
    """
    rest = mount.rest_of(path)
    if not rest:
        raise SourceDataError(f"{path} is a whole mount; name a secret in it, such as {path}/app")
    first, _, key = rest.partition("/")
    if mount.version == 1 or (first in _RAW_VIEWS and key):
        return f"{mount.path}/{rest}"
    return f"{mount.path}/{_DATA}/{key if first == _DATA and key else rest}"


def list_path(mount: Mount, path: str) -> str:
    """Return the API's path for listing a folder, below `/v1/`; the mount itself is its top folder."""
    rest = mount.rest_of(path)
    if mount.version != _KV_V2:
        return f"{mount.path}/{rest}".rstrip("/")
    first, _, folder = rest.partition("/")
    return f"{mount.path}/metadata/{folder if first in {_DATA, *_RAW_VIEWS} else rest}".rstrip("/")


def _version_of(dependency: Dependency, mount: Mount) -> dict[str, str]:
    version = dict(dependency.params).get("version")
    if version is None:
        return {}
    if mount.version != _KV_V2:
        _refuse_version(dependency)
    return {"version": str(version)}


def _refuse_version(dependency: Dependency) -> None:
    if dict(dependency.params).get("version") is not None:
        raise SourceDataError(f"{dependency.path}: only KV v2 keeps versions; leave `version` out")


def _secret_in(answer: VaultAnswer, mount: Mount, target: str) -> Reading:
    data = answer.body.get("data")
    is_wrapped = mount.version == _KV_V2 and target.startswith(f"{mount.path}/{_DATA}/")
    if is_wrapped and isinstance(data, Mapping):
        metadata, data = data.get("metadata"), data.get("data")
        if not isinstance(data, Mapping) and isinstance(metadata, Mapping):
            return Reading(None, _DESTROYED if metadata.get("destroyed") else _DELETED)
    if answer.status == HTTPStatus.NOT_FOUND:
        return _absent(answer)
    if not isinstance(data, Mapping):
        raise SourceDataError(f"Vault at {answer.server} answers the read on {target} without a mapping of fields")
    return Reading(data)


def _names_in(answer: VaultAnswer) -> Reading:
    if answer.status == HTTPStatus.NOT_FOUND:
        return _absent(answer)
    names = answer.section("data").get("keys")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SourceDataError(f"Vault at {answer.server} answers a list without names")
    return Reading(tuple(sorted(names)))


def _absent(answer: VaultAnswer) -> Reading:
    return Reading(None, _UNMOUNTED) if "no handler for route" in answer.text else ABSENT
