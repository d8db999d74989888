"""A contract as JSON Schemas (2020-12): one for each event, which stands by itself."""

from __future__ import annotations

from lbproto.contract.model import Contract
from lbproto.contract.schemas import Schema, with_references

__all__ = ["json_schemas"]


def json_schemas(contract: Contract) -> dict[str, dict[str, Schema]]:
    """The schemas of all payloads: `clientToServer` and `serverToClient`, each by event."""
    return {
        "clientToServer": {
            each.event: with_references(each.schema, contract.schemas) for each in contract.requests
        },
        "serverToClient": {
            each.event: with_references(each.schema, contract.schemas) for each in contract.events
        },
    }
