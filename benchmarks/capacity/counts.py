"""What nodes say to each other, and keep in the storage: how much of it there is, as formulas.

Each answers a `Tally`, by the same names as what a simulated cluster counts: so a test holds the
one against the other. `nodes` are those that live. Not in them is what a node does again and again
(`rest`), nor what its pub/sub sends to itself.
"""

from __future__ import annotations

from benchmarks.capacity.ports import Tally

__all__ = [
    "BEAT_SECONDS",
    "ask",
    "begin",
    "die",
    "end",
    "hosts",
    "join",
    "join_again",
    "move",
    "publish",
    "rest",
    "resume",
    "revive",
    "start",
]

BEAT_SECONDS = 5.0
"""How often a node says that it lives, and renews its lease in the storage."""


def hosts(nodes: int, members: float) -> float:
    """How many nodes have one of a room's members, which are anywhere."""
    none: float = (1 - 1 / nodes) ** members  # of them are on a node
    return nodes * (1 - none)


def rest(nodes: int, seconds: float) -> Tally:
    """Nobody does anything: O(N²) messages are heard."""
    beats = int(nodes * seconds / BEAT_SECONDS)
    return _to_all(nodes, "beat", beats) + Tally({"stored put nodes": beats})


def begin(nodes: int) -> Tally:
    """A session begins: every node is told of its user, and it is recorded."""
    return _told(nodes) + Tally(
        {"stored get ban": 1, "stored list jobs": 1, "stored put sessions": 1, "subscribed": 1}
    )


def join(nodes: int, *, is_first: bool = False, announces: bool = False) -> Tally:
    """A session comes into a room: every node is told how many are there.

    Args:
        is_first: whether nobody of its node is there.
        announces: whether the room tells its members of each other; a message for the log is that.
    """
    found = _told(nodes) + Tally({"stored get ban": 1, "stored put sessions": 1})
    if is_first:
        found += Tally({"subscribed": 1, "asked place": 1})
    return found + Tally({"said beside": int(announces)})


def join_again() -> Tally:
    """A session asks for a room that it is in: no other node hears of it."""
    return Tally({"stored get ban": 1})


def publish(on: int, events: int = 1, *, is_host: bool = True) -> Tally:
    """Events go to a room.

    Args:
        on: how many nodes have some of its members.
        is_host: whether the one that publishes is among them: the broker sends it what it said.
    """
    return Tally(
        {
            "said event": events,
            "heard event": events * (on - is_host),
            "echoed event": events * is_host,
        }
    )


def ask(*, keyed: bool) -> Tally:
    """A request is served; one with a `requestId` is claimed before, and its outcome kept."""
    return Tally({"stored put requests": 2 * keyed})


def resume(rooms: int) -> Tally:
    """A client comes back to its node, in so many rooms beside its own: no other hears of it."""
    return Tally({"stored get ban": 1 + rooms})


def move(nodes: int, rooms: int, new: int = 0) -> Tally:
    """A client comes back to another node than its session's, which lives.

    All are asked twice, for the session and to let go of it, and all answer both.

    Args:
        new: of the rooms, those that nobody is in on the node where it comes.
    """
    answers = 2 * (nodes - 1) + 2  # who has it says more than that it has said all
    return (
        _to_all(nodes, "call", 2)
        + Tally({"said answer": answers, "heard answer": answers})
        + _told(nodes, 2)  # that it is here, and, later, not there any more
        + _taken_up(rooms, new)
    )


def revive(nodes: int, rooms: int, new: int = 0) -> Tally:
    """A client comes back to another node since its own has died, as the others know."""
    answers = nodes - 1
    return (
        _to_all(nodes, "call", 1)
        + Tally({"said answer": answers, "heard answer": answers})
        + _told(nodes)
        + _taken_up(rooms, new)
    )


def die(nodes: int, users: int, finders: int = 1) -> Tally:
    """A node is found dead: the first to find it tells the others, and all keep who has left.

    Args:
        nodes: how many are left.
        users: of the dead one, in rooms that announce them.
        finders: how many find it at about the same time.
    """
    return _to_all(nodes, "gone", finders) + Tally({"said beside": users * nodes})


def end(nodes: int, announcing: int = 0) -> Tally:
    """A session is over; so many of its rooms announce that."""
    return _told(nodes) + Tally(
        {"said beside": announcing, "stored get sessions": 1, "stored delete sessions": 1}
    )


def start(nodes: int, parts: int = 1, asked: int = 0, said: int = 0) -> Tally:
    """A node joins others, so that there are so many: it says that it is new, and all say all.

    Args:
        parts: messages that each of the others takes for that.
        asked: how many of them are asked once more, as it has heard something else of them before.
        said: how many of these say all once more, as they had done so by then.
    """
    return (
        _to_all(nodes, "enquiry", 1 + asked)
        + _to_all(nodes, "whole", 1 + parts * (nodes - 1 + said))
        + Tally({"subscribed": 2})
    )


def _taken_up(rooms: int, new: int) -> Tally:
    """A session of another node is taken up: it is claimed and let go, found, and recorded.

    What it has missed is asked for before all of it has come here, and behind that.
    """
    return Tally(
        {
            "stored put sessions": 2,
            "stored get sessions": 2,
            "stored delete sessions": 1,
            "stored get ban": 2 + rooms,
            "stored list jobs": 1,
            "subscribed": 1 + new,
            "asked missed": 2,
            "asked place": 1,
        }
    )


def _told(nodes: int, times: int = 1) -> Tally:
    return _to_all(nodes, "changes", times)


def _to_all(nodes: int, kind: str, messages: int) -> Tally:
    """All nodes subscribe to what is for all, so the broker sends it to who says it, too.

    One that is alone has nobody to tell or to call.
    """
    if nodes == 1 and kind in ("changes", "call"):
        return Tally()
    return Tally(
        {
            f"said {kind}": messages,
            f"heard {kind}": messages * (nodes - 1),
            f"echoed {kind}": messages,
        }
    )
