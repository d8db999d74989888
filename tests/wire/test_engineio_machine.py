"""One Engine.IO session's states: every state meets every packet on every channel, and time."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lbproto.frame import Message
from lbproto.wire import ProtocolError, Settings
from lbproto.wire.engineio import Engine, State

P, R, W, C = State.POLLING, State.PROBED, State.WEBSOCKET, State.CLOSED

PACKETS: tuple[Message, ...] = (
    "", '0{"sid":"x"}', "1", "2", "2probe", "3", "3probe", "4hi", "5", "6", "7", "abc", b"", b"hi",
)  # fmt: skip

REFUSED = "refused"

# On the session's own transport: what is handed on, and the state after it, from any state that
# is not closed. A state that is not named stays.
MAIN: dict[Message, tuple[Message | None, State | None]] = {
    "1": (None, C),
    "3": (None, None),
    "3probe": (None, None),
    "4hi": ("hi", None),
    "6": (None, None),
    b"": (b"", None),
    b"hi": (b"hi", None),
}

# On the websocket beside it: the answer and the state after it; all else is refused.
BESIDE: dict[tuple[State, Message], tuple[str | None, State]] = {
    (P, "2probe"): ("3probe", R),
    (R, "5"): (None, W),
}

TIMES = Settings(ping_interval=25.0, ping_timeout=20.0)


def machine_in(state: State) -> Engine:
    machine = Engine("sid", TIMES, 0.0, websocket=state is W)
    if state is R:
        machine.receive_probe("2probe")
    if state is C:
        machine.receive("1")
    assert machine.state is state
    return machine


@pytest.mark.parametrize("packet", PACKETS, ids=repr)
@pytest.mark.parametrize("state", [P, R, W], ids=lambda state: state.value)
def test_every_packet_in_every_state(state: State, packet: Message) -> None:
    machine = machine_in(state)
    if packet not in MAIN:
        with pytest.raises(ProtocolError):
            machine.receive(packet)
        assert machine.state is state
        return
    message, after = MAIN[packet]
    assert machine.receive(packet) == message
    assert machine.state is (after or state)


@pytest.mark.parametrize("packet", PACKETS, ids=repr)
@pytest.mark.parametrize("state", list(State), ids=lambda state: state.value)
def test_every_packet_beside_every_state(state: State, packet: Message) -> None:
    machine = machine_in(state)
    if (state, packet) not in BESIDE:
        with pytest.raises(ProtocolError):
            machine.receive_probe(packet)
        assert machine.state is state
        return
    answer, after = BESIDE[state, packet]
    assert machine.receive_probe(packet) == answer
    assert machine.state is after


@pytest.mark.parametrize("packet", PACKETS, ids=repr)
def test_nothing_opens_a_closed_session_again(packet: Message) -> None:
    machine = machine_in(C)
    try:
        machine.receive(packet)
    except ProtocolError:
        assert packet not in MAIN
    machine.probe_lost()
    assert machine.tick(1e9) is False
    assert machine.state is C


@pytest.mark.parametrize(
    ("state", "after"), [(P, P), (R, P), (W, W), (C, C)], ids=lambda state: state.value
)
def test_a_lost_probe_only_matters_while_it_probes(state: State, after: State) -> None:
    machine = machine_in(state)
    machine.probe_lost()
    assert machine.state is after


def test_after_a_lost_probe_another_may_follow() -> None:
    machine = machine_in(R)
    machine.probe_lost()
    assert machine.receive_probe("2probe") == "3probe"
    assert machine.receive_probe("5") is None
    assert machine.state is W


@pytest.mark.parametrize("state", [P, R, W], ids=lambda state: state.value)
def test_a_dead_peer_is_found_exactly_when_promised(state: State) -> None:
    machine = machine_in(state)
    assert machine.deadline == 25.0
    assert machine.tick(24.999) is False
    assert machine.tick(25.0) is True
    assert machine.deadline == 45.0
    assert machine.tick(44.999) is False
    assert machine.state is state
    assert machine.tick(45.0) is False
    assert machine.state is C


def test_a_late_timer_gives_a_dead_peer_no_more_time() -> None:
    machine = machine_in(W)
    assert machine.tick(44.0) is True  # 19 s late
    assert machine.deadline == 45.0


def test_an_answer_moves_the_next_ping_to_its_interval() -> None:
    machine = machine_in(W)
    for due in (25.0, 50.0, 75.0):
        assert machine.deadline == due
        assert machine.tick(due) is True
        machine.receive("3")
    assert machine.state is W


def test_an_answer_nobody_asked_for_buys_no_time() -> None:
    machine = machine_in(W)
    for _ in range(5):
        machine.receive("3")
    assert machine.deadline == 25.0
    machine.tick(25.0)
    machine.receive("3")
    machine.receive("3")
    assert machine.deadline == 50.0


def test_messages_are_no_answer_to_a_ping() -> None:
    machine = machine_in(W)
    machine.tick(25.0)
    machine.receive("4I am alive")
    machine.tick(45.0)
    assert machine.state is C


def test_an_excused_peer_has_the_whole_time_again() -> None:
    machine = machine_in(W)
    machine.excuse(10.0)
    assert machine.deadline == 25.0  # nothing to excuse: no ping was sent
    machine.tick(25.0)
    machine.excuse(45.0)
    assert machine.tick(45.0) is False
    assert (machine.state, machine.deadline) == (W, 65.0)
    machine.receive("3")
    assert machine.deadline == 70.0


class EngineMachine(RuleBasedStateMachine):
    """Any sequence of packets, probes and times, against a model that is written another way."""

    times: ClassVar = st.floats(min_value=0.25, max_value=64, width=16)

    @initialize(websocket=st.booleans(), interval=times, timeout=times)
    def open(self, websocket: bool, interval: float, timeout: float) -> None:
        self.now = 100.0
        self.interval, self.timeout = interval, timeout
        times = Settings(ping_interval=interval, ping_timeout=timeout)
        self.machine = Engine("sid", times, self.now, websocket=websocket)
        self.state = "websocket" if websocket else "polling"
        self.next_ping = self.now + interval
        self.answer_by: float | None = None  # while a ping is not answered

    @rule(packet=st.sampled_from(PACKETS))
    def receive(self, packet: Message) -> None:
        try:
            self.machine.receive(packet)
        except ProtocolError:
            assert packet not in MAIN
            return
        assert packet in MAIN
        if packet == "1":
            self.state = "closed"
        elif packet in ("3", "3probe") and self.answer_by is not None:
            self.next_ping = self.answer_by - self.timeout + self.interval
            self.answer_by = None

    @rule(packet=st.sampled_from(PACKETS))
    def receive_beside(self, packet: Message) -> None:
        try:
            answer = self.machine.receive_probe(packet)
        except ProtocolError:
            assert (self.state, packet) not in (("polling", "2probe"), ("probed", "5"))
            return
        if packet == "2probe":
            assert (self.state, answer) == ("polling", "3probe")
            self.state = "probed"
        else:
            assert (self.state, packet, answer) == ("probed", "5", None)
            self.state = "websocket"

    @rule()
    def lose_probe(self) -> None:
        self.machine.probe_lost()
        if self.state == "probed":
            self.state = "polling"

    @rule(seconds=st.floats(min_value=0, max_value=128, width=16))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        asked = self.machine.tick(self.now)
        if self.state == "closed":
            assert not asked
        elif self.answer_by is not None:
            assert not asked
            if self.now >= self.answer_by:
                self.state = "closed"
        elif self.now >= self.next_ping:
            assert asked
            self.answer_by = self.next_ping + self.timeout
        else:
            assert not asked

    @precondition(lambda self: self.state != "closed")
    @rule()
    def excuse(self) -> None:
        self.machine.excuse(self.now)
        if self.answer_by is not None:
            self.answer_by = self.now + self.timeout

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "machine"):
            return
        assert self.machine.state.value == self.state
        due = self.next_ping if self.answer_by is None else self.answer_by
        assert self.machine.deadline == pytest.approx(due)


EngineMachine.TestCase.settings = hypothesis_settings(max_examples=150, stateful_step_count=30)
TestEngineMachine = EngineMachine.TestCase
