"""Any interleaving of commands, retries, time and crashes, beside a model; needs hypothesis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from math import inf
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from anyio.from_thread import BlockingPortal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from lbproto.errors import InsufficientCredits, InvalidRequest, NotFound, RequestError
from lbproto.ledger.account import (
    Account,
    Balance,
    Change,
    Lot,
    Movement,
    Outcome,
    Reservation,
    State,
)
from lbproto.ledger.commands import adjust, extend, grant, look, release, reserve, settle
from lbproto.ledger.store import LedgerStore
from lbproto.testing.ledger.base import MakeLedger
from lbproto.testing.ledger.book import NOW, check_account
from lbproto.testing.ledger.model import Model

__all__ = ["Bank", "StoreBank", "try_interleavings"]


class Bank(Protocol):
    """A store as the interleavings use it, without an event loop."""

    def transact(self, account: Account, name: str, change: Change[Any]) -> Outcome[Any]:
        """See `LedgerStore.transact`."""
        ...

    def movements(self, account: Account) -> list[Movement]:
        """The newest hundred."""
        ...

    def due(self, now: int) -> list[Account]:
        """See `LedgerStore.due`."""
        ...

    def crash(self) -> None:
        """End without closing, and begin again with what has survived."""
        ...


class StoreBank(AbstractContextManager["StoreBank"]):
    """A store in the event loop of a portal.

    Args:
        make_ledger: makes it; see `LedgerSuite`.
        crash: likewise.
        name: a name that was not used before.
    """

    def __init__(
        self,
        portal: BlockingPortal,
        make_ledger: MakeLedger,
        crash: Callable[[str], str],
        name: str,
    ) -> None:
        self._portal = portal
        self._make = make_ledger
        self._crash = crash
        self._name = name
        self._stack = ExitStack()
        self._ledger: LedgerStore

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _open(self) -> None:
        opening = self._portal.wrap_async_context_manager(self._make(self._name))
        self._ledger = self._stack.enter_context(opening)

    def transact(self, account: Account, name: str, change: Change[Any]) -> Outcome[Any]:
        return self._portal.call(self._ledger.transact, account, name, change)

    def movements(self, account: Account) -> list[Movement]:
        return self._portal.call(self._ledger.movements, account)

    def due(self, now: int) -> list[Account]:
        return self._portal.call(self._ledger.due, now)

    def crash(self) -> None:
        self._name = self._crash(self._name)
        self._open()


def try_interleavings(bank: Callable[[], AbstractContextManager[Bank]], examples: int) -> None:
    """Try so many sequences of commands, each on a bank of its own, without accounts.

    Raises:
        AssertionError: something did not add up; the shortest sequence of that kind is printed.
    """

    class Here(_Interleaving):
        make = staticmethod(bank)

    chosen = settings(
        max_examples=examples,
        stateful_step_count=50,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Here, settings=chosen)


_ACCOUNTS = st.sampled_from([Account("ann")] * 5 + [Account("ann", "other"), Account("bob")])
_NUMBERS = st.integers(0, 30)  # most for what is new or open, the others for what is over
_AMOUNTS = st.integers(1, 12)
_SPANS = st.integers(1, 40)
_REFUSALS = (InsufficientCredits, InvalidRequest, NotFound)

T = TypeVar("T")


def _outcome(function: Callable[[], T]) -> tuple[T | None, RequestError | None]:
    """What it returns, or how it refuses."""
    try:
        return function(), None
    except _REFUSALS as refusal:
        return None, refusal


def _said(answer: Any) -> Any:
    """An answer as the model gives it."""
    if isinstance(answer, Movement):
        return answer.kind, answer.amount, answer.balance, answer.reason
    return answer.status if isinstance(answer, Reservation) else answer


class _Interleaving(RuleBasedStateMachine):
    @staticmethod
    def make() -> AbstractContextManager[Bank]:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self._opened = self.make()
        self.bank = self._opened.__enter__()
        self.now = NOW
        self.models: dict[Account, Model] = {}
        self.told: dict[Account, list[Movement]] = {}
        self.states: dict[Account, State] = {}
        self.names: list[str] = []
        self.reserved: list[tuple[Account, str]] = []
        self.done: list[tuple[Account, str, Change[Any], Any]] = []

    def teardown(self) -> None:
        try:
            for account in self.models:
                history = self.bank.movements(account)[::-1]
                assert history == self.told[account][-100:]
                if len(self.told[account]) <= 100:
                    check_account(self.states[account], history)
                ids = [one.transaction_id for one in self.told[account]]
                assert len(set(ids)) == len(ids)
        finally:
            self._opened.__exit__(None, None, None)

    # Commands

    @initialize(account=_ACCOUNTS)
    def begin(self, account: Account) -> None:
        self.grant(account, number=30, amount=12, priority=1, span=40)

    @rule(
        account=_ACCOUNTS, number=_NUMBERS, amount=_AMOUNTS, priority=st.integers(0, 2), span=_SPANS
    )
    def grant(self, account: Account, number: int, amount: int, priority: int, span: int) -> None:
        name, until = self._name(number), None if span > 30 else self.now + span
        change = grant(name, amount, "gift", self.now, priority=priority, expires_at=until)
        model = self._model(account)
        self._do(account, name, change, partial(model.grant, name, amount, "gift", priority, until))

    @rule(account=_ACCOUNTS, number=_NUMBERS, amount=_AMOUNTS, sign=st.sampled_from([1, -1]))
    def adjust(self, account: Account, number: int, amount: int, sign: int) -> None:
        name = self._name(number)
        change = adjust(name, sign * amount, "mistake", self.now)
        model = self._model(account)
        self._do(account, name, change, partial(model.adjust, name, sign * amount, "mistake"))

    @rule(account=_ACCOUNTS, number=_NUMBERS, amount=_AMOUNTS, span=_SPANS)
    def reserve(self, account: Account, number: int, amount: int, span: int) -> None:
        name, until = self._name(number), self.now + span
        change = reserve(name, amount, "buy", self.now, until)
        model = self._model(account)
        expected = partial(model.reserve, name, amount, "buy", until)
        self._do(account, name, change, expected, lasting=False)
        if name in model.held:
            self.reserved.append((account, name))

    @rule(number=_NUMBERS)
    def reserve_again(self, number: int) -> None:
        account, name = self._reservation(number)
        model, until = self._model(account), self.now + 9
        if name in model.transactions:
            amount = model.transactions[name].amount
            change = reserve(name, amount, "buy", self.now, until)
            expected = partial(model.reserve, name, amount, "buy", until)
            self._do(account, name, change, expected, lasting=False)

    @rule(number=_NUMBERS, less=st.integers(-2, 12))
    def settle(self, number: int, less: int) -> None:
        account, name = self._reservation(number)
        held = self._model(account).held.get(name)
        amount = max(0, (0 if held is None else held.amount) - less)
        model = self._model(account)
        change = settle(name, amount, self.now)
        self._do(account, name, change, partial(model.settle, name, amount))

    @rule(number=_NUMBERS)
    def release(self, number: int) -> None:
        account, name = self._reservation(number)
        model = self._model(account)
        self._do(account, name, release(name, self.now), partial(model.release, name))

    @rule(number=_NUMBERS, span=_SPANS)
    def extend(self, number: int, span: int) -> None:
        account, name = self._reservation(number)
        model, until = self._model(account), self.now + span
        change, expected = extend(name, self.now, until), partial(model.extend, name, until)
        self._do(account, name, change, expected, lasting=False)

    @rule(back=st.integers(0, 30))
    def again(self, back: int) -> None:
        """The very same command, as somebody sends it who did not hear the answer."""
        if back < len(self.done):
            account, name, change, answer = self.done[-1 - back]
            before = self.states[account].shown()
            outcome = self.bank.transact(account, name, change)
            assert outcome.answer == answer
            assert (outcome.movements, outcome.state.shown()) == ([], before)

    # What else happens

    @rule(span=st.integers(1, 25), noticed=st.booleans())
    def pass_time(self, span: int, noticed: bool) -> None:
        self.now += span
        late = {
            account
            for account, state in self.states.items()
            if state.due_at is not None and state.due_at <= self.now
        }
        assert set(self.bank.due(self.now)) == late
        if not noticed:
            return
        for account in late:
            self._model(account)
            self._look(account)
        assert self.bank.due(self.now) == []

    @rule()
    def crash(self) -> None:
        self.bank.crash()
        for account in self.models:
            self._model(account)
            self._look(account)

    # Behind them

    def _model(self, account: Account) -> Model:
        model = self.models.get(account)
        if model is None:
            model = self.models[account] = Model()
            self.told[account], self.states[account] = [], State()
        model.pass_time(self.now)
        return model

    def _name(self, number: int) -> str:
        """A new id, mostly, or one that was used before, perhaps in another account."""
        if number < min(len(self.names), 8):
            return self.names[-1 - number]
        self.names.append(f"t{len(self.names)}")
        return self.names[-1]

    def _reservation(self, number: int) -> tuple[Account, str]:
        """One that is open, mostly, or one that was."""
        if number < min(len(self.reserved), 5):
            return self.reserved[-1 - number]
        held = [(account, name) for account, model in self.models.items() for name in model.held]
        return held[number % len(held)] if held else (Account("ann"), "nothing")

    def _do(
        self,
        account: Account,
        name: str,
        change: Change[Any],
        expected: Callable[[], Any],
        *,
        lasting: bool = True,
    ) -> None:
        """Have both do it, and see that they say the same; for ever, if the answer is lasting."""
        wanted, refused = _outcome(expected)
        outcome, refusal = _outcome(partial(self.bank.transact, account, name, change))
        assert type(refusal) is type(refused)
        if outcome is not None:
            self.told[account] += outcome.movements
            self.states[account] = outcome.state
            assert _said(outcome.answer) == wanted
            if outcome.receipts:  # else time need not have passed
                self._compare(account)
            if lasting:
                self.done.append((account, name, change, outcome.answer))
        self._look(account)

    def _look(self, account: Account) -> None:
        """See that an account is as the model has it."""
        outcome = self.bank.transact(account, "", look(self.now))
        self.told[account] += outcome.movements
        self.states[account] = outcome.state
        assert outcome.answer == outcome.state.shown()
        self._compare(account)

    def _compare(self, account: Account) -> None:
        state, model = self.states[account], self.models[account]
        version = len(self.told[account])
        shown = Balance(model.balance, model.available, model.earned, model.spent, version)
        assert state.shown() == shown
        assert {name: held.expires_at for name, held in state.reservations.items()} == {
            name: held.expires_at for name, held in model.held.items()
        }
        lots = Counter[tuple[str | None, int, float]]()
        for name, held in [(None, state.lots), *_held(state)]:
            for lot in held:
                until = inf if lot.expires_at is None else lot.expires_at
                lots[name, lot.priority, until] += lot.left
        assert lots == model.lots()


def _held(state: State) -> list[tuple[str, Sequence[Lot]]]:
    return [(name, held.lots) for name, held in state.reservations.items()]
