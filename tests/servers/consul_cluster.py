"""Three real Consul servers that elect a leader, each of which can be killed, paused and started again."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.consul import ConsulServer
from tests.waiting import wait_until

_SERVERS = 3
_READY_SECONDS = 60.0


class _Member(ConsulServer):
    """One of several servers; it is ready when it answers, since alone it has no leader."""

    def __init__(self, folder: Path, program: Path, name: str) -> None:
        super().__init__(
            folder,
            program,
            durable=True,
            settings={
                "node_name": name,
                "bootstrap_expect": _SERVERS,
                # A pause is an outage to be got over, and no reason to leave for ever.
                "reconnect_timeout": "24h",
                # Else the last server of a killed cluster waits for the others before it ends.
                "leave_on_terminate": False,
            },
        )
        self.choose_ports()
        self.peers: list[str] = []

    @property
    def gossip_address(self) -> str:
        """Where other servers join it."""
        return f"127.0.0.1:{self._ports['serf_lan']}"

    def command(self) -> list[str | Path]:
        """Return the command line of a server that waits for the others."""
        line = [part for part in super().command() if part != "-bootstrap-expect=1"]
        return [*line, "-retry-interval=1s", *(f"-retry-join={peer}" for peer in self.peers)]

    def is_ready(self) -> bool:
        """Return whether it answers at all."""
        return self.call("GET", "/v1/status/leader").status == 200

    def leader(self) -> str:
        """Return the leader's address as this server sees it, empty for none."""
        with suppress(OSError):
            answer = self.call("GET", "/v1/status/leader")
            return str(answer.json) if answer.status == 200 else ""
        return ""

    @property
    def raft_address(self) -> str:
        """Its own address as the leader's is given."""
        return f"127.0.0.1:{self._ports['server']}"


class ConsulCluster:
    """A cluster of three. A context manager that starts and stops all of them.

    Attributes:
        members: The servers, each with an API of its own.
    """

    def __init__(self, folder: Path, program: Path) -> None:
        self.members = [_Member(folder / f"server-{number}", program, f"server-{number}") for number in range(_SERVERS)]
        for member in self.members:
            member.peers = [other.gossip_address for other in self.members if other is not member]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start those that do not run, and return when all of them serve consistent reads."""
        for member in self.members:
            if not member.is_running:
                member.start()
        self.wait_until_whole()

    def stop(self) -> None:
        """End all of them."""
        for member in self.members:
            member.kill()

    def leader(self) -> ConsulServer:
        """Return the server that the others follow; waits for one."""

        def found() -> ConsulServer | None:
            seen = [member.leader() for member in self.members if member.is_running]
            return next((each for each in self.members if seen.count(each.raft_address) > 1), None)

        leader = wait_until(found, timeout=_READY_SECONDS, step=0.1)
        assert leader is not None
        return leader

    def wait_until_whole(self) -> None:
        """Return when every server serves a consistent read."""
        wait_until(lambda: all(map(_reads, self.members)), timeout=_READY_SECONDS, step=0.1)


def _reads(member: ConsulServer) -> bool:
    with suppress(OSError):
        return member.call("GET", "/v1/kv/ready?consistent").status in {200, 404}
    return False
