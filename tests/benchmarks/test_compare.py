import pytest

from benchmarks.compare import base_of, differences, groups
from tests.benchmarks.made import case, found, measured


def test_rows_are_compared_under_the_same_parameters_on_any_wire() -> None:
    run = found(
        measured("lbproto", [1.0], wire="socketio"),
        measured("c", [1.0]),
        measured("c", [1.0], clients=5_000),
    )
    assert [[one.row for one in group] for group in groups(run)] == [["lbproto", "c"], ["c"]]


def test_the_base_is_the_first_that_was_run() -> None:
    group = [measured("node-ws", [1.0]), measured("starlette", [2.0])]
    base = base_of(case("c", "starlette"), group)
    assert base is not None
    assert base.row == "starlette"


def test_the_base_may_be_chosen() -> None:
    base = base_of(case("c"), [measured("c", [1.0]), measured("node-ws", [2.0])], "node-ws")
    assert base is not None
    assert base.row == "node-ws"


def test_without_a_known_base_it_is_the_cheapest_peer() -> None:
    group = [measured("lbproto", [1.0]), measured("a", [3.0]), measured("b", [2.0])]
    base = base_of(case(), group)
    assert base is not None
    assert base.row == "b"


def test_a_failed_row_is_no_base() -> None:
    assert base_of(case("c"), [measured("c", []), measured("lbproto", [1.0])]) is None


def test_a_run_on_a_slower_machine_is_no_difference() -> None:
    now = found(measured("lbproto", [4.0, 4.2]), measured("c", [8.0, 8.2]))
    then = found(measured("lbproto", [2.0, 2.1]), measured("c", [4.0, 4.1]))
    (seen,) = differences(case("c"), now, then)
    assert (seen.row, seen.base) == ("lbproto", "c")
    assert seen.change == pytest.approx(1.0)
    assert not seen.real


def test_a_row_that_costs_more_than_it_did_is_one() -> None:
    now = found(measured("lbproto", [6.0, 6.2]), measured("c", [4.0, 4.1]))
    then = found(measured("lbproto", [2.0, 2.1]), measured("c", [4.0, 4.1]))
    (seen,) = differences(case("c"), now, then)
    assert seen.change == pytest.approx(3.0, rel=0.05)
    assert seen.real


def test_the_base_is_one_that_both_runs_have() -> None:
    now = found(measured("lbproto", [1.0]), measured("c", [1.0]), measured("node-ws", [2.0]))
    then = found(measured("lbproto", [1.0]), measured("node-ws", [2.0]))
    (seen,) = differences(case("c", "node-ws"), now, then)
    assert seen.base == "node-ws"


def test_what_was_not_stored_is_not_compared() -> None:
    now = found(measured("lbproto", [1.0], clients=7), measured("c", [1.0], clients=7))
    then = found(measured("lbproto", [1.0]), measured("c", [1.0]))
    assert list(differences(case("c"), now, then)) == []
