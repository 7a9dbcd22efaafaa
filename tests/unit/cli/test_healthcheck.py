"""`healthcheck`: whom it asks, what it makes of the answer, and that it needs no config models for it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcar.admin.server import AdminServer
from confcar.cli.healthcheck import main
from confcar.status import Status
from tests.waiting import free_port

_ROOT = Path(__file__).parents[3]


@pytest.fixture
def status() -> Status:
    status = Status()
    status.add_bundle("web", "/shared/web")
    return status


@pytest.fixture
def server(status: Status) -> Iterator[AdminServer]:
    server = AdminServer("127.0.0.1:0", status, version="1")
    yield server
    server.close()


def config(folder: Path, listen: str) -> str:
    path = folder / "confcar.yaml"
    path.write_text(f'admin: {{listen: "{listen}"}}\n')
    return str(path)


def test_alive_is_0(server: AdminServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", config(tmp_path, server.address)], {}) == 0
    assert capsys.readouterr().out == "ok\n"


@pytest.mark.parametrize("form", ["-c {}", "-c{}", "--config {}", "--config={}"])
def test_the_config_is_named_as_everywhere(server: AdminServer, tmp_path: Path, form: str) -> None:
    assert main(form.format(config(tmp_path, server.address)).split(" "), {}) == 0


def test_the_config_may_be_named_by_its_variable(server: AdminServer, tmp_path: Path) -> None:
    assert main([], {"CONFCAR_CONFIG": config(tmp_path, server.address)}) == 0


def test_not_ready_is_1_with_the_reason(
    server: AdminServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--ready", "-c", config(tmp_path, server.address)], {}) == 1
    assert capsys.readouterr().out == "web: nothing is published, nothing was rendered yet\n"


@pytest.mark.parametrize("value", ["1", "true", "yes", "ON"])
def test_readiness_may_be_asked_for_by_variable(server: AdminServer, value: str) -> None:
    assert main([], {"CONFCAR_ADMIN__LISTEN": server.address, "CONFCAR_READY": value}) == 1


def test_a_loop_that_does_not_move_is_1(server: AdminServer, status: Status) -> None:
    status.beat("local 1", -1.0)
    assert main([], {"CONFCAR_ADMIN__LISTEN": server.address}) == 1


@pytest.mark.parametrize("name", ["CONFCAR_ADMIN__LISTEN", "confcar_admin__listen", "Confcar_Admin__Listen"])
def test_the_variable_outweighs_the_file_in_any_case(server: AdminServer, tmp_path: Path, name: str) -> None:
    assert main(["-c", config(tmp_path, "off")], {name: server.address}) == 0


def test_a_reference_in_the_file_is_expanded(server: AdminServer, tmp_path: Path) -> None:
    port = server.address.rpartition(":")[2]
    assert main(["-c", config(tmp_path, "127.0.0.1:${PORT}")], {"PORT": port}) == 0


@pytest.mark.parametrize("listen", ["0.0.0.0:{}", ":{}"])
def test_a_listener_on_every_address_is_asked_on_loopback(server: AdminServer, listen: str) -> None:
    port = server.address.rpartition(":")[2]
    assert main([], {"CONFCAR_ADMIN__LISTEN": listen.format(port)}) == 0


@pytest.mark.parametrize("by", ["file", "variable"])
@pytest.mark.parametrize("is_relative", [True, False], ids=["relative", "absolute"])
def test_a_unix_socket_is_asked_from_the_configs_folder(
    status: Status, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str, *, is_relative: bool
) -> None:
    server = AdminServer(f"unix:{tmp_path / 'a.sock'}", status, version="1")
    monkeypatch.chdir("/")
    listen = "unix:a.sock" if is_relative else f"unix:{tmp_path}/a.sock"
    environ = {"CONFCAR_ADMIN__LISTEN": listen} if by == "variable" else {}
    code = main(["-c", config(tmp_path, listen if by == "file" else "off")], environ)
    server.close()
    assert code == 0


def test_off_is_1_and_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", config(tmp_path, "off")], {}) == 1
    assert capsys.readouterr().err == "admin.listen is off: nobody can be asked\n"


@pytest.mark.parametrize(
    "text", [None, "bundles: [", "admin: {listen: 7}", "admin: 7", 'admin: {listen: "${NOT_SET}"}']
)
def test_without_a_usable_config_the_default_address_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("confcar.yaml").write_text(text)
    assert main([], {}) in {0, 1}
    told = capsys.readouterr()
    assert "127.0.0.1:9797" in told.err or told.out


def test_nobody_there_is_1_and_names_the_address(capsys: pytest.CaptureFixture[str]) -> None:
    address = f"127.0.0.1:{free_port()}"
    assert main([], {"CONFCAR_ADMIN__LISTEN": address}) == 1
    assert capsys.readouterr().err.startswith(f"no answer from {address}: ")


@pytest.mark.parametrize("said", [b"", b"garbage", b"HTTP/1.1 what\r\n\r\n"])
def test_an_answer_that_is_none_is_1(said: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        code = main([], {"CONFCAR_ADMIN__LISTEN": f"127.0.0.1:{listener.getsockname()[1]}"})
        thread.join()
    assert code == 1
    assert "no answer from 127.0.0.1" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--nonsense"], ["-c"], ["extra"]])
def test_bad_usage_is_2(arguments: list[str]) -> None:
    assert main(arguments, {}) == 2


def test_it_imports_neither_models_nor_clients() -> None:
    heavy = ("pydantic", "jinja2", "typer", "requests", "hvac", "psutil", "confcar.daemon", "confcar.pipeline")
    code = (
        "import sys; from confcar.cli.healthcheck import main; main([], {'CONFCAR_ADMIN__LISTEN': '127.0.0.1:1'});"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_ROOT)
    assert ended.stdout == "[]\n"
