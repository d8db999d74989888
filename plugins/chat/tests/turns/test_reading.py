"""What is read of a model's bytes and words, however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto_chat.fences import Fence
from lbproto_chat.sse import EventReader, TooLong

EVENTS = (
    b": hi\n\ndata: one\n\nevent: x\ndata:two\ndata:  three\r\n\r\nid: 7\n\ndata: four\n\ndata: fi"
)
READ = [b"one", b"two\n three", b"four"]


def fed(reader: EventReader, *parts: bytes) -> list[bytes]:
    return [event for part in parts for event in reader.feed(part)]


def test_events_whole_and_byte_by_byte() -> None:
    assert fed(EventReader(), EVENTS) == READ
    assert fed(EventReader(), *(EVENTS[at : at + 1] for at in range(len(EVENTS)))) == READ


@given(st.integers(0, len(EVENTS)), st.integers(0, len(EVENTS)))
def test_events_cut_anywhere(first: int, second: int) -> None:
    low, high = sorted((first, second))
    assert fed(EventReader(), EVENTS[:low], EVENTS[low:high], EVENTS[high:]) == READ


@given(st.binary(max_size=300), st.integers(1, 300))
def test_whatever_comes_is_cut_alike(data: bytes, size: int) -> None:
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    assert fed(EventReader(), *parts) == fed(EventReader(), data)


@pytest.mark.parametrize("part", [b"x" * 10_000, b"data: " + b"x" * 10_000 + b"\n"])
def test_no_event_is_without_end(part: bytes) -> None:
    reader = EventReader()
    with pytest.raises(TooLong):
        fed(reader, *[part] * 30)


def spoken(*parts: str) -> tuple[str, str | None]:
    fence = Fence()
    said = "".join(fence.feed(part) for part in parts)
    return said + fence.end(), fence.sql


@pytest.mark.parametrize(
    ("text", "said", "sql"),
    [
        ("Five trades.", "Five trades.", None),
        ("```sql\nSELECT 1\n```", "", "SELECT 1"),
        ("```\nSELECT 1;\n```\nThat is it.", "", "SELECT 1"),
        ("```sql SELECT 1```", "", "SELECT 1"),
        ("Let me see. ```sql\nSELECT 1\n``` Done", "Let me see. ", "SELECT 1"),
        ("```sql\nSELECT 1\n```\n```sql\nSELECT 2\n```", "", "SELECT 1"),
        ("```python\nprint(1)\n```", "```python\nprint(1)\n```", None),
        ("It is `five`, ``five``", "It is `five`, ``five``", None),
        ("```sql\n```", "", None),
        ("```", "```", None),
        ("```" + "x" * 50, "```" + "x" * 50, None),
        ("", "", None),
    ],
)
def test_sql_and_words(text: str, said: str, sql: str | None) -> None:
    assert spoken(text) == (said, sql)
    assert spoken(*text) == (said, sql)


@given(st.text(alphabet="`sql \nab", max_size=40), st.integers(1, 9))
def test_words_are_cut_anywhere(text: str, size: int) -> None:
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    assert spoken(*parts) == spoken(text)
