from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from lbproto.cli.credits import open_store
from tests.cli.commands import run
from tests.cli.conftest import Main


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:{tmp_path / 'credits.db'}"


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_credits_are_given_and_looked_at(run_here: Main, store: str) -> None:
    done = run_here("credits", "grant", "ada", "1500", "--reason", "a gift", "--store", store)
    assert (done.code, done.err) == (0, "")
    line = words(done.out)[-1]
    assert line[0] == "1"
    assert line[2:7] == ["granted", "1,500", "1,500", "a", "gift"]
    done = run_here("credits", "balance", "ada", "--store", store)
    assert words(done.out)[-1] == ["ada", "default", "1,500", "1,500", "1,500", "0", "1"]
    done = run_here("credits", "balance", "bob", "--store", store, "--json")
    assert done.lines == [
        {
            "userId": "bob",
            "applicationId": "default",
            "balance": 0,
            "available": 0,
            "lifetimeEarned": 0,
            "lifetimeSpent": 0,
            "version": 0,
        }
    ]


def test_a_balance_is_corrected(run_here: Main, store: str) -> None:
    run_here("credits", "grant", "ada", "10", "--reason", "x", "--store", store)
    done = run_here(
        *("credits", "adjust", "ada", "-4", "--reason", "a mistake", "--store", store, "--json")
    )
    (line,) = done.lines
    assert (line["kind"], line["amount"], line["balance"]) == ("adjusted", -4, 6)
    done = run_here("credits", "adjust", "ada", "-7", "--reason", "x", "--store", store)
    assert done.code == 2
    assert done.err == "lbproto: 7 credits are needed, 6 are available\n"


def test_the_same_id_changes_nothing_twice(run_here: Main, store: str) -> None:
    def grant(amount: int) -> Any:
        return run_here(
            *("credits", "grant", "ada", str(amount), "--reason", "order 7", "--id", "order-7"),
            *("--store", store, "--json"),
        )

    assert grant(10).lines == grant(10).lines
    done = grant(11)
    assert done.code == 2
    assert "The transaction id was used for something else" in done.err
    assert len(run_here("credits", "history", "ada", "--store", store, "--json").lines) == 1


def test_the_history_of_an_account(
    run_here: Main, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LBPROTO_CREDITS", store)
    for number in range(1, 6):
        run_here(
            *("credits", "grant", "ada", str(number), "--reason", f"{number}\x1b[2J"),
            *("--application", "shop", "--id", f"t{number}"),
        )
    shown = run_here("credits", "history", "ada", "--application", "shop", "--limit", "2")
    lines = words(shown.out)
    assert [line[0] for line in lines[-2:]] == ["5", "4"]
    assert lines[-1][2:] == ["granted", "4", "10", r"4\x1b[2J", "t4"]
    older = run_here(
        "credits", "history", "ada", "--application", "shop", "--before", "3", "--json"
    )
    assert [line["transactionId"] for line in older.lines] == ["t2", "t1"]
    assert run_here("credits", "history", "ada").out == "nothing has moved yet\n"
    assert run_here("credits", "history", "ada", "--json").out == ""


def test_a_grant_that_expires(run_here: Main, store: str) -> None:
    done = run_here(
        *("credits", "grant", "ada", "5", "--reason", "x", "--expires", "1000", "--store", store)
    )
    assert done.code == 2
    assert "would have expired already" in done.err
    done = run_here(
        *("credits", "grant", "ada", "5", "--reason", "x", "--store", store),
        *("--expires", "253402300799000", "--priority", "-1"),
    )
    assert done.code == 0


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("credits.db", "'credits.db' is not a store of credits: --store takes sqlite:FILE"),
        ("sqlite:", "is not a store of credits"),
        ("mysql://localhost", "is not a store of credits"),
        ("sqlite:/no/such/file", "there is no file /no/such/file"),
    ],
)
def test_what_is_no_store(run_here: Main, url: str, told: str) -> None:
    done = run_here("credits", "balance", "ada", "--store", url)
    assert done.code == 2
    assert told in done.err


def test_a_file_that_is_something_else(run_here: Main, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no database\n" * 100)
    done = run_here("credits", "balance", "ada", "--store", f"sqlite:{file}")
    assert done.code == 2
    assert done.err.startswith("lbproto: ")
    assert "Traceback" not in done.err


def test_a_store_that_needs_more(run_here: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    for module in ("lbproto.ledger.redis", "lbproto.backends.redis_client"):  # as if not imported
        monkeypatch.delitem(sys.modules, module, raising=False)
    done = run_here("credits", "balance", "ada", "--store", "redis://localhost")
    assert done.code == 2
    assert "pip install 'lbproto[redis]'" in done.err


def test_the_store_has_to_be_named(run_here: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LBPROTO_CREDITS", raising=False)
    done = run_here("credits", "balance", "ada")
    assert done.code == 2
    assert "--store" in done.err


def test_from_a_process_of_its_own(store: str) -> None:
    done = run("credits", "grant", "ada", "5", "--reason", "x", "--store", store)
    assert (done.code, done.err) == (0, "")
    done = run("credits", "balance", "ada", "--store", store, "--json")
    assert done.lines[0]["balance"] == 5


@pytest.mark.parametrize("command", ["balance", "grant", "adjust", "history"])
def test_every_command_explains_itself(run_here: Main, command: str) -> None:
    assert run_here("credits", command, "--help").code == 0


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("sqlite:credits.db", "SQLiteLedger"),
        ("redis://localhost:6379/0", "RedisLedger"),
        ("postgresql://localhost/credits", "PostgresLedger"),
    ],
)
def test_every_scheme_leads_to_a_store(url: str, kind: str) -> None:
    assert type(open_store(url)).__name__ == kind
