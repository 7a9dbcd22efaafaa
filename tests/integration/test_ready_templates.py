"""The ready templates, taken by the real programs: what each of them is rendered to is a file that its program accepts.

Those of the distribution are used where they are installed: `apt install haproxy prometheus pgbouncer redis-server`.
Debian has no Envoy, whose file is checked for its shape only, in the unit tests.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import trustme
import yaml

from tests.servers.installed import installed
from tests.servers.process import Server
from tests.unit.templates.ready import DATA, TLS_SET, rendered, template_for


def write(folder: Path, name: str, data: Path | None = None) -> Path:
    """Render the ready template of the file *name* into *folder*; return the only file, or the folder of several."""
    files = rendered(template_for(name), data)
    for destination, file in files.items():
        path = folder / destination
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(file.content)
    return folder / name


def accepted(*command: str | Path) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder that other users reach too: pytest's own are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="confcar-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def test_nginx_takes_its_server_block(nginx_program: Path, tmp_path: Path) -> None:
    server = write(tmp_path, "nginx-server.conf")
    temporary = "".join(
        f"{name}_temp_path {tmp_path}/{name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = tmp_path / "nginx.conf"
    main.write_text(f"pid {tmp_path}/pid; events {{}}\nhttp {{ access_log off; {temporary}\n  include {server};\n}}\n")
    accepted(nginx_program, "-t", "-p", f"{tmp_path}/", "-e", "stderr", "-c", main)


def test_haproxy_takes_its_backend(tmp_path: Path) -> None:
    program = installed("haproxy")
    main = tmp_path / "haproxy.cfg"
    main.write_text(
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n"
        "frontend web\n  bind 127.0.0.1:8080\n  default_backend shop\n"
    )
    accepted(program, "-c", "-f", main, "-f", write(tmp_path, "haproxy-backend.cfg"))


@pytest.mark.parametrize("has_jobs", [True, False], ids=["jobs", "no-jobs"])
def test_prometheus_takes_its_config(tmp_path: Path, has_jobs: bool) -> None:  # noqa: FBT001 - pytest's
    program = installed("promtool")
    data = tmp_path / "data.yaml"
    data.write_text("secret: {prometheus: {tokens: {}}}\n")
    accepted(program, "check", "config", write(tmp_path, "prometheus.yml", None if has_jobs else data))


def test_a_shell_reads_the_env_file_as_it_was_meant(tmp_path: Path) -> None:
    script = 'set -eua; . "$0"; printf "%s\\n" "$GREETING" "$DEBUG" "$DATABASE_URL"'
    read = accepted("/bin/sh", "-c", script, write(tmp_path, "app.env")).splitlines()
    assert read == ["it's $5 off", "no", "postgresql://shop:p%40ss%2Fw%20rd@db.internal:5432/shop"]


class PgBouncer(Server):
    """A PgBouncer on a socket in its folder; it refuses to be root."""

    def choose_ports(self) -> None:
        """It has none: the config is the template's, and nobody connects by TCP."""

    def command(self) -> Sequence[str | Path]:
        config = self.folder / "pgbouncer.ini"
        return [self.program, "-u", "nobody", config] if os.geteuid() == 0 else [self.program, config]

    def is_ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.folder / ".s.PGSQL.6432"))
        return True


def test_pgbouncer_starts_with_its_config_and_its_users(open_folder: Path) -> None:
    program = installed("pgbouncer")
    data = open_folder / "data.yaml"
    document = yaml.safe_load((DATA / "pgbouncer.ini.yaml").read_text())
    document["pgbouncer"] |= {"socket_dir": str(open_folder), "auth_file": f"{open_folder}/pgbouncer-userlist.txt"}
    data.write_text(yaml.safe_dump(document))
    config = write(open_folder, "pgbouncer.ini", data)
    config.write_text(config.read_text().replace("listen_addr = 127.0.0.1\n", ""))  # no port that another test has
    write(open_folder, "pgbouncer-userlist.txt")
    with PgBouncer(open_folder, program) as server:
        log = server.log_file.read_text()
    assert "listening on unix:" in log
    assert "ERROR" not in log
    assert "WARNING" not in log


class Redis(Server):
    """A Redis on a socket in its folder, with the users of an ACL file."""

    def choose_ports(self) -> None:
        """It has none."""

    def command(self) -> Sequence[str | Path]:
        where = ["--port", "0", "--unixsocket", str(self.folder / "socket")]
        return [self.program, *where, "--save", "", "--aclfile", self.folder / "redis-users.acl"]

    def is_ready(self) -> bool:
        return self.ask("PING").startswith("-NOAUTH")

    def ask(self, *lines: str) -> str:
        """Send commands on one connection and return the answer to the last."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10.0)
            connection.connect(str(self.folder / "socket"))
            answers = connection.makefile("rb")
            answer = b""
            for line in lines:
                connection.sendall(f"{line}\r\n".encode())
                answer = answers.readline()
            return answer.decode().strip()


def test_redis_takes_its_users_with_what_they_may_do(open_folder: Path) -> None:
    program = installed("redis-server")
    write(open_folder, "redis-users.acl")
    with Redis(open_folder, program) as server:
        assert server.ask("AUTH admin one", "SET other 1") == "+OK"
        assert server.ask("AUTH shop two", "SET shop:a 1") == "+OK"
        assert server.ask("AUTH shop two", "SET other 1").startswith("-NOPERM")
        assert server.ask("AUTH shop one").startswith("-WRONGPASS")
        assert server.ask("AUTH default x").startswith("-WRONGPASS")


def test_tls_set_is_a_pair_that_a_client_trusts(tmp_path: Path) -> None:
    root = trustme.CA()
    between = root.create_child_ca()
    leaf = between.issue_cert("site.example")
    authorities = [one.cert_pem.bytes().decode() for one in (between, root)]
    site = {
        "certificate": leaf.cert_chain_pems[0].bytes().decode(),
        "private_key": leaf.private_key_pem.bytes().decode(),
        "issuing_ca": authorities[0],
        "ca_chain": authorities,
    }
    data = tmp_path / "data.yaml"
    data.write_text(yaml.safe_dump({"secret": {"tls": {"site": site}}}))
    folder = write(tmp_path, TLS_SET, data)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "fullchain.pem", folder / "key.pem")
    client = ssl.create_default_context()
    client.load_verify_locations(folder / "chain.pem")
    assert agrees(server, client, "site.example")


def agrees(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> bool:
    """Let the two shake hands in memory; raises where the client does not trust the server."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(10):
        waiting = []
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                waiting.append(side)
        if not waiting:
            return True
    return False
