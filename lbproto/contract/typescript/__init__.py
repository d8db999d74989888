"""A contract as a TypeScript module for socket.io-client: types, constants, and a typed client."""

from lbproto.contract.typescript.module import typescript

__all__ = ["typescript"]
