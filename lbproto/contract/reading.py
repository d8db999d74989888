"""From an AsyncAPI document that lbproto has written back to the contract."""

from __future__ import annotations

from typing import Any

import msgspec

from lbproto.contract.asyncapi import EXTENSION, FORMAT
from lbproto.contract.model import Code, Contract, Emitted, Limits, Part, Request, Room
from lbproto.contract.schemas import references

__all__ = ["NotAContract", "read"]


class NotAContract(ValueError):
    """A document was not written by lbproto; the message says why, for people."""


class _Own(Part, kw_only=True):
    format: int
    codes: dict[str, Code]
    limits: Limits


class _Info(Part, kw_only=True):
    title: str
    version: str


class _Named(msgspec.Struct, rename={"own": EXTENSION}):
    """A channel or an operation."""

    own: msgspec.Raw = msgspec.Raw()
    action: str = ""


class _Components(msgspec.Struct):
    schemas: dict[str, dict[str, Any]]


class _Document(msgspec.Struct, rename={"own": EXTENSION}):
    own: _Own
    info: _Info
    channels: dict[str, _Named]
    operations: dict[str, _Named]
    components: _Components


def read(document: bytes) -> Contract:
    """The contract that a document in JSON describes; its schemas are those of the document.

    Raises:
        NotAContract: it is no such document.
    """
    try:
        found = msgspec.json.decode(document, type=_Document)
        contract = _contract(found)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise NotAContract(f"it is not a contract written by lbproto: {error}") from None
    if found.own.format != FORMAT:
        raise NotAContract(f"its format is {found.own.format}, and this lbproto reads {FORMAT}")
    _check(contract)
    return contract


def _contract(found: _Document) -> Contract:
    operations = found.operations.values()
    return Contract(
        title=found.info.title,
        version=found.info.version,
        requests=tuple(
            msgspec.json.decode(each.own, type=Request)
            for each in operations
            if each.own and each.action == "receive"
        ),
        events=tuple(
            msgspec.json.decode(each.own, type=Emitted)
            for each in operations
            if each.own and each.action == "send"
        ),
        rooms=tuple(
            msgspec.json.decode(each.own, type=Room) for each in found.channels.values() if each.own
        ),
        codes=found.own.codes,
        limits=found.own.limits,
        schemas=found.components.schemas,
    )


def _check(contract: Contract) -> None:
    """What is referred to is there."""
    named = {each.schema for each in contract.requests}
    named |= {each.schema for each in contract.events}
    try:
        for schema in contract.schemas.values():
            named.update(references(schema))
    except RecursionError:
        raise NotAContract("its schemas are nested too deeply") from None
    missing = sorted(named - contract.schemas.keys())
    if missing:
        raise NotAContract(f"it has no schema {missing[0]!r}")
