"""Proxies as `examples/deploy` configures them, in front of two nodes of tests."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.certificates import self_signed
from tests.serving import free_port

__all__ = ["CONFIGURATIONS", "Proxy", "proxying"]

CONFIGURATIONS = Path(__file__).parents[2] / "examples" / "deploy"
PATIENCE = 60
NODES = ("10.0.0.11:8091", "10.0.0.12:8091")


@dataclass(frozen=True)
class Proxy:
    """One that runs.

    Attributes:
        port: where it listens, for TLS.
        certificate: what it shows.
        log: what it has written about requests, where it does.
    """

    port: int
    certificate: Path
    log: Path

    @property
    def http(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def trust(self) -> ssl.SSLContext:
        """What takes its certificate."""
        return ssl.create_default_context(cafile=self.certificate)


@contextmanager
def proxying(kind: str, ports: Sequence[int], directory: Path) -> Iterator[Proxy]:
    """Run "nginx" or "haproxy" in front of what listens on these ports of this machine."""
    certificate, key = self_signed(directory)
    proxy = Proxy(free_port(), certificate, directory / "access.log")
    prepare = {"nginx": _nginx, "haproxy": _haproxy}[kind]
    with (
        (directory / "errors").open("wb") as errors,
        subprocess.Popen(
            prepare(proxy, key, ports, directory), cwd=directory, stdout=errors, stderr=errors
        ) as process,
    ):
        try:
            end = time.monotonic() + PATIENCE
            while not _listens(proxy.port):
                said = (directory / "errors").read_text()
                assert process.poll() is None, said
                assert time.monotonic() < end, said
                time.sleep(0.02)  # nothing tells when it listens
            yield proxy
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _nginx(proxy: Proxy, key: Path, ports: Sequence[int], directory: Path) -> list[str]:
    bodies = "".join(
        f"    {kind}_temp_path {directory / kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    changes = {
        **_nodes(ports),
        "listen 443 ssl": f"listen 127.0.0.1:{proxy.port} ssl",
        "/etc/nginx/tls/fullchain.pem": str(proxy.certificate),
        "/etc/nginx/tls/privkey.pem": str(key),
        "/var/log/nginx/access.log": str(proxy.log),
        "http {\n": f"pid {directory / 'pid'};\nhttp {{\n{bodies}",
    }
    path = _configured("nginx.conf", changes, directory)
    program = shutil.which("nginx")
    assert program is not None
    return [program, "-p", str(directory), "-c", str(path), "-g", "daemon off;", "-e", "stderr"]


def _haproxy(proxy: Proxy, key: Path, ports: Sequence[int], directory: Path) -> list[str]:
    both = directory / "both.pem"
    both.write_bytes(proxy.certificate.read_bytes() + key.read_bytes())
    changes = {
        **_nodes(ports),
        "maxconn 100000": "maxconn 100",  # not every machine lets a process have so many files
        "bind :443": f"bind 127.0.0.1:{proxy.port}",
        "/etc/haproxy/realtime.pem": str(both),
    }
    program = shutil.which("haproxy")
    assert program is not None
    return [program, "-db", "-f", str(_configured("haproxy.cfg", changes, directory))]


def _nodes(ports: Sequence[int]) -> dict[str, str]:
    return {node: f"127.0.0.1:{port}" for node, port in zip(NODES, ports, strict=True)}


def _configured(name: str, changes: Mapping[str, str], directory: Path) -> Path:
    """The file as it is published, but for where things are."""
    text = (CONFIGURATIONS / name).read_text()
    for published, here in changes.items():
        assert published in text, published
        text = text.replace(published, here)
    path = directory / name
    path.write_text(text)
    return path


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE):
        return True
    return False
