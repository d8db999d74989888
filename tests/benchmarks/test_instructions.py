import sys

import pytest

from benchmarks import instructions
from benchmarks.instructions import NotCounted, per_operation, read_perf, read_valgrind

VALGRIND = "==7== Cachegrind\n==7== \n==7== I   refs:      1,050,441,564\n"
PERF = "3412345,,instructions:u,1199370,100.00,,\n"
NO_COUNTERS = "<not supported>,,instructions:u,0,100.00,,\n"


def test_what_the_tools_print_is_read() -> None:
    assert read_valgrind(VALGRIND) == 1_050_441_564
    assert read_perf(PERF) == 3_412_345


@pytest.mark.parametrize("said", ["", "valgrind: cannot execute", NO_COUNTERS])
def test_what_holds_no_count_is_told(said: str) -> None:
    with pytest.raises(NotCounted):
        read_valgrind(said)
    with pytest.raises(NotCounted):
        read_perf(said)


def test_starting_and_ending_cancel_out() -> None:
    start = 1_000_000
    assert per_operation(start + 500 * 30, start + 1_000 * 30, 500) == 30.0


def test_a_longer_run_that_takes_no_more_is_no_count() -> None:
    with pytest.raises(NotCounted, match="20 operations took no more than 10"):
        per_operation(100, 100, 10)


def test_a_program_that_fails_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "_counter", lambda: "valgrind")
    monkeypatch.setattr(instructions, "_VALGRIND", ())
    with pytest.raises(NotCounted, match="broken"):
        instructions.count([sys.executable, "-c", "raise SystemExit('broken')"])


def test_a_machine_that_cannot_count_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "_counter", lambda: None)
    assert instructions.missing() == "install valgrind (this machine has no counters for perf)"
    with pytest.raises(NotCounted, match="install valgrind"):
        instructions.count(["true"])
