"""The layer in the documentation is one, and reads what is said there."""

from __future__ import annotations

import re
from pathlib import Path

from lbproto_chat.semantic import Layer, Reader, Reading

GUIDE = Path(__file__).parents[4] / "docs" / "how-to" / "semantic-layer.md"


def test_the_documented_layer_reads_questions(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    path = tmp_path / "layer.toml"
    path.write_text(blocks[0])
    reader = Reader(Layer.load(path))
    asked = "Revenue per month from German customers"
    first = reader.read(asked)
    second = reader.read("and from France?", [asked])
    third = reader.read("how many orders over 20 euro were not returned?")
    fourth = reader.read("largest 3 customers")
    assert isinstance(first, Reading)
    assert isinstance(second, Reading)
    assert isinstance(third, Reading)
    assert isinstance(fourth, Reading)
    assert "'DE'" in first.sql
    assert second.sql == first.sql.replace("'DE'", "'FR'")
    assert "(total_cents > 2000)" in third.sql
    assert "IS NOT TRUE" in third.sql
    assert fourth.sql.endswith("LIMIT 3")
