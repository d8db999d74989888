"""What `lbproto serve` is told in a file, in the environment and on the command line."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from lbproto.cli.configuring import configured, leaves
from lbproto.cli.failure import Failure
from lbproto.cli.show_config import as_toml
from tests.cli.conftest import Main

CHECKS = "'connections', 'broker', 'storage'"


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for leaf in leaves().values():
        monkeypatch.delenv(leaf.variable, raising=False)
    return tmp_path


def write(text: str, name: str = "lbproto.toml") -> Path:
    file = Path(name)
    file.write_text(text)
    return file


def failure(text: str = "", **environment: str) -> str:
    """What is told of a file with this text, and of such an environment."""
    if text:
        write(text)
    with pytest.raises(Failure) as told:
        configured({}, environment=environment)
    return told.value.message


def test_the_command_line_is_heard_first_then_the_environment_then_the_file() -> None:
    write("port = 1\nhost = 'a'\ndrain = 1\n[log]\nlevel = 'info'")
    environment = {"LBPROTO_PORT": "2", "LBPROTO_HOST": "b", "LBPROTO_TOKEN": "mine"}
    found = configured({"port": 3, "host": None}, environment=environment)
    config = found.config
    assert (config.port, config.host, config.drain, config.log.level) == (3, "b", 1.0, "info")
    assert config.workers == 1
    assert found.origins == {
        "port": "the command line",
        "host": "LBPROTO_HOST",
        "drain": "lbproto.toml",
        "log.level": "lbproto.toml",
    }
    assert found.given("log")
    assert not found.given("health")


def test_the_file_is_the_one_that_is_named() -> None:
    write("port = 1")
    other, third = write("port = 2", "other.toml"), write("port = 3", "third.toml")
    environment = {"LBPROTO_CONFIG": str(other)}
    assert configured({}, environment={}).config.port == 1
    assert configured({}, environment=environment).config.port == 2
    assert configured({}, third, environment).config.port == 3


def test_everything_can_be_in_the_environment() -> None:
    given = {
        "LBPROTO_APP": "hello:server",
        "LBPROTO_DRAIN": "2.5",
        "LBPROTO_HEALTH_READY": "",
        "LBPROTO_HEALTH_IGNORE": "storage, broker",
        "LBPROTO_SERVER_SETTINGS_POLLING": "false",
        "LBPROTO_SERVER_RECOVERY_MAX_EVENTS": "7",
    }
    config = configured({}, environment=given).config
    assert (config.app, config.drain) == ("hello:server", 2.5)
    assert (config.health.ready, config.health.ignore) == ("", ["storage", "broker"])
    assert config.server.settings.polling is False
    assert config.server.recovery.max_events == 7
    assert config.server.recovery.grace == 15.0


def test_a_secret_may_be_in_a_file_of_its_own() -> None:
    secret = write("redis://:hunter2@10.0.0.1\n", "secret")
    environment = {"LBPROTO_SERVER_PUBSUB_FILE": str(secret)}
    config = configured({}, environment=environment).config
    assert config.server.pubsub == "redis://:hunter2@10.0.0.1"
    assert failure(LBPROTO_SERVER_PUBSUB_FILE="nowhere") == (
        "LBPROTO_SERVER_PUBSUB_FILE: cannot read nowhere: No such file or directory"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("prot = 1", "lbproto.toml: there is no prot: did you mean port?"),
        ("[log]\nlevle = 'info'", "lbproto.toml: there is no log.levle: did you mean log.level?"),
        ("[logs]", "lbproto.toml: there is no logs: did you mean log?"),
        ("level = 'info'", "lbproto.toml: there is no level: did you mean log.level?"),
        (
            "[health]\nx = 1",
            "lbproto.toml: there is no health.x: there are ignore, live, ready",
        ),
        ("log = 'json'", "lbproto.toml: log is a table: write [log], and below it what it holds"),
        (
            "port = '8091'",
            "lbproto.toml: port has to be a whole number from 0 to 65535, not '8091'",
        ),
        ("port = 65536", "lbproto.toml: port has to be a whole number from 0 to 65535, not 65536"),
        ("drain = -1", "lbproto.toml: drain has to be a number, 0 or more, not -1"),
        ("drain = inf", "lbproto.toml: drain has to be a number, 0 or more, not inf"),
        ("host = 1", "lbproto.toml: host has to be text, not 1"),
        (
            "[log]\nformat = 'jsn'",
            "lbproto.toml: log.format has to be 'text' or 'json', not 'jsn'",
        ),
        (
            "[health]\nignore = [1]",
            f"lbproto.toml: health.ignore has to be a list of {CHECKS}, not [1]",
        ),
        (
            "[server.settings]\npolling = 'no'",
            "lbproto.toml: server.settings.polling has to be true or false, not 'no'",
        ),
        ("[server]\npubsub = 1", "lbproto.toml: server.pubsub has to be text, not what is there"),
        ("port =", "lbproto.toml is not TOML: Invalid value (at end of document)"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_is_expected(text: str, told: str) -> None:
    assert failure(text) == told


def test_mistakes_in_the_environment_are_told_alike() -> None:
    assert failure(LBPROTO_WORKERS="two") == (
        "LBPROTO_WORKERS has to be a whole number from 1 to 256, not 'two'"
    )
    assert failure(LBPROTO_PORT="tcp://10.0.0.1:8091").endswith(
        "Kubernetes sets this for a service of that name, unless enableServiceLinks: false"
    )
    assert failure(LBPROTO_CONFIG="no.toml") == (
        "LBPROTO_CONFIG: cannot read no.toml: No such file or directory"
    )
    Path("latin.toml").write_bytes(b"host = '\xe9'")
    assert failure(LBPROTO_CONFIG="latin.toml").endswith("it is not UTF-8")


def test_what_is_shown_is_a_file_that_says_the_same_without_secrets(run_here: Main) -> None:
    write("[server]\npubsub = 'redis://lbproto:hunter2@10.0.0.1'\n[log]\nuser_key = 'hunter2'")
    done = run_here("serve", "--show-config", "--port", "80")
    assert (done.code, done.err) == (0, "")
    assert "hunter2" not in done.out
    assert "port = 80  # the command line\n" in done.out
    assert 'pubsub = "redis://lbproto:***@10.0.0.1"  # lbproto.toml\n' in done.out
    shown = tomllib.loads(done.out)
    assert shown["log"] == {"format": "text", "level": "warning", "user_key": "***"}
    assert tomllib.loads(as_toml(configured({}, write(done.out, "shown.toml"), {}))) == shown


def test_a_mistake_ends_the_command(run_here: Main) -> None:
    done = run_here("serve", "--log-format", "jsn")
    assert (done.code, done.out) == (2, "")
    assert done.err == "lbproto: --log-format has to be 'text' or 'json', not 'jsn'\n"
    write("[server.recovery]\ngrace = 500")
    done = run_here("serve")
    assert done.err == "lbproto: recovery: the grace cannot be longer than the window\n"
    assert run_here("serve", "--config", "no.toml").err == (
        "lbproto: --config: cannot read no.toml: No such file or directory\n"
    )
    Path("lbproto.toml").unlink()
    assert run_here("serve").err == (
        "lbproto: name what to serve: lbproto serve MODULE:SERVER, or app in the configuration\n"
    )


def test_the_guide_shows_all_there_is() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "how-to" / "configure.md").read_text()
    shown = guide.partition("```toml\n")[2].partition("```")[0]
    assert tomllib.loads(shown) == tomllib.loads(as_toml(configured({}, environment={})))
