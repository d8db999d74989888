from pathlib import Path

import pytest

from benchmarks.results import SCHEMA, NotStored, load, save
from tests.benchmarks.made import found, measured, results


def test_what_is_stored_is_read_again(tmp_path: Path) -> None:
    run = results(found(measured("c", [1.0, 2.0]), skipped={"picows": "install it"}))
    save(run, tmp_path / "new" / "run.json")
    assert load(tmp_path / "new" / "run.json") == run
    assert run.case("fanout") is run.cases[0]
    assert run.case("soak") is None


def test_a_run_of_another_schema_is_refused(tmp_path: Path) -> None:
    run = results()
    run.schema = SCHEMA + 1
    save(run, tmp_path / "run.json")
    with pytest.raises(NotStored, match="has schema"):
        load(tmp_path / "run.json")


@pytest.mark.parametrize("text", [None, "", "[]", '{"cases": 1}'])
def test_what_is_no_run_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "run.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(NotStored, match="is not a stored run"):
        load(path)
