from __future__ import annotations

import stat
from base64 import urlsafe_b64decode, urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto import InvalidRequest
from lbproto_compliance.cursors import Cursor, Cursors, key_of_store
from lbproto_compliance.store import Key

CURSORS = Cursors(bytes(range(32)))
CURSOR = Cursor("0123456789abcdef" * 2, Key(1_920_000, 7, "ETH"))
TEXT = CURSORS.write(CURSOR, "ethereum", "0xbf")


def test_a_cursor_is_read_as_it_was_written() -> None:
    assert CURSORS.read(TEXT, "ethereum", "0xbf") == CURSOR
    assert len(TEXT) < 200
    token = Cursor(CURSOR.snapshot_id, Key(0, 0, "0x" + "f" * 40))
    assert CURSORS.read(CURSORS.write(token, "bsc", "0xbf"), "bsc", "0xbf") == token


@pytest.mark.parametrize(("chain", "address"), [("ethereum", "0xbe"), ("polygon", "0xbf")])
def test_it_is_good_for_one_address_only(chain: str, address: str) -> None:
    with pytest.raises(InvalidRequest, match=r"begin again - at `\$\.cursor`"):
        CURSORS.read(TEXT, chain, address)


def test_nobody_else_can_write_one() -> None:
    with pytest.raises(InvalidRequest):
        Cursors(b"another key, as long").read(TEXT, "ethereum", "0xbf")
    with pytest.raises(ValueError, match="16 bytes at least, not 5"):
        Cursors(b"short")


def test_not_a_character_of_it_can_be_changed() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    changed = [
        TEXT[:place] + other + TEXT[place + 1 :]
        for place in range(len(TEXT))
        for other in alphabet.replace(TEXT[place], "")
    ]
    for text in (*changed, TEXT + "=", TEXT + "==", TEXT + "A", TEXT[:-1]):
        with pytest.raises(InvalidRequest):
            CURSORS.read(text, "ethereum", "0xbf")


def test_not_a_bit_of_it_can_be_changed() -> None:
    signed = urlsafe_b64decode(TEXT + "=" * (-len(TEXT) % 4))
    for bit in range(len(signed) * 8):
        changed = bytearray(signed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(InvalidRequest):
            CURSORS.read(urlsafe_b64encode(changed).decode(), "ethereum", "0xbf")


@given(st.text(max_size=300) | st.text("abcXYZ0189-_=", max_size=300))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        CURSORS.read(text, "ethereum", "0xbf")


def test_a_store_has_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(key_of_store, [tmp_path / "made"] * 64))
    (key,) = keys
    assert len(key) == 32
    (file,) = (tmp_path / "made").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key_of_store(tmp_path / "made") == key
    assert key_of_store(tmp_path) != key


def test_a_damaged_key_is_told(tmp_path: Path) -> None:
    (tmp_path / "cursor.key").write_bytes(b"cut off")
    with pytest.raises(ValueError, match="holds 7 bytes, not the 32 of a key"):
        key_of_store(tmp_path)
