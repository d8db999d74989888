"""Who a room has been told of: announcements come in pairs, whatever the order of things."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lbproto.rooms.presence import LOUD_BELOW, QUIET_ABOVE, Presence

users = st.sampled_from([f"user-{number}" for number in range(6)])


class PresenceMachine(RuleBasedStateMachine):
    """Six users with many sessions, here and on other nodes, and a crowd that fills the room."""

    def __init__(self) -> None:
        super().__init__()
        self.presence = Presence()
        self.sessions: Counter[str] = Counter()
        self.elsewhere: Counter[str] = Counter()  # each on a node of its own
        self.seen: set[str] = set()  # whom a member that listens believes to be here
        self.quiet = False
        self.crowd = 0

    @property
    def total(self) -> int:
        return self.sessions.total() + self.elsewhere.total()

    def _come(self, user: str, places: Counter[str], come: Callable[[str], bool]) -> None:
        self.quiet = self.quiet or self.total + 1 > QUIET_ABOVE
        told = come(user)
        assert told is (self.sessions[user] + self.elsewhere[user] == 0 and not self.quiet)
        places[user] += 1
        if told:
            assert user not in self.seen, "joined twice"
            self.seen.add(user)

    def _go(self, user: str, places: Counter[str], go: Callable[[str], bool]) -> None:
        told = go(user)
        places[user] -= 1
        if self.total < LOUD_BELOW:
            self.quiet = False
        gone = self.sessions[user] + self.elsewhere[user] == 0
        assert told is (gone and user in self.seen)
        self.seen -= {user} if told else set()

    def _join(self, user: str) -> None:
        self._come(user, self.sessions, self.presence.join)

    def _leave(self, user: str) -> None:
        self._go(user, self.sessions, self.presence.leave)

    def _appear(self, user: str) -> bool:
        self.presence.grow(1)
        return self.presence.appear(user)

    def _vanish(self, user: str) -> bool:
        self.presence.grow(-1)
        return self.presence.vanish(user)

    @rule(user=users)
    def appear_elsewhere(self, user: str) -> None:
        self._come(user, self.elsewhere, self._appear)

    @rule(user=users)
    def vanish_elsewhere(self, user: str) -> None:
        if self.elsewhere[user]:
            self._go(user, self.elsewhere, self._vanish)

    @rule(user=users)
    def join(self, user: str) -> None:
        self._join(user)

    @rule(user=users)
    def leave(self, user: str) -> None:
        if self.sessions[user]:
            self._leave(user)

    @precondition(lambda self: self.crowd < 300)
    @rule(size=st.sampled_from([1, 40, 150, 199]))
    def crowd_comes(self, size: int) -> None:
        for _ in range(size):
            self.crowd += 1
            self._join(f"crowd-{self.crowd}")

    @precondition(lambda self: self.crowd)
    @rule(size=st.sampled_from([1, 30, 60, 150]))
    def crowd_goes(self, size: int) -> None:
        for _ in range(min(size, self.crowd)):
            self._leave(f"crowd-{self.crowd}")
            self.crowd -= 1

    @invariant()
    def no_ghosts(self) -> None:
        assert self.seen <= set(+self.sessions) | set(+self.elsewhere)

    @invariant()
    def sessions_are_counted(self) -> None:
        assert len(self.presence) == self.total
        assert set(self.presence.here) == set(+self.sessions)

    def teardown(self) -> None:
        for user, sessions in list(self.sessions.items()):
            for _ in range(sessions):
                self._leave(user)
        for user, nodes in list(self.elsewhere.items()):
            for _ in range(nodes):
                self._go(user, self.elsewhere, self._vanish)
        assert not self.seen
        assert not self.presence


PresenceMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestPresence = PresenceMachine.TestCase


def test_the_cut_over_and_its_hysteresis() -> None:
    presence = Presence()
    told = [presence.join(f"u{number}") for number in range(205)]
    assert told == [True] * 200 + [False] * 5
    for number in range(204, 149, -1):
        assert presence.leave(f"u{number}") is (number < 200)
        assert presence.join("late") is False
        assert presence.leave("late") is False
    assert len(presence) == 150
    assert presence.join("still quiet") is False
    presence.leave("still quiet")
    assert presence.leave("u149") is True
    assert presence.join("loud again") is True


def test_a_user_of_the_quiet_time_is_never_half_announced() -> None:
    presence = Presence()
    for number in range(QUIET_ABOVE):
        presence.join(f"u{number}")
    assert presence.join("quiet") is False
    for number in range(QUIET_ABOVE):
        presence.leave(f"u{number}")
    assert presence.join("quiet") is False  # a second session, in a loud room
    assert presence.leave("quiet") is False
    assert presence.leave("quiet") is False
    assert presence.join("quiet") is True
