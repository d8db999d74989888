"""`lbproto compliance import` from servers and lists, as an operator runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.compliance import anvil
from tests.compliance.explorer import HEIGHT, Explorer, coinbase, real_transactions
from tests.compliance.payments import populate
from tests.compliance.web_server import answering

SECONDS = 60
MIXER = f"0x{0x101:040x}"


def imported(directory: Path, chain: str, *arguments: str) -> Any:
    """What the command prints."""
    command = [sys.executable, "-m", "lbproto", "compliance", "import", *arguments]
    done = subprocess.run(
        [*command, "--chain", chain, "--into", str(directory), "--json"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_node_and_a_list_at_once_and_again(tmp_path: Path) -> None:
    pack = tmp_path / "pack.yaml"
    tag = {"address": MIXER, "label": "A mixer", "currency": "ETH", "source": "https://example.com"}
    pack.write_text(
        json.dumps({"title": "Mixers", "creator": "Me", "tags": [tag, tag | {"label": ""}]})
    )
    with anvil.running() as node:
        populate(node, 30, 3)
        node.mine(12)  # so many confirmations are asked for
        first = imported(tmp_path / "chains", "ethereum", node.url, str(pack))
        populate(node, 10, 1, seed=2)
        node.mine(12)
        second = imported(tmp_path / "chains", "ethereum", node.url)
    chain, said = first["sources"]
    assert (chain["name"], chain["rejected"]) == ("json-rpc:ethereum", 0)
    assert (said["rows"], said["rejected"]) == (1, 1)
    assert said["rejects"][0]["reason"] == "it has no label"
    assert (first["heights"], second["heights"]) == ([1, 3], [1, 16])
    assert first["added"] == chain["rows"] > 20
    assert second["added"] > 5


def test_an_explorer(tmp_path: Path) -> None:
    blocks = [real_transactions()[:30], *([coinbase(number)] for number in range(1, 8))]
    with answering(Explorer(HEIGHT, blocks)) as url:
        outcome = imported(tmp_path, "bitcoin", f"{url}/", "--from", str(HEIGHT))
    assert outcome["heights"] == [HEIGHT, HEIGHT + 1]
    assert outcome["sources"][0]["name"] == "esplora:bitcoin"
    assert outcome["added"] == outcome["sources"][0]["rows"] > 100
