"""Which chains there are, and what is known of each without looking at its blocks."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

__all__ = ["CHAINS", "Chain", "Kind"]

Kind: TypeAlias = Literal["coins", "accounts"]


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """A public chain.

    Args:
        name: in requests, in paths and in reports.
        asset: the symbol of what its fees are paid in.
        decimals: of that: a whole one is `10 ** decimals` base units.
        kind: `coins`, where transactions spend the outputs of earlier ones (Bitcoin), or
            `accounts`, where they move a balance from one address to another (Ethereum).
        eip155: its number among the chains that write addresses and hashes, and answer, as
            Ethereum does; `None` for others.
    """

    name: str
    asset: str
    decimals: int
    kind: Kind
    eip155: int | None = None


CHAINS = {
    chain.name: chain
    for chain in (
        Chain(name="bitcoin", asset="BTC", decimals=8, kind="coins"),
        Chain(name="ethereum", asset="ETH", decimals=18, kind="accounts", eip155=1),
        Chain(name="polygon", asset="POL", decimals=18, kind="accounts", eip155=137),
        Chain(name="bsc", asset="BNB", decimals=18, kind="accounts", eip155=56),
        Chain(name="tron", asset="TRX", decimals=6, kind="accounts"),
        Chain(name="solana", asset="SOL", decimals=9, kind="accounts"),
    )
}
"""The chains by name."""
