"""TagPacks: attributions in YAML, as GraphSense shares them.

The format: github.com/graphsense/graphsense-tagpack-tool, `tagpack_schema.yaml`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from lbproto_compliance.addresses import MalformedAddress, parse
from lbproto_compliance.countries import COUNTRIES
from lbproto_compliance.sources.batches import Attribution, Rejected, SourceError
from lbproto_compliance.sources.lists import Entry, ListFile, shown

__all__ = ["TagPack"]

# Keys and values as they are written: nothing is made a number, such as an address without quotes.
_Tag: TypeAlias = Mapping[str, Any]

_MAX_BYTES = 32 * 1024 * 1024
_MAX_DEPTH = 8

# What a tag says of its own is a field of the header, too, if it is the same for all.
_OF_HEADER = frozenset({"title", "creator", "description", "owner", "is_public", "tags"})

# Names of networks, or of their currencies where a pack names no network.
_NETWORKS = {
    "bitcoin": {"BTC", "XBT", "BITCOIN"},
    "ethereum": {"ETH", "ETHEREUM"},
    "polygon": {"POL", "MATIC", "POLYGON"},
    "bsc": {"BNB", "BSC"},
    "tron": {"TRX", "TRON"},
    "solana": {"SOL", "SOLANA"},
}

# Levels of the taxonomy `confidence`, in per cent.
_CONFIDENCES = {
    "override": 100,
    "ownership": 100,
    "manual_transaction": 90,
    "service_api": 70,
    "authority_data": 60,
    "trusted_provider": 50,
    "service_data": 50,
    "forensic": 50,
    "untrusted_transaction": 40,
    "web_crawl": 20,
    "heuristic": 10,
    "unknown": 5,
}

# Concepts of the taxonomy. A `market` may be any; it takes `dark_web` to make it a darknet's.
_CATEGORIES = {
    "sanction": "sanctioned",
    "ransomware": "ransomware",
    "service_hack": "stolen_funds",
    "scam": "scam",
    "phishing": "scam",
    "ponzi_scheme": "scam",
    "pyramid_scheme": "scam",
    "investment_fraud": "scam",
    "payment_card_fraud": "scam",
    "extortion": "scam",
    "sextortion": "scam",
    "mixing_service": "mixer",
    "mixing": "mixer",
    "coinjoin": "mixer",
    "gambling": "gambling",
    "exchange": "exchange",
    "defi": "defi",
    "defi_dex": "defi",
    "defi_lending": "defi",
    "defi_derivative": "defi",
    "defi_bridge": "defi",
    "miner": "mining_pool",
    "mining_service": "mining_pool",
    "user": "individual",
    "donation": "individual",
}
_DARKNET_MARKET = {"market", "dark_web"}

# The gravest first: it is the one that a tag gets.
_GRAVITY = (
    "sanctioned",
    "ransomware",
    "stolen_funds",
    "darknet_market",
    "scam",
    "mixer",
    "gambling",
    "exchange",
    "defi",
    "mining_pool",
    "individual",
)


class TagPack(ListFile):
    """The attributions of one chain in a TagPack. Tags of other chains are passed over.

    A field that GraphSense's have not is read as well: `country`, by the two letters of ISO 3166.

    Their source is the file's name, the pack's title and its creator: a newer file of that name
    takes the place of an older one.

    Args:
        chain: whose.
        path: of the file.

    Raises:
        SourceError: the file cannot be read, or is larger than 32 MiB.
    """

    def __init__(self, chain: str, path: Path) -> None:
        super().__init__("tagpack", path, _MAX_BYTES)
        self._chain = chain
        self._path = path

    def _entries(self) -> tuple[str, list[Entry]]:
        try:
            pack = _load(self._path.read_bytes())
            source = self._source(pack)
            return source, list(self._tags(pack, source))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise SourceError(f"{self._path} is not a TagPack: {error}") from None

    def _source(self, pack: _Tag) -> str:
        if "header" in pack:
            raise ValueError("its header is in another file; put that into this one")
        title, creator = (shown(key, _text(pack, key) or "") for key in ("title", "creator"))
        # A newer list takes the place of what is of the same source, and titles are not unique.
        return f"{self._path.name}: {title} ({creator})"

    def _tags(self, pack: _Tag, source: str) -> Iterator[Entry]:
        common = {key: value for key, value in pack.items() if key not in _OF_HEADER}
        tags = pack.get("tags")
        if not isinstance(tags, list):
            raise ValueError("it has no list of tags")
        for number, own in enumerate(tags, start=1):
            try:
                if not isinstance(own, dict):
                    raise ValueError("it has no fields")
                tag = common | own
                if self._is_ours(tag):
                    yield _attribution(self._chain, tag, source)
            except (ValueError, MalformedAddress) as error:
                yield Rejected.of(f"tag {number}", str(error), json.dumps(own))

    def _is_ours(self, tag: _Tag) -> bool:
        network = _text(tag, "network") or _text(tag, "currency")
        if network is None:
            raise ValueError("it names no network and no currency")
        return network.upper() in _NETWORKS[self._chain]


def _load(data: bytes) -> _Tag:
    """The file as YAML, if it is not made to be large where it looks small.

    Raises:
        ValueError, yaml.YAMLError: it is not such YAML.
    """
    depth = 0
    for event in yaml.parse(data, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("it has aliases, which TagPacks have no use for")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise ValueError(f"it is nested more than {_MAX_DEPTH} deep")
    pack = yaml.load(data, Loader=yaml.CBaseLoader)  # noqa: S506 (it makes texts only)
    if not isinstance(pack, dict):
        raise ValueError("it has no fields")
    return pack


def _attribution(chain: str, tag: _Tag, source: str) -> Attribution:
    """A row of a tag with its header's fields, or `ValueError`."""
    address, actor = _text(tag, "address"), _text(tag, "actor")
    if address is None:
        raise ValueError("it is about no address")
    return Attribution(
        address=parse(chain, address),
        label=shown("label", _text(tag, "label") or ""),
        category=shown("category", _category(tag)),
        source=source,
        source_url=shown("source", _text(tag, "source") or ""),
        listed_on=_day(tag),
        confidence=_confidence(tag),
        country=_country(tag),
        entity=None if actor is None else shown("actor", actor),
    )


def _category(tag: _Tag) -> str:
    """The gravest of what is said; an unknown one as it is, and `service` if nothing is."""
    concepts = tag.get("concepts", [])
    if not isinstance(concepts, list):
        raise ValueError("its concepts are not a list")
    said = [_text(tag, "abuse"), _text(tag, "category"), *map(str, concepts)]
    named = [each.lower().replace(" ", "_") for each in said if each]
    found = {_CATEGORIES[each] for each in named if each in _CATEGORIES}
    if _DARKNET_MARKET.issubset(named):
        found.add("darknet_market")
    if found:
        return min(found, key=_GRAVITY.index)
    return next(iter(named), "service")


def _confidence(tag: _Tag) -> float:
    level = _text(tag, "confidence") or "unknown"
    if level not in _CONFIDENCES:
        raise ValueError(f"its confidence is not a known level: {level[:40]!r}")
    return _CONFIDENCES[level] / 100


def _country(tag: _Tag) -> str | None:
    country = _text(tag, "country")
    if country is not None and country not in COUNTRIES:
        raise ValueError(f"its country is not in ISO 3166: {country[:40]!r}")
    return country


def _day(tag: _Tag) -> date | None:
    moment = _text(tag, "lastmod")
    if moment is None:
        return None
    try:
        return date.fromisoformat(moment[:10])
    except ValueError:
        raise ValueError(f"it was changed at no time: {moment[:40]!r}") from None


def _text(tag: _Tag, key: str) -> str | None:
    value = tag.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f"its {key} is not text")
    return value.strip()
