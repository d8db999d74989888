"""What a node knows of the others: by whatever way messages come, it comes to be as it is there."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproto.nodes.messages import (
    Beat,
    Changes,
    Farewell,
    Gone,
    Message,
    Share,
    Whole,
    decode,
    encode,
)
from lbproto.nodes.roster import SILENCE, Moved, Roster, Said
from lbproto.nodes.teller import Teller

ROOMS = ("lobby", "chess", "go")
USERS = ("ada", "bob", "cy")


class Node:
    """A node: what is true of it, and what it believes of the others."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.teller = Teller(name)
        self.roster = Roster(name)
        self.sessions: dict[str, Counter[str]] = {room: Counter() for room in ROOMS}
        self.changed: dict[str, dict[str, bool]] = defaultdict(dict)
        self.counted: Counter[str] = Counter()  # as all that has moved adds up to
        self.present: Counter[tuple[str, str]] = Counter()

    def come(self, room: str, user: str) -> None:
        self.sessions[room][user] += 1
        self.changed[room][user] = True

    def go(self, room: str, user: str) -> None:
        if self.sessions[room][user]:
            self.sessions[room][user] -= 1
            self.changed[room][user] = bool(self.sessions[room][user])

    def told(self) -> list[Said]:
        shares = []
        for room, users in self.changed.items():
            came = tuple(user for user, is_here in users.items() if is_here)
            gone = tuple(user for user, is_here in users.items() if not is_here)
            shares.append(Share(room, self.sessions[room].total(), came, gone))
        self.changed.clear()
        return list(self.teller.changes(shares))

    def whole(self) -> list[Said]:
        changes = self.told()
        shares = (
            Share(room, users.total(), tuple(user for user in users if users[user]))
            for room, users in self.sessions.items()
            if users.total()
        )
        return [*changes, *self.teller.whole(shares)]

    def hear(self, said: Said, now: float) -> None:
        if said.node != self.name:
            self.note(self.roster.hear(said, now))

    def note(self, moves: list[Moved]) -> None:
        for moved in moves:
            assert not set(moved.came) & set(moved.gone)
            self.counted[moved.room] += moved.sessions
            for user in moved.came:
                self.present[moved.room, user] += 1
            for user in moved.gone:
                self.present[moved.room, user] -= 1
                assert self.present[moved.room, user] >= 0, "gone, and had not come"


class World:
    """Nodes, and a network that loses, repeats and reorders."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - of a test
        self.now = 0.0
        self.names = iter(range(1_000))
        self.nodes: list[Node] = []
        for _ in range(3):
            self.begin()

    def begin(self) -> None:
        node = Node(f"node-{next(self.names)}")
        self.nodes.append(node)
        self.send(node.whole(), lossy=True)

    def do(self, what: str, at: int, room: str, user: str, passed: float) -> None:
        self.now += passed
        node = self.nodes[at % len(self.nodes)]
        if what == "come":
            node.come(room, user)
        elif what == "go":
            node.go(room, user)
        elif what == "tell":
            self.send(node.told(), lossy=True)
        elif what == "beat":
            self.beat(lossy=True)
        elif what == "begins" and len(self.nodes) < 5:
            self.begin()
        elif what in ("dies", "leaves") and len(self.nodes) > 2:
            self.nodes.remove(node)
            if what == "leaves":
                self.send([Farewell(node.name)], lossy=False)

    def send(self, messages: list[Said], *, lossy: bool) -> None:
        for node in self.nodes:
            arriving = list(messages)
            if lossy:
                arriving = [each for each in arriving if self.random.random() < 0.8]
                arriving += [each for each in messages if self.random.random() < 0.1]
                if self.random.random() < 0.2:
                    self.random.shuffle(arriving)
            for message in arriving:
                node.hear(message, self.now)

    def beat(self, *, lossy: bool) -> None:
        for node in self.nodes:
            self.send([node.teller.beat()], lossy=lossy)
        for node in self.nodes:
            node.note(node.roster.expire(self.now))
        asked = {name for node in self.nodes for name in node.roster.behind(self.now)}
        for node in self.nodes:
            if node.name in asked:
                self.send(node.whole(), lossy=lossy)

    def check(self) -> None:
        for node in self.nodes:
            others = [other for other in self.nodes if other is not node]
            assert set(node.roster.nodes) == {other.name for other in others}
            for room in ROOMS:
                there = [other.sessions[room] for other in others]
                sessions = sum(users.total() for users in there)
                assert node.roster.count(room) == node.counted[room] == sessions
                users = Counter(user for each in there for user in each if each[user])
                assert Counter(node.roster.users(room)) == users
                assert users == Counter(
                    {user: node.present[room, user] for user in USERS if node.present[room, user]}
                )


steps = st.lists(
    st.tuples(
        st.sampled_from(["come", "come", "go", "tell", "beat", "dies", "leaves", "begins"]),
        st.integers(0, 2),
        st.sampled_from(ROOMS),
        st.sampled_from(USERS),
        st.floats(0, 6),
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(steps, st.integers(0, 10_000))
def test_after_losses_repeats_and_deaths_all_know_the_truth_again(
    done: list[tuple[str, int, str, str, float]], seed: int
) -> None:
    world = World(seed)
    for step in done:
        world.do(*step)
    for node in world.nodes:
        world.send(node.told(), lossy=False)
    for _ in range(2):  # one until it is noticed, and one in case it has just been asked in vain
        world.now += 1.0
        world.beat(lossy=False)
    world.now += SILENCE - 1.0
    for node in world.nodes:
        world.send([node.teller.beat()], lossy=False)
    world.now += 1.0
    for node in world.nodes:
        node.note(node.roster.expire(world.now))
    world.check()


# One by one


def met(teller: Teller, now: float = 0.0) -> Roster:
    """A roster that has met a node."""
    roster = Roster("me")
    for message in teller.whole(()):
        roster.hear(message, now)
    return roster


def test_who_was_there_before_is_no_news_and_who_comes_is() -> None:
    teller, roster = Teller("other"), Roster("me")
    teller.skip()
    (whole,) = teller.whole([Share("lobby", 2, ("ada",))])
    (moved,) = roster.hear(whole, 0.0)
    assert moved == Moved("lobby", 2, {"ada"}, set(), is_news=False)
    (changes,) = teller.changes([Share("lobby", 3, ("bob",))])
    (moved,) = roster.hear(changes, 0.0)
    assert moved == Moved("lobby", 1, {"bob"}, set(), is_news=True)


def test_a_node_that_is_met_late_comes_with_news() -> None:
    for now, is_news in ((9.9, False), (10.1, True)):
        teller, roster = Teller("other"), Roster("me", 0.0)
        teller.skip()  # that it began was not heard, as behind a partition
        (whole,) = teller.whole([Share("lobby", 1, ("ada",))])
        assert roster.hear(whole, now) == [Moved("lobby", 1, {"ada"}, set(), is_news=is_news)]


def test_a_node_that_was_dead_for_us_comes_with_news() -> None:
    teller = Teller("other")
    roster = met(teller)
    (changes,) = teller.changes([Share("lobby", 1, ("ada",))])
    roster.hear(changes, 0.0)
    assert roster.expire(SILENCE - 0.1) == []
    assert roster.expire(SILENCE) == [Moved("lobby", -1, set(), {"ada"}, node_gone=True)]
    assert not roster.nodes
    assert roster.count("lobby") == 0
    roster.hear(teller.beat(), 20.0)
    assert roster.behind(20.0) == ["other"]
    (whole,) = teller.whole([Share("lobby", 1, ("ada",))])
    assert roster.hear(whole, 20.0) == [Moved("lobby", 1, {"ada"}, set(), is_news=True)]


def finds_dead(*users: str, name: str = "third") -> list[Gone]:
    """What a node says that finds "other" dead."""
    teller, roster = Teller("other"), Roster(name)
    all_: list[Said] = [*teller.whole(()), *teller.changes([Share("lobby", len(users), users)])]
    for said in all_:
        roster.hear(said, 0.0)
    gone = list(roster.obituaries(SILENCE))
    roster.expire(SILENCE)
    return gone


def test_that_a_node_is_dead_is_believed_where_it_has_not_been_heard_for_a_while() -> None:
    (gone,) = finds_dead("ada")
    for now, is_believed in ((9.9, False), (10.0, True)):
        roster = met(teller := Teller("other"))
        for said in teller.changes([Share("lobby", 1, ("ada",))]):
            roster.hear(said, 0.0)
        moved = Moved("lobby", -1, set(), {"ada"}, node_gone=True)
        assert roster.hear(gone, now) == ([moved] if is_believed else [])
        assert list(roster.nodes) == ([] if is_believed else ["other"])
        assert roster.hear(gone, now) == []  # as another node says it too


def test_who_has_never_met_a_dead_node_meets_its_users_as_they_go() -> None:
    users = tuple(f"user-{number}" for number in range(5_000))
    first, *parts = finds_dead(*users)
    roster = Roster("me")
    roster.hear(Beat("other", 7), -SILENCE)  # that it has been there is all that is known
    met, left = roster.hear(first, 0.0)
    assert met == Moved("lobby", 0, left.gone, (), is_news=False)
    assert left == Moved("lobby", 0, (), met.came, is_met=False)
    for again in finds_dead(*users, name="fourth"):
        assert roster.hear(again, 0.0) == []  # it was told of all
    gone = [*left.gone]
    for part in parts:
        gone += roster.hear(part, 0.0)[1].gone
    assert gone == list(users)
    assert not roster.nodes
    assert roster.count("lobby") == 0


def test_who_does_not_know_yet_who_was_there_leaves_it_to_others_to_say() -> None:
    newer = Roster("newer")
    newer.hear(Beat("other", 7), 0.0)
    roster = Roster("me")
    told = [*newer.obituaries(SILENCE), *finds_dead("ada")]
    assert [moved.gone for said in told for moved in roster.hear(said, 0.0)] == [(), ("ada",)]


def test_nobody_believes_to_be_dead() -> None:
    (gone,) = finds_dead("ada")
    assert Roster("other").hear(gone, SILENCE) == []


def test_a_node_that_has_left_does_not_return() -> None:
    teller = Teller("other")
    roster = met(teller)
    roster.hear(Farewell("other"), 0.0)
    roster.hear(teller.beat(), 1.0)
    assert not roster.nodes


def test_a_node_that_is_behind_asks_once_a_second() -> None:
    teller = Teller("other")
    roster = met(teller)
    teller.skip()
    roster.hear(teller.beat(), 0.0)
    assert roster.behind(0.0) == ["other"]
    assert roster.behind(0.9) == []
    assert roster.behind(1.0) == ["other"]
    for whole in teller.whole(()):
        roster.hear(whole, 1.0)
    assert roster.behind(9.0) == []


def test_many_users_and_rooms_are_split() -> None:
    teller = Teller("other")
    users = tuple(f"user-{number}" for number in range(5_000))
    rooms = [Share(f"room-{number}", 1) for number in range(5_000)]
    shares = [Share("crowd", 5_000, users), *rooms]
    teller.skip()
    parts = [encode(message) for message in teller.whole(shares)]
    assert len(parts) > 4
    assert max(map(len, parts)) < 40_000
    roster = Roster("me")
    for part in parts:
        message = decode(part)
        assert isinstance(message, Whole)
        roster.hear(message, 0.0)
    assert roster.count("crowd") == 5_000
    assert set(roster.users("crowd")) == set(users)
    assert roster.count("room-4999") == 1
    for changes in teller.changes([Share("crowd", 1, (), users[1:])]):
        roster.hear(changes, 0.0)
    assert list(roster.users("crowd")) == [users[0]]
    for changes in teller.changes([Share("crowd", 0, (), users[:1])]):
        roster.hear(changes, 0.0)
    assert list(roster.users("crowd")) == []


def test_there_are_no_more_nodes_than_any_application_has() -> None:
    roster = Roster("me")
    for number in range(10_000):
        roster.hear(Beat(f"node-{number}", 0), 0.0)
    assert len(roster.nodes) == 256
    roster.expire(SILENCE)
    (gone,) = finds_dead("ada")
    for number in range(10_000):
        roster.hear(Farewell(f"node-{number}"), 0.0)
        roster.hear(Gone("third", f"dead-{number}", gone.shares), 0.0)
    assert len(roster._former) == 256


@pytest.mark.parametrize(
    "message",
    [Changes("n", 3, (Share("lobby", 1, ("ada",), ("bob",)),)), Beat("n", 2), Farewell("n")],
    ids=lambda message: type(message).__name__,
)
def test_messages_survive_their_bytes(message: Message) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize("payload", [b"", b"\xc1", encode(["other"]), encode(["beat", "n", "x"])])
def test_what_is_no_message_is_refused(payload: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(payload)
