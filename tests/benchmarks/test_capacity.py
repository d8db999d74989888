"""The capacity model: what it predicts of messages is what simulated nodes say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from benchmarks.capacity import counts, report
from benchmarks.capacity.check import NODES, Compared, compare
from benchmarks.capacity.cli import main
from benchmarks.capacity.costs import UnitCosts, read
from benchmarks.capacity.model import MAX_NODES, capacity, nodes_needed
from benchmarks.capacity.parts import Limits
from benchmarks.capacity.steady import steady
from benchmarks.capacity.workload import Workload
from lbproto.backends.redis_log import MAX_SHARDS
from lbproto.backends.redis_pubsub import RedisPubSub
from lbproto.delivery.hub import Hub
from lbproto.delivery.inflow import Inflow
from lbproto.nodes import control, roster
from lbproto.nodes.calls import Reply
from lbproto.sessions.places import Places
from lbproto.sessions.session import Session
from tests.ledger.servers import Valkey

DOCS = Path(__file__).parents[2] / "docs" / "explanation" / "capacity"
_NEARLY = 0.05  # of a steady workload: on which nodes a room is, is drawn


def _wrong(found: list[Compared]) -> list[str]:
    return [each.what for each in found if not each.agrees]


@pytest.mark.parametrize("nodes", [2, 3, 5, 8, 12, 24])
def test_nodes_say_hear_and_store_what_is_predicted(nodes: int) -> None:
    found = compare(nodes)
    assert len(found) == 14
    for each in found:
        more, less = each.simulated - each.predicted, each.predicted - each.simulated
        assert each.agrees, f"{each.what}: more than predicted {more}, less {less}"


@pytest.mark.parametrize("nodes", [5])
def test_a_steady_workload_is_what_its_parts_are(nodes: int) -> None:
    found = steady(nodes)
    assert found.predicted["delivered"] > 3_000
    assert found.predicted["said call"] > 100
    for what in found.predicted | found.simulated:
        expected = found.predicted[what]
        assert found.simulated[what] == pytest.approx(expected, rel=_NEARLY), what


def _twice(owner: Any, name: str) -> Callable[..., Any]:
    """A method that does it once too often."""
    once = getattr(owner, name)

    def twice(self: Any, *args: Any, **named: Any) -> Any:
        once(self, *args, **named)
        return once(self, *args, **named)

    return twice


_save = Places._save


async def _save_twice(self: Places, session: Session) -> None:
    await _save(self, session)
    await _save(self, session)


@pytest.mark.parametrize(
    ("owner", "name", "fault", "where"),
    [
        pytest.param(control, "_BEAT_SECONDS", 4.0, "rest, 60 s", id="beats more often"),
        pytest.param(Reply, "end", _twice(Reply, "end"), "comes back to another", id="answers"),
        pytest.param(Places, "_save", _save_twice, "joins a room", id="records again"),
        pytest.param(Inflow, "depart", _twice(Inflow, "depart"), None, id="looks again"),
        pytest.param(Hub, "keep", _twice(Hub, "keep"), "a node dies", id="keeps again"),
        pytest.param(roster, "SILENCE", 60.0, "a node dies", id="finds none dead"),
    ],
)
def test_nodes_that_say_more_or_less_are_noticed(
    owner: Any, name: str, fault: Any, where: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, fault)
    wrong = _wrong(compare(3))
    assert (where in wrong) if where else not wrong


def test_a_room_of_few_is_on_as_many_nodes_and_one_of_many_on_all() -> None:
    assert counts.hosts(10, 1) == pytest.approx(1)
    assert counts.hosts(10, 2) == pytest.approx(1.9)
    assert counts.hosts(10, 10_000) == pytest.approx(10)


def test_nodes_get_less_to_do_the_more_there_are_and_the_broker_more() -> None:
    found = [capacity(Workload(), nodes) for nodes in (5, 20, 80)]
    core = [sum(each.cores.values()) for each in found]
    broker = [sum(each.broker.values()) for each in found]
    assert core == sorted(core, reverse=True)
    assert broker == sorted(broker)
    assert [each.window for each in found] == sorted((each.window for each in found), reverse=True)


def test_a_million_clients_take_so_many_nodes_as_each_has_enough_of() -> None:
    nodes = nodes_needed(Workload())
    assert nodes is not None
    assert capacity(Workload(), nodes).used()["node core"] <= 1
    assert capacity(Workload(), nodes - 1).used()["node core"] > 1
    sticky = nodes_needed(Workload(sticky=True))
    assert sticky is not None
    assert sticky < nodes


def test_what_every_node_has_to_hear_no_number_of_nodes_divides() -> None:
    """Each is told of every session, and asked for each that moves."""
    assert nodes_needed(Workload(losses=60)) is None
    most = capacity(Workload(losses=60), MAX_NODES)
    assert most.cores["clients that come back"] > Limits().cpu


def test_shards_share_events_but_not_what_all_nodes_hear() -> None:
    one, six = (
        capacity(Workload(), 20, limits=Limits(shards=shards)) for shards in (1, MAX_SHARDS)
    )
    assert six.broker["events"] == pytest.approx(one.broker["events"] / MAX_SHARDS)
    assert six.broker["to all nodes"] == one.broker["to all nodes"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"connections": 0},
        {"members": 0.5},
        {"burst": 0},
        {"events": -1.0},
        {"keyed": 1.5},
        {"priced": -0.1},
        {"losses": float("nan")},
        {"members": float("inf")},
    ],
)
def test_a_workload_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Workload(**wrong)


def test_costs_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "costs.toml"
    file.write_text("delivery_us = 1.5\n")
    assert read(file).delivery_us == 1.5
    assert read(file).hear_us == UnitCosts().hear_us


@pytest.mark.parametrize(
    "text", ["nothing = 1", "hear_us = -1", 'hear_us = "1"', "hear_us = true", "hear_us = nan", "["]
)
def test_costs_that_are_none_are_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "costs.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"\w"):
        read(file)


def test_every_cost_says_by_which_command_it_was_found() -> None:
    for name, _, what, source in UnitCosts().sources():
        assert what, name
        assert source == "assumed" or source.startswith("benchmarks"), name


def test_the_command_says_how_many_nodes_and_what_is_full(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "capacity.png"
    main(["--connections", "200000", "--plot", str(picture)])
    told = capsys.readouterr().out
    assert "200,000 clients in 200 rooms" in told
    assert "of each limit" in told
    assert picture.stat().st_size < 100_000


@pytest.mark.parametrize(
    "wrong",
    [["--nodes", "1"], ["--connections", "0"], ["--cpu", "2"], ["--costs", "nowhere.toml"]],
)
def test_a_question_without_an_answer_is_refused_in_a_line(wrong: list[str]) -> None:
    with pytest.raises(SystemExit, match="capacity: "):
        main(wrong)


def _tables() -> dict[str, str]:
    work = Workload()
    found = [capacity(work, nodes) for nodes in report.SHOWN]
    return {
        "messages": report.markdown(*report.compared([compare(nodes) for nodes in NODES])),
        "nodes": report.markdown(report.HEAD, report.by_nodes(found)),
        "costs": report.markdown(report.COSTS_HEAD, report.costs_table(UnitCosts())),
    }


def test_the_documents_tables_are_what_the_commands_print() -> None:
    for name, table in _tables().items():
        assert (DOCS / f"{name}.inc").read_text("utf-8") == table, name


async def _logged(valkey: Valkey) -> int:
    """How many messages the log has got by one that no room was sent."""
    async with RedisPubSub(valkey.url) as pubsub:
        pubsub.publish_nowait("\0nodes", b"", kept=False)
        with anyio.fail_after(60):
            while not pubsub.statistics().published:  # noqa: ASYNC110 - nothing tells
                await anyio.sleep(0.01)  # in which the broker answers
    return int(valkey.command("XLEN", "lbproto:{0}:log"))


def test_what_nodes_say_to_each_other_is_in_the_log() -> None:
    """Once it is not, the log reaches back further than the model has it."""
    valkey = Valkey(appendonly="no")
    try:
        assert anyio.run(_logged, valkey) == 1
    finally:
        valkey.stop()


def test_what_nodes_cost_each_other_is_measured() -> None:
    from benchmarks.capacity.measure import measured

    found = measured(quick=True)
    to_check = {"broker_connect_us", "broker_move_us"}  # what their parts should come to
    sources = {name: source for name, _, _, source in UnitCosts().sources()}
    ours = {name for name, source in sources.items() if source == "benchmarks.capacity measure"}
    assert found.keys() - to_check == ours | {"connection_bytes"}
    assert min(found["connect_us"], found["move_us"], found["broker_move_us"]) > 0
