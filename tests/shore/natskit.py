"""Three nats-server nodes on loopback from the operators' own example, with TLS, certificates and permissions."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from tests.e2e.brokerkit import free_port

from steward.adapters import localca
from steward.adapters.broker import find_program
from steward.adapters.dial import ClientTls
from steward.adapters.mqtt import MqttSettings
from steward.adapters.system import OsEntropy
from steward.shore.natsusers import users_file

NODES = 3


def plain(user: str) -> str:
    """For file names and client ids."""
    return "".join(char if char.isalnum() else "-" for char in user)


class Authority:
    """A CA as operators have it; a node's certificate is for both uses, as routes between nodes need."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ca = localca.new_ca(folder, "test CA", (), None, OsEntropy(), int(time.time()), 30)

    def issue(self, user: str) -> ClientTls:
        is_node = user == "node"
        hosts = ("localhost", "127.0.0.1") if is_node else ()
        order = localca.Order(plain(user), user, hosts, not is_node, 9, both=is_node)
        made = localca.issue(self._folder, order, None, int(time.time()), replace=True)
        return ClientTls(self.ca, made.certificate, made.private_key)


@dataclass
class Node:
    """One nats-server process."""

    name: str
    folder: Path
    environment: dict[str, str] = field(repr=False)
    clients: int = 0
    gateways: int = 0
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(str(find_program()), "-c", str(self.folder / "nats-node.conf")),
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
            )

    async def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@dataclass
class NatsCluster:
    """Three nodes; whoever is named has a certificate."""

    nodes: list[Node]
    authority: Authority

    @property
    def servers(self) -> tuple[str, ...]:
        return tuple(f"tls://127.0.0.1:{node.clients}" for node in self.nodes)

    def mqtt(self, user: str, node: int) -> MqttSettings:
        """How a gateway reaches one node."""
        return MqttSettings("127.0.0.1", self.nodes[node].gateways, f"test-{plain(user)}", self.authority.issue(user))

    def settings(self, node: int) -> str:
        """The shore's sections [link] and [cluster]."""
        tls = self.authority.issue("shore")
        files = f'ca = "{tls.ca}"\ncertificate = "{tls.certificate}"\nprivate_key = "{tls.private_key}"\n'
        servers = ", ".join(f'"{server}"' for server in self.servers)
        link = f'[link]\nurl = "mqtts://127.0.0.1:{self.nodes[node].gateways}"\n{files}'
        return f"{link}[cluster]\nservers = [{servers}]\n{files}"


@asynccontextmanager
async def running_nats(folder: Path, ships: Mapping[str, Sequence[str]]) -> AsyncIterator[NatsCluster]:
    """The cluster, as soon as each node takes connections; leaders may still be elected."""
    authority = Authority(folder)
    tls = authority.issue("node")
    routes = [free_port() for _ in range(NODES)]
    example = files("steward.shore").joinpath("nats-node.conf").read_text(encoding="utf-8")
    nodes = []
    for number in range(NODES):
        place = folder / f"n{number}"
        place.mkdir()
        (place / "nats-node.conf").write_text(example)
        (place / "users.conf").write_text(users_file(ships))
        node = Node(f"n{number}", place, {}, free_port(), free_port())
        node.environment = {
            "NODE": node.name,
            "CLIENTS": f"127.0.0.1:{node.clients}",
            "GATEWAYS": f"127.0.0.1:{node.gateways}",
            "ROUTES": f"127.0.0.1:{routes[number]}",
            "MONITOR": f"127.0.0.1:{free_port()}",
            "PEERS": "[" + ", ".join(f"tls://127.0.0.1:{port}" for port in routes) + "]",
            "STORE": str(place / "store"),
            "CERTIFICATE": str(tls.certificate),
            "PRIVATE_KEY": str(tls.private_key),
            "CA": str(tls.ca),
        }
        nodes.append(node)
    try:
        for node in nodes:
            await node.start()
        yield NatsCluster(nodes, authority)
    finally:
        for node in nodes:
            if node.process is not None:
                await node.kill()
