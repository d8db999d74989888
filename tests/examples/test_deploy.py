"""The files of examples/deploy do what they say, as far as that shows without their engines."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.commands import environment
from tests.examples.test_examples import alice, exchange
from tests.ledger.servers import Valkey
from tests.serving import free_port

DEPLOY = Path(__file__).parents[2] / "examples" / "deploy"
SECONDS = 60


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    server = Valkey(appendonly="no")
    yield server
    server.stop()


def instructions() -> dict[str, list[str]]:
    """Those of the Dockerfile, by their first word."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word and word != "#":
            found.setdefault(word, []).append(rest)
    return found


def command(text: str) -> list[str]:
    """What is behind `CMD`, with this environment's `lbproto`."""
    words: list[str] = json.loads(text[text.index("[") :])
    assert words[0] == "lbproto"
    return [sys.executable, "-m", "lbproto.cli", *words[1:]]


def test_the_image_serves_with_workers_is_healthy_and_drains(
    tmp_path: Path, valkey: Valkey
) -> None:
    found = instructions()
    for name in found["COPY"][-1].split()[:-1]:  # what its last stage has
        shutil.copy(DEPLOY / name, tmp_path)
    (tmp_path / "pubsub").write_text(f"{valkey.url}\n")
    port = free_port()
    assert f"port = {found['EXPOSE'][0]}" in (DEPLOY / "lbproto.toml").read_text()
    variables = {
        **environment(),
        "LBPROTO_PORT": str(port),
        "LBPROTO_SERVER_PUBSUB_FILE": str(tmp_path / "pubsub"),
        "PYTHONPATH": str(DEPLOY.parents[1]),
    }
    with subprocess.Popen(
        command(found["CMD"][0]), cwd=tmp_path, env=variables, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stderr is not None
            lines: list[dict[str, Any]] = [{}]
            while lines[-1].get("message") != "serving":
                lines.append(json.loads(server.stderr.readline()))
            assert lines[-1]["workers"] == 2
            asked = subprocess.run(
                command(found["HEALTHCHECK"][0]), cwd=tmp_path, env=variables, check=False
            )
            assert asked.returncode == 0
            with alice(f"ws://127.0.0.1:{port}") as client:
                answer = exchange(client, "greet", {"name": "Bob"})
                assert answer["data"] == {"text": "Hello Bob"}
            server.send_signal(signal.SIGTERM)
            assert server.wait(SECONDS) == 0
            rest = [json.loads(line) for line in server.stderr]
            assert [line for line in rest if line["level"] not in ("info", "warning")] == []
        finally:
            server.kill()


def test_the_build_installs_what_the_server_needs() -> None:
    run = instructions()["RUN"]
    assert run[0] == "python -m venv /venv"
    assert shlex.split(run[1])[-1] == "requirements.txt"
    assert (DEPLOY / "requirements.txt").read_text() == "lbproto[cli,redis]\n"


def test_the_unit_is_one(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd here")
    unit = (DEPLOY / "lbproto.service").read_text()
    here = Path(sys.executable).with_name("lbproto")
    (tmp_path / "lbproto.service").write_text(unit.replace("/opt/app/venv/bin/lbproto", str(here)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "lbproto.service"],
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_all_leave_more_time_than_a_drain_takes() -> None:
    drain = int(re.findall(r"(?m)^drain = (\d+)$", (DEPLOY / "lbproto.toml").read_text())[0])
    unit = (DEPLOY / "lbproto.service").read_text()
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    pod = yaml.safe_load((DEPLOY / "kubernetes.yaml").read_text())["spec"]["template"]["spec"]
    times = [
        int(re.findall(r"(?m)^TimeoutStopSec=(\d+)$", unit)[0]),
        int(compose["services"]["app"]["stop_grace_period"].removesuffix("s")),
        pod["terminationGracePeriodSeconds"],
    ]
    assert min(times) > drain + 10


def test_what_probes_ask_for_is_there() -> None:
    pod = yaml.safe_load((DEPLOY / "kubernetes.yaml").read_text())["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    asked = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    assert [each["path"] for each in asked] == ["/healthz", "/healthz", "/readyz"]
    assert pod["enableServiceLinks"] is False
    assert {each["port"] for each in asked} == {8091}
