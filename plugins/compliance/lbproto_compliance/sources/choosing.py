"""Sources by what an operator names: a file of any layout, or the URL of a node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

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
        places: `http://` or `https://` is a node of Ethereum's kind, `.yaml` a TagPack, `.xml` the
            OFAC's list, and all else an export.
        moment: of recorded files that do not say of which block they are.
        first: height of the first block to ask a node for; None for the chain's first, or where an
            earlier import left off.
        last: height of the last; None for the newest that is confirmed.

    Raises:
        SourceError: something named is missing, or not what it has to be.
        ModuleNotFoundError: it takes the extra `import`.
    """
    exports = []
    others: list[Source] = []
    for place in places:
        make = _node(first, last) if _is_url(place) else _LISTS.get(Path(place).suffix)
        if make is None:
            exports.append(Path(place))
        else:
            others.append(make(chain, place))
    return [*(file_sources(chain, exports, moment) if exports else ()), *others]


def _is_url(place: str) -> bool:
    return place.startswith(("http://", "https://"))


# What follows needs the extra, and is imported when it is asked for.


def _node(first: int | None, last: int | None) -> Callable[[str, str], Source]:
    from lbproto_compliance.sources.json_rpc import JsonRpc

    return partial(JsonRpc, first=first, last=last)


def _tag_pack(chain: str, path: str) -> Source:
    from lbproto_compliance.sources.tagpack import TagPack

    return TagPack(chain, Path(path))


def _ofac(chain: str, path: str) -> Source:
    from lbproto_compliance.sources.ofac import Ofac

    return Ofac(chain, Path(path))


_LISTS: dict[str, Callable[[str, str], Source]] = {
    ".yaml": _tag_pack,
    ".yml": _tag_pack,
    ".xml": _ofac,
}
