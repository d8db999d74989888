"""What every store of credits has to do, whoever wrote it: subclass the suite, give it your store.

Like this::

    class TestMyLedger(LedgerSuite):
        @pytest.fixture
        def make_ledger(self, tmp_path: Path) -> MakeLedger:
            return lambda name: MyLedger(tmp_path / name)

Needs pytest, with the fixtures of `lbproto.testing.fixtures`: every test runs under every event
loop. With hypothesis installed, any interleaving of commands is tried as well.
"""

from collections.abc import Callable
from itertools import count
from typing import Any, ClassVar

import pytest
from anyio.from_thread import start_blocking_portal

from lbproto.testing.ledger.base import MakeLedger
from lbproto.testing.ledger.book import NOW, Book
from lbproto.testing.ledger.commands import CommandsSuite
from lbproto.testing.ledger.committing import CommittingSuite

__all__ = ["NOW", "Book", "CommandsSuite", "CommittingSuite", "LedgerSuite", "MakeLedger"]


class LedgerSuite(CommandsSuite, CommittingSuite):
    """Conformance of a `LedgerStore`: override `make_ledger`, and `crash` if you can.

    Attributes:
        interleavings: how many sequences of commands are tried under each event loop.
    """

    interleavings: ClassVar[int] = 20

    def test_any_interleaving_adds_up(
        self,
        anyio_backend: tuple[str, dict[str, Any]],
        make_ledger: MakeLedger,
        crash: Callable[[str], str],
    ) -> None:
        pytest.importorskip("hypothesis")
        from lbproto.testing.ledger.interleaving import StoreBank, try_interleavings

        numbers = count()
        with start_blocking_portal(*anyio_backend) as portal:
            try_interleavings(
                lambda: StoreBank(portal, make_ledger, crash, f"bank-{next(numbers)}"),
                self.interleavings,
            )
