import pytest

from benchmarks.micro import OPERATIONS
from benchmarks.micro.memory import client_frame
from benchmarks.micro.operation import Operation

# The rest takes a server each; the suite runs them in processes of their own.
SMALL = [one for one in OPERATIONS if one.name not in ("answer a request", "send an event to 100")]


@pytest.mark.parametrize("operation", SMALL, ids=lambda one: f"{one.name}, {one.row}")
def test_every_operation_runs(operation: Operation) -> None:
    operation.prepare()(3)


def test_every_operation_has_a_floor() -> None:
    floors = {one.name for one in OPERATIONS if one.row == "floor"}
    assert {one.name for one in OPERATIONS} == floors


@pytest.mark.parametrize(("length", "head"), [(5, 6), (300, 8)])
def test_a_client_masks_by_zeros(length: int, head: int) -> None:
    frame = client_frame("x" * length)
    assert frame[0] == 0x81
    assert frame[1] & 0x80
    assert len(frame) == head + length
    assert frame.endswith(b"x" * length)
