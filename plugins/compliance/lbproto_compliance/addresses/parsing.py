"""What is an address, chain by chain."""

from __future__ import annotations

import re
from collections.abc import Callable

import sha3

from lbproto import NotFound
from lbproto_compliance.addresses import base58, bech32
from lbproto_compliance.addresses.refusals import MalformedAddress
from lbproto_compliance.chains import CHAINS

__all__ = ["parse"]

_MAX_LENGTH = 128
"""More than any address has, and little enough to look at."""

_BECH32_LIKE = re.compile(r"(?:bc|tb|bcrt)1", re.ASCII | re.IGNORECASE)
_PREFIXES = {"tb": "a test network", "bcrt": "a regression test network"}

_PAYLOAD = 21
"""Bytes of an address in Base58Check: its version, and a hash of 20."""

_BITCOIN = {0: None, 5: None, 111: "a test network", 196: "a test network"}
"""Versions of Bitcoin's addresses, and where those are from that are not of the main network."""

_TRON = {0x41: None, 0xA0: "a test network"}

_SOLANA_BYTES = 32

_HEX = re.compile(r"[0-9a-fA-F]*", re.ASCII)
_EVM_DIGITS = 40


def parse(chain: str, text: str) -> str:
    """The address that a text is, as the chain's addresses are written everywhere here.

    Addresses in hexadecimal or Bech32 come in lower case, those in Base58 as they are.

    Args:
        chain: one of `CHAINS`.
        text: an address of its main network, without anything around it.

    Raises:
        MalformedAddress: it is not an address; the error says why.
        NotFound: there is no such chain.
    """
    reader = _READERS.get(chain)
    if reader is None:
        raise NotFound(f"there is no chain {chain[:40]!r}, but {', '.join(CHAINS)}")
    if not text:
        raise MalformedAddress("length", "it is empty")
    if len(text) > _MAX_LENGTH:
        raise MalformedAddress("length", f"it is longer than {_MAX_LENGTH} characters")
    return reader(text)


def _bitcoin(text: str) -> str:
    if _BECH32_LIKE.match(text):
        network = _PREFIXES.get(bech32.decode_witness(text).prefix)
        if network is not None:
            raise MalformedAddress("network", f"it is of {network}, not of the main one")
        return text.lower()
    if _is_bech32(text):
        raise MalformedAddress("network", "its prefix is not bc, as on Bitcoin's main network")
    return _base58(text, _BITCOIN)


def _is_bech32(text: str) -> bool:
    """Whether it is in Bech32, of whatever chain."""
    try:
        bech32.decode(text)
    except MalformedAddress:
        return False
    return True


def _base58(text: str, versions: dict[int, str | None]) -> str:
    version = base58.decode_checked(text, _PAYLOAD)[0]
    if version not in versions:
        raise MalformedAddress("version", f"no address of this chain has version {version}")
    network = versions[version]
    if network is not None:
        raise MalformedAddress("network", f"it is of {network}, not of the main one")
    return text


def _tron(text: str) -> str:
    return _base58(text, _TRON)


def _solana(text: str) -> str:
    found = len(base58.decode(text))
    if found != _SOLANA_BYTES:
        raise MalformedAddress("length", f"it is {found} bytes long, not {_SOLANA_BYTES}")
    return text


def _evm(text: str) -> str:
    if not text.startswith("0x"):
        raise MalformedAddress("encoding", "it does not begin with 0x")
    digits = text[2:]
    if not _HEX.fullmatch(digits):
        raise MalformedAddress("alphabet", "it has a character that is not a hexadecimal digit")
    if len(digits) != _EVM_DIGITS:
        raise MalformedAddress("length", f"it has {len(digits)} digits, not {_EVM_DIGITS}")
    # Upper and lower case say nothing where they are not mixed (EIP 55).
    if digits not in (digits.lower(), digits.upper()) and digits != _with_checksum(digits.lower()):
        raise MalformedAddress("checksum", "its upper and lower case are not those of EIP 55")
    return text.lower()


def _with_checksum(digits: str) -> str:
    """Hexadecimal digits with those letters in upper case that EIP 55 says."""
    signs: str = sha3.keccak_256(digits.encode()).hexdigest()
    return "".join(
        digit.upper() if sign >= "8" else digit
        for digit, sign in zip(digits, signs[:_EVM_DIGITS], strict=True)
    )


_READERS: dict[str, Callable[[str], str]] = {
    "bitcoin": _bitcoin,
    "ethereum": _evm,
    "polygon": _evm,
    "bsc": _evm,
    "tron": _tron,
    "solana": _solana,
}
