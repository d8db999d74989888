"""TagPacks: what a tag inherits, how it is read, and what is refused."""

from __future__ import annotations

import json
from contextlib import aclosing
from datetime import date
from pathlib import Path

import anyio
import pytest

from lbproto_compliance.sources.batches import Attribution, Batch, Rejected, SourceError
from lbproto_compliance.sources.tagpack import TagPack

ARCHIVE = "1Archive1n2C579dMsAu3iC6tWzuQJz8dN"
GENESIS = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
VITALIK = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045"

PACK = f"""\
---
title: Known addresses
creator: The analysts
description: For tests
currency: BTC
lastmod: 2019-03-15
confidence: service_data
source: https://example.com/known
tags:
  - address: {ARCHIVE}
    label: Internet Archive
    category: Organization
    actor: internet_archive
  - address: {GENESIS}
    label: The first address
    source: https://example.com/first
    confidence: ownership
    lastmod: "2021-04-21T10:00:00"
    concepts: [user, sanction]
  - address: {VITALIK}
    currency: ETH
    label: Somebody else
"""


def pack_of(path: Path, text: str | bytes, chain: str = "bitcoin") -> TagPack:
    file = path / "pack.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return TagPack(chain, file)


async def batches_of(pack: TagPack, checkpoint: str | None = None) -> list[Batch]:
    async with aclosing(pack.batches(checkpoint)) as batches:
        return [batch async for batch in batches]


def batches_now(source: TagPack) -> list[Batch]:
    """The same, to its end, in a loop of its own."""
    return anyio.run(batches_of, source)


def read(path: Path, text: str, chain: str = "bitcoin") -> tuple[list[Attribution], list[Rejected]]:
    batches = batches_now(pack_of(path, text, chain))
    rows = [row for batch in batches for row in batch.rows if isinstance(row, Attribution)]
    return rows, [one for batch in batches for one in batch.rejected]


def tagged(**fields: str | list[str]) -> str:
    """A pack of one tag; fields that are empty are left out."""
    tag: dict[str, object] = {"address": ARCHIVE, "label": "Somebody", "currency": "BTC"}
    tag |= {"source": "https://example.com", **fields}
    tag = {key: value for key, value in tag.items() if value != ""}
    return json.dumps({"title": "One", "creator": "Me", "tags": [tag]})  # which is YAML, too


def test_a_tag_has_its_headers_fields_and_its_own(tmp_path: Path) -> None:
    rows, rejected = read(tmp_path, PACK)
    assert rejected == []
    assert rows == [
        Attribution(
            address=ARCHIVE,
            label="Internet Archive",
            category="organization",
            source="pack.yaml: Known addresses (The analysts)",
            source_url="https://example.com/known",
            listed_on=date(2019, 3, 15),
            confidence=0.5,
            country=None,
            entity="internet_archive",
        ),
        Attribution(
            address=GENESIS,
            label="The first address",
            category="sanctioned",
            source="pack.yaml: Known addresses (The analysts)",
            source_url="https://example.com/first",
            listed_on=date(2021, 4, 21),
            confidence=1.0,
            country=None,
            entity=None,
        ),
    ]


def test_a_tag_may_have_a_country(tmp_path: Path) -> None:
    [row], _ = read(tmp_path, tagged(country="NG"))
    assert row.country == "NG"


def test_a_chain_gets_its_own_tags(tmp_path: Path) -> None:
    [row], _ = read(tmp_path, PACK, "ethereum")
    assert row.address == VITALIK.lower()
    assert read(tmp_path, PACK, "tron") == ([], [])


@pytest.mark.parametrize(
    ("fields", "category"),
    [
        ({}, "service"),
        ({"category": "Exchange"}, "exchange"),
        ({"category": "Mixing Service", "abuse": ""}, "mixer"),
        ({"category": "exchange", "abuse": "scam"}, "scam"),
        ({"abuse": "ransomware", "concepts": ["exchange"]}, "ransomware"),
        ({"concepts": ["market"]}, "market"),
        ({"concepts": ["market", "dark_web"]}, "darknet_market"),
        ({"concepts": ["dark_web", "gambling"]}, "gambling"),
        ({"concepts": ["defi_dex", "service"]}, "defi"),
        ({"category": "hosting"}, "hosting"),
    ],
)
def test_categories(tmp_path: Path, fields: dict[str, str | list[str]], category: str) -> None:
    [row], _ = read(tmp_path, tagged(**fields))
    assert row.category == category


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"address": ""}, "it is about no address"),
        ({"address": ARCHIVE[:-1] + "M"}, "checksum"),
        ({"address": "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"}, "network"),
        ({"address": ["a", "b"]}, "its address is not text"),
        ({"label": "  "}, "it has no label"),
        ({"actor": "x" * 501}, "its actor has more than 500 characters"),
        ({"label": "x" * 501}, "its label has more than 500 characters"),
        ({"label": "bell\a"}, "its label has characters that cannot be shown"),
        ({"source": ""}, "it has no source"),
        ({"currency": ""}, "it names no network and no currency"),
        ({"lastmod": "yesterday"}, "it was changed at no time: 'yesterday'"),
        ({"country": "Nigeria"}, "its country is not in ISO 3166: 'Nigeria'"),
        ({"confidence": "certain"}, "its confidence is not a known level: 'certain'"),
        ({"concepts": "exchange"}, "its concepts are not a list"),
    ],
)
def test_a_malformed_tag_is_set_aside(
    tmp_path: Path, fields: dict[str, str | list[str]], reason: str
) -> None:
    text = tagged(**fields)
    rows, [rejected] = read(tmp_path, text)
    assert rows == []
    assert rejected.place == "tag 1"
    assert reason in rejected.reason
    assert rejected.row == json.dumps(json.loads(text)["tags"][0])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it has no fields"),
        ("- 1\n- 2\n", "it has no fields"),
        ("title: x\ntags: []\n", "it has no creator"),
        ("title: x\ncreator: y\n", "it has no list of tags"),
        ("header: !include header.yaml\ntitle: x\ncreator: y", "its header is in another file"),
        ("title: [unclosed", "while parsing a flow sequence"),
        (
            "title: !!python/object/apply:os.system [ls]\ncreator: x\ntags: []",
            "its title is not text",
        ),
        ("a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "it has aliases"),
        ("a: " + "[" * 20 + "]" * 20, "it is nested more than 8 deep"),
        (b"title: \xff\xfe\xff", "is not a TagPack"),
        (b"\x00\x01\x02", "is not a TagPack"),
    ],
)
def test_what_is_no_tagpack_is_refused(tmp_path: Path, text: str | bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        batches_now(pack_of(tmp_path, text))


def test_a_file_that_is_too_large_or_not_there(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    with file.open("wb") as large:
        large.truncate(33 * 1024 * 1024)
    with pytest.raises(SourceError, match="larger than"):
        TagPack("bitcoin", file)
    with pytest.raises(SourceError, match="cannot be read"):
        TagPack("bitcoin", tmp_path / "none.yaml")


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # to write and read it costs the most
async def test_it_goes_on_behind_a_checkpoint(tmp_path: Path) -> None:
    tag = f'{{address: {ARCHIVE}, label: "%d", currency: %s, source: x}}'
    tags = ["- " + tag % (n, "BTC" if n % 100 else "''") for n in range(1_100)]
    pack = pack_of(tmp_path, "\n".join(["title: Many", "creator: Me", "tags:", *tags]))
    first, second = await batches_of(pack)
    assert (len(first.rows), len(first.rejected)) == (990, 10)
    assert (len(second.rows), len(second.rejected)) == (99, 1)
    assert second.done == 1
    assert await batches_of(pack, first.checkpoint) == [second]
    assert await batches_of(pack, second.checkpoint) == []
    with pytest.raises(SourceError, match="not of a list"):
        await batches_of(pack, "{}")
    assert pack_of(tmp_path, PACK).name != pack.name
