"""`steward broker config`: real brokers start with what it writes, and mistakes are told before anything is written."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from tests.e2e.brokerkit import GW1, OTHER, UP, Certificates, Crowd, free_port, until
from typer.testing import CliRunner

from steward.__main__ import app
from steward.adapters.broker import find_program
from steward.adapters.brokerrights import SHORE
from steward.adapters.mqtt import MqttPipe, MqttSettings


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def tls_options(certificates: Certificates) -> list[object]:
    tls = certificates.broker
    return ["--certificate", tls.certificate, "--private-key", tls.private_key, "--client-ca", tls.client_ca]


@pytest.mark.parametrize("kind", ["nats", "mosquitto"])
async def test_a_broker_runs_with_the_files_as_written(kind: str, tmp_path: Path) -> None:
    certificates, port, data = Certificates(tmp_path / "ca"), free_port(), tmp_path / "data"
    data.mkdir()
    more = ["--host", "127.0.0.1", "--port", port, "--data", data]
    ships = ["--ship", "aurora:gw1,gw2", "--ship", "borealis:gw1"]
    code, said = run("broker", "config", tmp_path / "etc", "--kind", kind, *ships, *tls_options(certificates), *more)
    assert code == 0, said
    command = {
        "nats": [str(find_program()), "-c", str(tmp_path / "etc" / "nats.conf")],
        "mosquitto": ["/usr/sbin/mosquitto", "-c", str(tmp_path / "etc" / "mosquitto.conf")],
    }[kind]
    if kind == "mosquitto" and os.getuid() == 0:  # as root it would become another user, who cannot read our folder
        with (tmp_path / "etc" / "mosquitto.conf").open("a") as file:
            file.write("user root\n")
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    crowd = Crowd()
    try:
        pipes = {
            user: MqttPipe(MqttSettings("127.0.0.1", port, f"c-{number}", tls=certificates.client(user)))
            for number, user in enumerate((SHORE, GW1, OTHER))
        }
        await crowd.join(pipes[SHORE], "steward/1/+/+/up/+")
        await crowd.join(pipes[GW1])
        await crowd.join(pipes[OTHER])
        await pipes[OTHER].publish(UP, b"forged")
        await pipes[GW1].publish(UP, b"true")
        await crowd.until(pipes[SHORE], b"true")
        assert crowd.payloads(pipes[SHORE]) == [b"true"]
        await until(lambda: any(data.iterdir()) or kind == "mosquitto")
    finally:
        await crowd.end()
        process.terminate()
        await process.wait()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--ship", "Aurora:gw1"], "lower-case"),
        (["--ship", "aurora"], "lower-case"),
        (["--ship", "aurora:gw1,"], "lower-case"),
        (["--ship", "aurora:lan"], "cannot be the names"),
        (["--ship", "aurora:gw1,gw1"], "names a gateway twice"),
        (["--ship", "aurora:gw1", "--ship", "aurora:gw2"], "names a ship twice"),
        (["--ship", "aurora:gw1", "--authority", "gw2"], "--authority"),
        (["--ship", "aurora:gw1", "--ship", "borealis:gw1", "--authority", "gw1"], "--authority"),
        (["--ship", "aurora:gw1", "--crl", "x.pem"], "--crl"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(tmp_path: Path, arguments: list[str], problem: str) -> None:
    out = tmp_path / "etc"
    files = ["--certificate", "c", "--private-key", "k", "--client-ca", "a"]
    code, said = run("broker", "config", out, "--kind", "nats", *arguments, *files)
    assert (code, problem in said) == (2, True), said
    assert not out.exists()


def test_older_files_are_kept_unless_asked(tmp_path: Path) -> None:
    asked = ["broker", "config", tmp_path, "--kind", "mosquitto", "--ship", "aurora:gw1", "--authority", "gw1"]
    asked += ["--certificate", "c", "--private-key", "k", "--client-ca", "a"]
    assert run(*asked)[0] == 0
    before = (tmp_path / "steward.acl").read_text()
    assert "topic write steward/1/aurora/lan/+/changes" in before
    code, said = run(*asked, "--ship", "x:y")
    assert (code, (tmp_path / "steward.acl").read_text()) == (2, before)
    code, said = run(*asked)
    assert (code, "--replace" in said) == (2, True)
    assert run(*asked, "--replace")[0] == 0


def test_shores_certificate_is_its_own(tmp_path: Path) -> None:
    assert run("tls", "new-ca", tmp_path / "ca")[0] == 0
    assert run("tls", "issue", tmp_path / "ca", "--name", "shore", "--client")[0] == 0
    code, said = run("tls", "show", tmp_path / "ca" / "shore-client.crt")
    assert (code, said.splitlines()[0].split()) == (0, ["name", "shore"])
