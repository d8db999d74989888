"""Where rows come from: exports of nodes, nodes and explorers over HTTP, lists of who is who."""

from lbproto_compliance.sources.batches import (
    Attribution,
    Batch,
    Coin,
    Rejected,
    Row,
    Source,
    SourceError,
    Table,
    Transfer,
)

__all__ = [
    "Attribution",
    "Batch",
    "Coin",
    "Rejected",
    "Row",
    "Source",
    "SourceError",
    "Table",
    "Transfer",
]
