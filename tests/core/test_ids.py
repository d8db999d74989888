from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lbproto import ids
from lbproto.ids import new_id, ordered_id


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no child processes")
def test_ids_are_not_used_twice_not_even_in_a_child_process() -> None:
    made = {new_id() for _ in range(2_000)}
    assert len(made) == 2_000
    assert {len(each) for each in made} == {20}
    program = (
        "import os\n"
        "from lbproto.ids import new_id\n"
        "new_id()\n"
        "child = os.fork()\n"
        "if child: os.waitpid(child, 0)\n"
        "print(new_id(), flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=180
    )
    assert len(set(done.stdout.split())) == 2


def test_an_id_is_made_where_another_thread_has_taken_the_last_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Emptied(list[str]):
        """There was something in it when it was looked at."""

        def __bool__(self) -> bool:
            return True

    monkeypatch.setattr(ids, "_made", Emptied())
    assert len(ids.new_id()) == 20


def test_ids_of_transactions_are_in_the_order_of_their_moments() -> None:
    moments = [0, 1, 1_768_910_400_000, 1_768_910_400_001, 2**44 - 1]
    made = [ordered_id(moment) for moment in moments for _ in range(10)]
    assert [each[:11] for each in made] == [each[:11] for each in sorted(made)]
    assert len(set(made)) == 50
    assert {len(each) for each in made} == {23}
