"""Lists of who is who in the store: a newer one takes the place of an older, and of no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lbproto_compliance.importing import Outcome
from lbproto_compliance.sources import Source
from lbproto_compliance.sources.choosing import choose
from lbproto_compliance.sources.ofac import Ofac
from lbproto_compliance.sources.tagpack import TagPack
from lbproto_compliance.store import ChainStore, Store

LISTED = "12QtD5BFwRsdNsAZY76UVE1xyCGNTojH9h"
OTHER = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"


def sdn(path: Path, *addresses: str, name: str = "SDN.XML") -> Ofac:
    """A list with an entry of somebody without addresses, and one for each address."""
    ids = (
        "<idList><id><idType>Digital Currency Address - XBT</idType>"
        f"<idNumber>{address}</idNumber></id></idList>"
        for address in addresses
    )
    entries = "".join(
        f"<sdnEntry><uid>{uid}</uid><lastName>SOMEBODY</lastName>{each}</sdnEntry>"
        for uid, each in enumerate(["", *ids])
    )
    file = path / name
    file.write_text(f"<sdnList>{entries}</sdnList>")
    return Ofac("bitcoin", file)


def pack(path: Path, *addresses: str) -> TagPack:
    tags = "".join(
        f"\n  - {{address: {address}, label: Somebody, currency: BTC, source: x}}"
        for address in addresses
    )
    file = path / "pack.yaml"
    file.write_text(f"title: Ours\ncreator: We\ntags: {tags or '[]'}\n")
    return TagPack("bitcoin", file)


def known(chain: ChainStore) -> list[tuple[str, str]]:
    said = chain.latest().attributions()
    return sorted((address, each.source) for address in said for each in said[address])


@pytest.fixture
def chain(store: Store) -> ChainStore:
    return store.chain("bitcoin")


@pytest.mark.parametrize("name", ["SDN.XML", "sdn.xml"])
def test_a_list_is_told_by_its_name_in_whatever_case(tmp_path: Path, name: str) -> None:
    sdn(tmp_path, name=name)
    [source] = choose("bitcoin", [str(tmp_path / name)])
    assert isinstance(source, Ofac)


@pytest.mark.parametrize("listing", [sdn, pack])
def test_who_is_off_a_list_is_off_it_though_nobody_else_is_on_it(
    tmp_path: Path,
    chain: ChainStore,
    imports: Callable[..., Outcome],
    listing: Callable[..., Source],
) -> None:
    imports(chain, listing(tmp_path, LISTED))
    assert [address for address, _ in known(chain)] == [LISTED]
    imports(chain, listing(tmp_path))
    assert known(chain) == []
    assert len(chain.latest().manifest.imported) == 1
    # And back: the same file counts again, since another has taken its place.
    imports(chain, listing(tmp_path, LISTED))
    assert [address for address, _ in known(chain)] == [LISTED]
    assert imports(chain, listing(tmp_path, LISTED)).read[0].rows == 0


def test_the_two_lists_of_the_ofac_are_two(
    tmp_path: Path, chain: ChainStore, imports: Callable[..., Outcome]
) -> None:
    imports(chain, sdn(tmp_path, LISTED))
    imports(chain, sdn(tmp_path, OTHER, name="CONSOLIDATED.XML"))
    imports(chain, pack(tmp_path, OTHER))
    both = [
        (LISTED, "OFAC SDN"),
        (OTHER, "OFAC consolidated list"),
        (OTHER, "pack.yaml: Ours (We)"),
    ]
    assert known(chain) == both
    imports(chain, sdn(tmp_path, name="CONS_ADVANCED.XML"))
    assert known(chain) == [both[0], both[2]]
