from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lbproto.ids import new_id


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no child processes")
def test_ids_are_not_used_twice_not_even_in_a_child_process() -> None:
    ids = {new_id() for _ in range(2_000)}
    assert len(ids) == 2_000
    assert {len(each) for each in ids} == {20}
    program = (
        "import os\n"
        "from lbproto.ids import new_id\n"
        "new_id()\n"
        "child = os.fork()\n"
        "if child: os.waitpid(child, 0)\n"
        "print(new_id(), flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert len(set(done.stdout.split())) == 2
