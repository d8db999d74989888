"""Sanctioned addresses from the lists of the United States' Office of Foreign Assets Control.

The SDN list in XML, in both of its forms: `SDN.XML`, and `SDN_ADVANCED.XML`, which alone tells
since when somebody is on it; and the consolidated list of others, in the same two forms. All are at
sanctionslist.ofac.treas.gov.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException

from lbproto_compliance.addresses import MalformedAddress, parse
from lbproto_compliance.sources.batches import Attribution, Rejected, SourceError
from lbproto_compliance.sources.lists import Entry, ListFile, shown
from lbproto_compliance.sources.sdn import Listed, read_list

__all__ = ["Ofac"]

# The advanced form has about 130 MB in 2026.
_MAX_BYTES = 1024 * 1024 * 1024

# The shorter form does not say which of the two lists it is, but for the name of the file
# (CONSOLIDATED.XML, CONS_ADVANCED.XML).
_SOURCE = "OFAC SDN"
_CONSOLIDATED = "OFAC consolidated list"
_URL = "https://sanctionssearch.ofac.treas.gov/Details.aspx?id="

# What the list calls a chain's own currency. Tokens are on several chains, which it does not tell.
_CURRENCIES = {
    "bitcoin": {"XBT", "BTC"},
    "ethereum": {"ETH"},
    "polygon": {"POL", "MATIC"},
    "bsc": {"BSC", "BNB"},
    "tron": {"TRX"},
    "solana": {"SOL"},
}


class Ofac(ListFile):
    """Those on a list that can be addresses of one chain; others are passed over.

    A file whose name begins with `cons` is the consolidated list, any other the SDN list. A newer
    list takes the place of an older one, and neither that of the other.

    Whatever currency an address is listed for: the same key, or script, is behind the same address
    on every chain that writes addresses alike.

    The label is the name, and in brackets the programmes that somebody is sanctioned under. Listed
    on is the day of the entry, or of the list itself where that does not tell (`SDN.XML`).

    Args:
        chain: whose.
        path: of the file.

    Raises:
        SourceError: the file cannot be read, or is larger than 1 GiB.
    """

    def __init__(self, chain: str, path: Path) -> None:
        super().__init__("ofac", path, _MAX_BYTES)
        self._chain = chain
        self._path = path
        self._list = _CONSOLIDATED if path.name.lower().startswith("cons") else _SOURCE

    def _entries(self) -> tuple[str, list[Entry]]:
        try:
            with self._path.open("rb") as file:
                entries = [entry for listed in read_list(file) for entry in self._of(listed)]
        except ParseError as error:
            raise SourceError(
                f"{self._path} is cut off or no XML ({error}): download it again"
            ) from None
        except DefusedXmlException:
            raise SourceError(f"{self._path} declares entities, which the list does not") from None
        except (OSError, ValueError) as error:
            raise SourceError(f"{self._path}: {error}") from None
        return self._list, entries

    def _of(self, listed: Listed) -> Iterator[Entry]:
        seen = set()
        for currency, text in listed.addresses:
            try:
                row = self._attribution(listed, text)
            except MalformedAddress as error:
                if currency not in _CURRENCIES[self._chain]:
                    continue
                reason = str(error)
            except ValueError as error:
                reason = str(error)
            else:
                # One may be listed for a currency, and again for a token on its chain.
                if row.address not in seen:
                    seen.add(row.address)
                    yield row
                continue
            yield Rejected.of(f"entry {listed.uid}", reason, f"{listed.name}: {currency} {text}")

    def _attribution(self, listed: Listed, text: str) -> Attribution:
        programmes = f" [{', '.join(listed.programmes)}]" if listed.programmes else ""
        return Attribution(
            address=parse(self._chain, text),
            label=shown("name", listed.name + programmes),
            category="sanctioned",
            source=self._list,
            source_url=_URL + listed.uid,
            listed_on=listed.listed_on,
            confidence=1.0,
            country=listed.country,
            entity=f"OFAC {listed.uid}",
        )
