"""The index of who is in which room, and the holds of those who join: against a model."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lbproto.delivery.log import Entry, Lane, Log
from lbproto.delivery.turn import Line
from lbproto.rooms.index import Member, Placeholder, Rooms
from lbproto.wire import Frame, WireFormat
from tests.core.harness import FORMATS, Hello

NAMES = ["a", "b", "c"]
PEOPLE = 4
pairs = st.tuples(st.sampled_from(NAMES), st.integers(0, PEOPLE - 1))


class Person:
    """A member that keeps what it is sent."""

    def __init__(self, number: int) -> None:
        self.sid = f"sid-{number}"
        self.format: WireFormat = FORMATS["plain-json"]
        self.got: list[Frame] = []
        self.lane = Lane()
        self.line: Line | None = None

    def push(self, frame: Frame) -> int:
        self.got.append(frame)
        return 0


@dataclass
class Seat:
    """The model of one person in one room."""

    inside: bool = False
    live: bool = False  # gets the room's frames without a hold between
    hold: Placeholder | None = None
    marked: bool = False
    kept: list[Entry] = field(default_factory=list)


class RoomsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.log = Log(60.0, 1_000, 1_000_000)
        self.rooms = Rooms(self.log)
        self.people = [Person(number) for number in range(PEOPLE)]
        self.seats = {(name, who): Seat() for name in NAMES for who in range(PEOPLE)}
        self.joined: list[list[str]] = [[] for _ in range(PEOPLE)]
        self.expected: list[list[Frame]] = [[] for _ in range(PEOPLE)]

    @rule(pair=pairs)
    def add(self, pair: tuple[str, int]) -> None:
        name, who = pair
        seat = self.seats[pair]
        assert self.rooms.add(name, self.people[who]) is not seat.inside
        if not seat.inside:
            seat.inside = True
            seat.live = seat.hold is None
            self.joined[who].append(name)

    @rule(pair=pairs)
    def remove(self, pair: tuple[str, int]) -> None:
        self._remove(*pair)

    @rule(who=st.integers(0, PEOPLE - 1))
    def remove_from_all(self, who: int) -> None:
        for name in list(self.rooms.of(self.people[who])):
            self._remove(name, who)

    def _remove(self, name: str, who: int) -> None:
        seat = self.seats[name, who]
        assert self.rooms.remove(name, self.people[who]) is seat.inside
        if seat.inside:
            seat.inside = seat.live = False
            self.joined[who].remove(name)

    @rule(pair=pairs)
    def hold(self, pair: tuple[str, int]) -> None:
        name, who = pair
        seat = self.seats[pair]
        if seat.hold is None:
            seat.hold = self.rooms.hold(name, self.people[who])

    @rule(pair=pairs)
    def mark(self, pair: tuple[str, int]) -> None:
        seat = self.seats[pair]
        if seat.hold is not None:
            seat.hold.mark()
            seat.marked, seat.live = True, False

    @rule(pair=pairs)
    def release(self, pair: tuple[str, int]) -> None:
        name, who = pair
        seat = self.seats[pair]
        if seat.hold is not None:
            assert seat.hold.newer() == seat.kept
            self.rooms.release(name, self.people[who])
            self.seats[pair] = Seat(inside=seat.inside, live=seat.inside)

    @rule(name=st.sampled_from(NAMES))
    def deliver(self, name: str) -> None:
        frame = Frame(b"x")
        room = self.rooms.get(name)
        if room is None:
            return
        entry = self.log.entry(Hello())
        for member in room.members:
            member.push(frame)
        self.log.append((entry,), room.lane, 0.0)
        for who in range(PEOPLE):
            seat = self.seats[name, who]
            if seat.marked:
                seat.kept.append(entry)
            elif seat.live:
                self.expected[who].append(frame)

    @invariant()
    def rooms_exist_while_somebody_is_there_or_about_to_be(self) -> None:
        used = {name for (name, _), seat in self.seats.items() if seat.inside or seat.hold}
        assert len(self.rooms) == len(used)
        for name in NAMES:
            room = self.rooms.get(name)
            assert (room is not None) == (name in used)
            inside = sum(self.seats[name, who].inside for who in range(PEOPLE))
            assert inside == (0 if room is None else room.count)

    @invariant()
    def both_ways_agree(self) -> None:
        for who, person in enumerate(self.people):
            assert list(self.rooms.of(person)) == self.joined[who]

    @invariant()
    def everybody_got_what_was_theirs(self) -> None:
        for person, expected in zip(self.people, self.expected, strict=True):
            assert person.got == expected


TestRooms = RoomsMachine.TestCase


def members(rooms: Rooms, name: str) -> list[Member]:
    room = rooms.get(name)
    assert room is not None
    return list(room.members)


def test_members_come_in_the_order_they_joined() -> None:
    rooms, people = Rooms(Log(60.0, 10, 10_000)), [Person(number) for number in range(5)]
    for person in people:
        rooms.add("a", person)
    rooms.remove("a", people[1])
    rooms.add("a", people[1])
    assert members(rooms, "a") == [people[0], people[2], people[3], people[4], people[1]]


def publish(log: Log, rooms: Rooms, name: str, now: float = 0.0) -> Entry:
    entry = log.entry(Hello())
    log.append((entry,), rooms[name].lane, now)
    return entry


def test_a_hold_is_bounded() -> None:
    log = Log(60.0, 1_000, 1_000_000)
    rooms, person = Rooms(log, max_held=3), Person(0)
    hold = rooms.hold("a", person)
    hold.mark()
    published = [publish(log, rooms, "a") for _ in range(3)]
    assert hold.newer() == published
    publish(log, rooms, "a")
    assert hold.newer() is None


def test_a_hold_says_so_when_the_log_has_not_kept_what_it_needs() -> None:
    log = Log(60.0, 1_000, 1_000_000)
    rooms, person = Rooms(log), Person(0)
    hold = rooms.hold("a", person)
    hold.mark()
    publish(log, rooms, "a")
    last = publish(log, rooms, "a", now=60.0)
    assert hold.newer() is not None
    log.trim(61.0)
    assert hold.newer() is None
    assert list(rooms["a"].lane.entries) == [last]


def test_a_hold_keeps_nothing_before_its_mark() -> None:
    log = Log(60.0, 1_000, 1_000_000)
    rooms, person = Rooms(log), Person(0)
    hold = rooms.hold("a", person)
    assert members(rooms, "a") == []
    publish(log, rooms, "a")
    hold.mark()
    assert hold.newer() == []
    assert members(rooms, "a") == [hold]
    assert (hold.sid, hold.format) == (person.sid, person.format)
