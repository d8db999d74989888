"""The data that come with the package."""

from __future__ import annotations

import gc
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import lbproto_compliance
from lbproto import Plugin
from lbproto_compliance.bundled import bundled_store
from lbproto_compliance.store import Store

DATA = Path(lbproto_compliance.__file__).parent / "data"


@pytest.fixture(scope="module")
def store() -> Store:
    return bundled_store()


def test_it_is_all_of_the_block_and_of_the_fork(store: Store) -> None:
    bitcoin, ethereum = store.chain("bitcoin").latest(), store.chain("ethereum").latest()
    assert store.chains() == ["bitcoin", "ethereum"]
    assert (bitcoin.manifest.rows("coins"), bitcoin.heights) == (9_317, (481_824, 481_824))
    assert (ethereum.manifest.rows("transfers"), ethereum.heights) == (116, (1_920_000, 1_920_000))
    assert bitcoin.manifest.rows("rejected") == ethereum.manifest.rows("rejected") == 0


def test_everybody_who_is_named_occurs_and_is_named_by_somebody(store: Store) -> None:
    readme = (DATA / "README.md").read_text()
    for chain in store.chains():
        snapshot = store.chain(chain).latest()
        attributions = snapshot.attributions()
        assert attributions
        for address, said in attributions.items():
            assert snapshot.holds(address)
            assert f"`{address}`" in readme
            for each in said:
                assert each.source_url is not None
                assert each.source_url.startswith("https://")
                assert each.listed_on is not None
                assert each.listed_on.isoformat() in readme


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 2 * 2**20


def test_the_copy_goes_with_the_store() -> None:
    store = bundled_store()
    directory = store.directory
    assert (directory / "bitcoin" / "latest").is_file()
    del store
    gc.collect()
    assert not directory.exists()


def test_it_is_found_by_its_entry_point() -> None:
    (entry,) = entry_points(group="lbproto.plugins", name="compliance")
    plugin = entry.load()()
    assert isinstance(plugin, Plugin)
    assert "as they were recorded" in plugin.description
