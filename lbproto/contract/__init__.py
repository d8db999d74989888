"""The contract of a server as data, read from its registry: what its documentation is made of."""

from lbproto.contract.catalogue import EventEntry, RoomEntry, events, rooms

__all__ = ["EventEntry", "RoomEntry", "events", "rooms"]
