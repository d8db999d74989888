"""Sources by what an operator names: a file of any layout, or a URL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lbproto_compliance.chains import CHAINS
from lbproto_compliance.sources.batches import Source
from lbproto_compliance.sources.layouts import file_sources
from lbproto_compliance.sources.recorded import Moment

__all__ = ["choose"]


def choose(
    chain: str,
    places: Sequence[str],
    *,
    moment: Moment | None = None,
    first: int | None = None,
    last: int | None = None,
) -> list[Source]:
    """The sources that are named; blocks, since files are read once for their digests.

    Args:
        chain: a name of `CHAINS`.
        places: `http://` or `https://` is a node of Ethereum's kind, or for Bitcoin what speaks
            Esplora's HTTP; `.yaml` is a TagPack, `.xml` the OFAC's list, and all else an export.
        moment: of recorded files that do not say of which block they are.
        first: height of the first block to ask a URL for; None for the chain's first, or where an
            earlier import left off.
        last: height of the last; None for the newest that is confirmed.

    Raises:
        SourceError: something named is missing, or not what it has to be.
        ModuleNotFoundError: it takes the extra `import`.
    """
    exports = []
    others: list[Source] = []
    for place in places:
        if place.startswith(("http://", "https://")):
            others.append(_node(chain, place, first, last))
        elif (read := _LISTS.get(Path(place).suffix.lower())) is not None:  # as in SDN.XML
            others.append(read(chain, Path(place)))
        else:
            exports.append(Path(place))
    return [*(file_sources(chain, exports, moment) if exports else ()), *others]


# What follows needs the extra, and is imported when it is asked for.


def _node(chain: str, url: str, first: int | None, last: int | None) -> Source:
    if CHAINS[chain].kind == "coins":
        from lbproto_compliance.sources.esplora import Esplora

        return Esplora(url, first=first, last=last)
    from lbproto_compliance.sources.json_rpc import JsonRpc

    return JsonRpc(chain, url, first=first, last=last)


def _tag_pack(chain: str, path: Path) -> Source:
    from lbproto_compliance.sources.tagpack import TagPack

    return TagPack(chain, path)


def _ofac(chain: str, path: Path) -> Source:
    from lbproto_compliance.sources.ofac import Ofac

    return Ofac(chain, path)


_LISTS: dict[str, Callable[[str, Path], Source]] = {
    ".yaml": _tag_pack,
    ".yml": _tag_pack,
    ".xml": _ofac,
}
