from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Main

GUIDE = (Path(__file__).parents[2] / "docs" / "how-to" / "simulate.md").read_text()
PROGRAM = GUIDE.partition("```python\n")[2].partition("```")[0]
BUG = """\
        number = 1 + int(await ctx.storage.get("tickets/sold") or 0)
        await ctx.storage.put("tickets/sold", b"%d" % number)
"""
MENDED = PROGRAM.replace(BUG, '        number = await ctx.storage.increment("tickets/sold")\n')


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_seeds_that_keep_all_promises(run_here: Main, here: Path) -> None:
    done = run_here("simulate", "--seeds", "10-13", "--jobs", "1")
    assert re.fullmatch(
        r"4 seeds, \d+ steps, 0\.\d hours of virtual time in \d+ s: all promises are kept\n",
        done.out,
    )
    assert (done.code, done.err) == (0, "")


def test_a_seed_tells_its_story(run_here: Main, here: Path) -> None:
    done = run_here("simulate", "--seed", "12")
    assert "guest0   connects to node" in done.out
    assert re.search(r"seed 12: all promises are kept; trace [0-9a-f]{64}\n$", done.out)
    assert done.code == 0


def test_the_guides_plugin_sells_a_ticket_twice_until_it_is_mended(
    run_here: Main, here: Path
) -> None:
    name = f"tickets_{here.name.replace('-', '_')}"
    (here / f"{name}.py").write_text(PROGRAM)
    plugin = ("--plugin", f"{name}:scenario")
    done = run_here("simulate", "--seeds", "0-19", "--jobs", "1", *plugin)
    assert done.code == 1
    assert "sold once: at" in done.out
    assert "came      the same" in done.out
    again = re.search(r"lbproto (simulate --seed \d+ --steps \S+ --guests \S+) ", done.out)
    assert again is not None
    told = run_here(*again[1].split(), *plugin)
    assert told.code == 1
    assert "sold once: at" in told.out
    (here / f"{name}_mended.py").write_text(MENDED)
    mended = ("--plugin", f"{name}_mended:scenario")
    assert run_here("simulate", "--seeds", "0-19", "--jobs", "1", *mended).code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "9-1"], "'9-1' is not a range of at most 10,000,000 seeds; example: 0-999"),
        (["--seeds", "x"], "'x' is not a range of at most 10,000,000 seeds; example: 0-999"),
        (["--seed", "1", "--steps", "a"], "'a' is not a list of numbers; example: 3,17,20"),
        (["--steps", "1"], "--steps and --clients need the seed that they belong to: --seed"),
        (["--plugin", "seats"], "'seats' names no plugin: write module:name, such as shop:shop"),
        (
            ["--plugin", "json:dumps", "--seed", "1"],
            "json:dumps makes no plugin by itself: name a function without arguments",
        ),
        (
            ["--plugin", "random:random", "--seed", "1"],
            "random:random makes a float: it has to be a Plugin, several, or a Scenario",
        ),
    ],
)
def test_mistakes_are_told(run_here: Main, here: Path, arguments: list[str], message: str) -> None:
    done = run_here("simulate", *arguments)
    assert done.code == 2
    assert " ".join(done.err.split()) == f"lbproto: {message}"
