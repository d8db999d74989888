"""What every store of credits has to do, whoever wrote it: subclass the suite, give it your store.

    class TestMyLedger(LedgerSuite):
        @pytest.fixture
        def make_ledger(self, tmp_path: Path) -> MakeLedger:
            return lambda name: MyLedger(tmp_path / name)

Needs pytest, with the fixtures of `lbproto.testing.fixtures`: every test runs under every event
loop.
"""

from lbproto.testing.ledger.base import MakeLedger
from lbproto.testing.ledger.book import NOW, Book
from lbproto.testing.ledger.commands import CommandsSuite
from lbproto.testing.ledger.committing import CommittingSuite

__all__ = ["NOW", "Book", "CommandsSuite", "CommittingSuite", "LedgerSuite", "MakeLedger"]


class LedgerSuite(CommandsSuite, CommittingSuite):
    """Conformance of a `LedgerStore`: override `make_ledger`, and `crash` if you can."""
