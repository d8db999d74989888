"""Users who sign in with Clerk: real tokens of an issuer of this machine, for the example."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.e2e.node import NODE, NodeClient, need_node
from tests.examples.test_examples import EXAMPLES
from tests.serving import ServerProcess, serving

APP = "https://app.example.com"
LIFE = 8  # of a token, in seconds: half of them are there to renew it in


class Issuer:
    """Publishes its key, and signs what `claims` says, beside a token's own; nothing where None."""

    def __init__(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        member = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | {
            "kid": "ins_1",
            "use": "sig",
        }
        del member["key_ops"]
        self.claims: dict[str, Any] | None = {"azp": APP}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _, kind, user = self.path.split("/")
                if kind == ".well-known":
                    answer = json.dumps({"keys": [member]})
                elif issuer.claims is None:
                    self.send_error(503)
                    return
                else:
                    now = int(time.time())
                    claims = {"iss": issuer.url, "sub": user, "iat": now, "nbf": now - 10}
                    claims |= {"exp": now + LIFE, "sid": "sess_1", "v": 2, **issuer.claims}
                    answer = jwt.encode(claims, key, "RS256", {"kid": "ins_1"})
                self.send_response(200)
                self.end_headers()
                self.wfile.write(answer.encode())

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    thread = threading.Thread(target=issuer.server.serve_forever, args=(0.01,))
    thread.start()
    yield issuer
    issuer.server.shutdown()
    thread.join()
    issuer.server.server_close()


@pytest.fixture
def server(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerProcess]:
    monkeypatch.setenv("CLERK_ISSUER", issuer.url)
    monkeypatch.setenv("APP", APP)
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES))
    monkeypatch.setenv("LBPROTO_SERVER_SETTINGS_CONNECT_TIMEOUT", "1")
    with serving("clerk:make", "lbproto") as server:
        yield server
        assert "Traceback" not in server.log, server.log


@pytest.fixture
def client(server: ServerProcess, issuer: Issuer, tmp_path: Path) -> Iterator[NodeClient]:
    need_node()
    shutil.copy(EXAMPLES / "clerk.mjs", tmp_path / "example.mjs")
    shutil.copy(NODE / "clerk.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(NODE / "node_modules")
    argument = {"url": server.http, "issuer": issuer.url}
    with NodeClient.running(str(tmp_path / "clerk.mjs"), argument) as client:
        yield client


def _refused(client: NodeClient, issuer: Issuer, **claims: Any) -> str:
    """Why a user with these claims is not let in."""
    issuer.claims = {"azp": APP, **claims}
    client.command(user="eve")
    message: str = client.until(happened="connect_error")["data"]["message"]
    client.command()
    return message


def test_a_session_outlives_its_tokens_and_ends_with_its_user(
    client: NodeClient, issuer: Issuer
) -> None:
    assert "party" in _refused(client, issuer, azp="https://evil.example.com")
    assert "pending" in _refused(client, issuer, sts="pending")
    assert "issuer" in _refused(client, issuer, iss="https://clerk.example.com")
    assert "another audience" in _refused(client, issuer, aud="another")

    issuer.claims = None
    client.command(user="ada")
    client.until(happened="warning")
    issuer.claims = {"azp": APP, "o": {"id": "org_1", "rol": "admin"}}
    client.until(happened="connect")
    began = len(client.seen)
    assert client.event("connected")["userId"] == "ada"
    first = client.event("session_expiring")["expiresAt"]
    client.until(happened="token", skipCache=True)
    second = client.event("session_expiring")["expiresAt"]
    assert second > first
    client.until(happened="token", skipCache=True)
    client.command(user="ada")  # something else has changed
    asked: dict[str, Any] = {"emit": "who_am_i", "args": [{}], "ack": 0}
    client.command(**asked)
    (answer,) = client.until(ack=0)["args"]
    assert answer["data"] == {"userId": "ada", "organizationId": "org_1"}
    assert not [line for line in client.seen[began:] if line.get("happened") == "disconnect"]

    client.command(user="bob")
    client.until(happened="disconnect")
    assert client.event("connected")["userId"] == "bob"
    client.command()
    assert client.until(happened="disconnect")["reason"] == "io client disconnect"
