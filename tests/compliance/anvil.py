"""A real Ethereum node: `@foundry-rs/anvil`, which `npm install` in tests/node brings."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.e2e.node import NODE, need

_PACKAGES = NODE / "node_modules" / "@foundry-rs"

ETHER = 10**18
FORTUNE = 10_000 * ETHER  # what each of its accounts has at first

# Runtime code in EVM assembly; each is given to an address as it is.
# `transfer(address,uint256)` of a token that has no balances: it only logs.
TOKEN_CODE = (
    "0x60243560005260043533"
    "7fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    "60206000a3600160005260206000f3"
)
# Passes the ether it gets on to the address that is its input, and does not mind if it cannot.
FORWARDER_CODE = "0x6000600060006000346000355af15000"
# Reverts, whatever it gets.
REVERTER_CODE = "0x60006000fd"

TOKEN = "0x" + "70" * 20
FORWARDER = "0x" + "f0" * 20
REVERTER = "0x" + "e0" * 20


class Anvil:
    """One node; blocks are mined when a test says so."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(timeout=30)
        self.accounts: list[str] = self.call("eth_accounts")
        self.call("evm_setAutomine", False)
        for address, code in (
            (TOKEN, TOKEN_CODE),
            (FORWARDER, FORWARDER_CODE),
            (REVERTER, REVERTER_CODE),
        ):
            self.call("anvil_setCode", address, code)

    def call(self, method: str, *params: Any) -> Any:
        """What the node answers."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = self._client.post(self.url, json=body).json()
        assert "error" not in answer, answer
        return answer["result"]

    def send(self, sender: int, to: str | None, value: int = 0, data: str = "0x") -> str:
        """Hand in a transaction of an account; gives its hash."""
        transaction = {
            "from": self.accounts[sender],
            "value": hex(value),
            "data": data,
            "gas": hex(200_000),
        }
        if to is not None:
            transaction["to"] = to
        return str(self.call("eth_sendTransaction", transaction))

    def mine(self, blocks: int = 1) -> None:
        """Mine blocks; what was handed in is in the first."""
        for _ in range(blocks):
            self.call("evm_mine")

    def balance(self, address: str) -> int:
        """Wei that an address has."""
        return int(self.call("eth_getBalance", address, "latest"), 16)

    def close(self) -> None:
        self._client.close()


def word(value: int | str) -> str:
    """An argument of a call: a number or an address, 32 bytes wide, in hexadecimal digits."""
    return f"{value:064x}" if isinstance(value, int) else value.removeprefix("0x").rjust(64, "0")


@contextmanager
def running() -> Iterator[Anvil]:
    """A node of its own; skips the test where there is none, and fails it on CI."""
    program = next(_PACKAGES.glob("anvil-*/bin/anvil*"), None)
    need(program, f"run `npm install` in {NODE}")
    command = [str(program), "--port", "0", "--chain-id", "1", "--order", "fifo"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        listening = next(line for line in process.stdout if line.startswith("Listening on "))
        threading.Thread(target=process.stdout.read, daemon=True).start()  # it must not fill up
        node = Anvil(f"http://{listening.split()[-1]}")
        yield node
        node.close()
    finally:
        process.kill()
        process.communicate()
