"""Addresses: whether a text is one of a chain's, why not, and how it is written."""

from lbproto_compliance.addresses.parsing import parse
from lbproto_compliance.addresses.refusals import MalformedAddress, Reason

__all__ = ["MalformedAddress", "Reason", "parse"]
