"""The tests that pages of explanation name are there, one by one or by folder."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_promises_name_tests_that_there_are() -> None:
    named = {
        page.name: re.findall(r"`(tests/[^`]+)`", page.read_text(encoding="utf-8"))
        for page in ROOT.glob("docs/explanation/*.md")
    }
    assert len(named["delivery.md"]) > 10
    for page, tests in named.items():
        assert [test for test in tests if not (ROOT / test).exists()] == [], page
