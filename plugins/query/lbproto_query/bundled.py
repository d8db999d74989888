"""The data that come with this package."""

from __future__ import annotations

from pathlib import Path

from lbproto_query.catalogues import Catalogues

__all__ = ["bundled_catalogues"]


def bundled_catalogues() -> Catalogues:
    """The application `default` with the tables `trades` and `bitcoin_block`."""
    return Catalogues(Path(__file__).parent / "data")
