"""The logs in Redis of what is published, one per shard, with rising numbers.

    <prefix>:{<shard>}:head         a hash: see `redis_log.lua`
    <prefix>:{<shard>}:log          a stream of parcels
    <prefix>:{<shard>}:from:<node>  how many of a node's messages have come

A log begins anew, as another epoch, where the server has lost some of it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from hashlib import sha1
from importlib.resources import files
from itertools import count
from typing import NamedTuple
from zlib import crc32

from redis import exceptions
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from lbproto.backends.parcels import Place
from lbproto.backends.redis_link import Command, RedisLink

__all__ = [
    "MAX_SHARDS",
    "Append",
    "Bounds",
    "Head",
    "Logged",
    "Logs",
    "Page",
    "opened",
    "shard_of",
    "tags",
]

MAX_SHARDS = 6
"""Of more a position would not fit into its 256 characters."""

_FROM_SECONDS = 3_600  # longer than anybody asks for it, or sends again what was not answered
_PAGE_PARCELS = 256  # parcels that are read at once


def tags(shards: int) -> list[str]:
    """The hash tags of so many shards: each in its part of a cluster's slots, all as large."""
    found: dict[int, str] = {}
    numbers = count()
    while len(found) < shards:
        tag = f"{{{next(numbers)}}}"
        found.setdefault(key_slot(tag.encode()) * shards // REDIS_CLUSTER_HASH_SLOTS, tag)
    return [found[shard] for shard in range(shards)]


def shard_of(channel: str, shards: int) -> int:
    """Which shard a channel belongs to: the same for every node."""
    return crc32(channel.encode("utf-8", "surrogatepass")) % shards


class Bounds(NamedTuple):
    """The bounds of a log.

    Attributes:
        messages: how many.
        bytes: of how many bytes.
        seconds: how old.
    """

    messages: int
    bytes: int
    seconds: float


class Append(NamedTuple):
    """Parcels appended to a shard in one step.

    Attributes:
        tag: of the shard.
        known: a place in its log that the node knows.
        taken: how many messages of the node have come to it.
        own: how many will have with these; 0 where there are none.
        parcels: each with its name behind the tag, and how many messages it counts for.
    """

    tag: str
    known: Place
    taken: int
    own: int
    parcels: Sequence[tuple[str, int, bytes]]


class Logged(NamedTuple):
    """A parcel in the log.

    Attributes:
        place: of its last message.
        follows: the number of the last message before it.
        name: of the channel, behind the tag.
        data: the parcel.
    """

    place: Place
    follows: int
    name: str
    data: bytes


class Page(NamedTuple):
    """Some of a log: how far it has got, and the parcels that were asked for, if there are any."""

    place: Place
    parcels: Sequence[Logged]


class Head(NamedTuple):
    """The end of a log, and the message counts of nodes in it."""

    place: Place
    own: Sequence[int]


class Logs:
    """Calls for the logs, by way of whatever link there is.

    Args:
        prefix: what all keys and channels begin with.
        node: who calls.
        bounds: of each log.
    """

    def __init__(self, prefix: str, node: str, bounds: Bounds) -> None:
        self._prefix = prefix
        self._node = node
        seconds = round(bounds.seconds * 1_000)
        self._bounds = bounds.messages, bounds.bytes, seconds, _FROM_SECONDS

    async def append(self, link: RedisLink, appends: Sequence[Append]) -> list[Place]:
        """Have parcels numbered, logged and published; how far each log has got then."""
        calls = [(each.tag, self._arguments(link, each)) for each in appends]
        answers = await link.ask([(tag, ("EVALSHA", _SHA, *call)) for tag, call in calls])
        for at, answer in enumerate(answers):
            if isinstance(answer, exceptions.NoScriptError):
                tag, call = calls[at]
                (answers[at],) = await link.ask([(tag, ("EVAL", _SCRIPT, *call))])
        return [Place(*answer) for answer in answers]

    def _arguments(self, link: RedisLink, append: Append) -> Command:
        tag, known, taken, own, parcels = append
        arguments: list[str | bytes | int] = [
            3,
            self._key(tag, "head"),
            self._key(tag, "log"),
            self._key(tag, f"from:{self._node}"),
            f"{link.kind}PUBLISH",
            self._key(tag, ""),
            *known,
            taken,
            own,
            *self._bounds,
        ]
        for name, messages, data in parcels:
            arguments += name.encode("utf-8", "surrogatepass"), messages, data
        return arguments

    async def read(self, link: RedisLink, tag: str, first: int) -> Page:
        """The next parcels of a log.

        Args:
            first: the number of the first message that is wanted.
        """
        entries, head = await link.ask(
            [
                (tag, ("XRANGE", self._key(tag, "log"), first, "+", "COUNT", _PAGE_PARCELS)),
                (tag, ("HMGET", self._key(tag, "head"), "epoch", "number")),
            ]
        )
        place = Place(*(int(field or 0) for field in head))
        return Page(place, [_logged(place.epoch, *entry) for entry in entries])

    async def head(self, link: RedisLink, tag: str, nodes: Collection[str]) -> Head:
        """How far a log has got, and how many messages of each of some nodes have come to it."""
        head, *own = await link.ask(
            [
                (tag, ("HMGET", self._key(tag, "head"), "epoch", "number")),
                *((tag, ("GET", self._key(tag, f"from:{node}"))) for node in nodes),
            ]
        )
        return Head(Place(*(int(field or 0) for field in head)), [int(each or 0) for each in own])

    def _key(self, tag: str, name: str) -> str:
        return f"{self._prefix}:{tag}:{name}"


def _logged(epoch: int, id_: bytes, fields: Sequence[bytes]) -> Logged:
    _, name, _, messages, _, data = fields
    number = int(id_.partition(b"-")[0])
    follows = number - int(messages)
    return Logged(Place(epoch, number), follows, name.decode("utf-8", "surrogatepass"), data)


def opened(data: bytes) -> tuple[Place, bytes]:
    """What has come by a channel: how far the log has got with it, and the parcel.

    Raises:
        ValueError: it is nothing that was published so.
    """
    epoch, number, parcel = data.split(b" ", 2)
    return Place(int(epoch), int(number)), parcel


_SCRIPT = files("lbproto.backends").joinpath("redis_log.lua").read_text("utf-8")
_SHA = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()  # what Redis calls it by
