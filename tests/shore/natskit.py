"""Three nats-server nodes on loopback from the operators' own example, with TLS, certificates and permissions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.e2e.brokerkit import free_port

from steward.adapters.broker import find_program
from steward.adapters.dial import ClientTls
from steward.adapters.mqtt import MqttSettings
from steward.shore.natsusers import users_file

NODES = 3


def plain(user: str) -> str:
    """For file names and client ids."""
    return "".join(char if char.isalnum() else "-" for char in user)


class Authority:
    """A CA that gives certificates for both uses, as routes between nodes need."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
        builder = self._builder(self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.ca = folder / "ca.crt"
        self.ca.write_bytes(builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM))

    def issue(self, user: str) -> ClientTls:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user)])
        both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
        builder = self._builder(subject, key.public_key()).add_extension(both, critical=False)
        if user == "node":
            builder = builder.add_extension(names, critical=False)
        certificate, private_key = self._folder / f"{plain(user)}.crt", self._folder / f"{plain(user)}.key"
        certificate.write_bytes(builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM))
        private_key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        private_key.chmod(0o600)
        return ClientTls(self.ca, certificate, private_key)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return x509.CertificateBuilder(
            self._name, subject, key, x509.random_serial_number(), now - timedelta(hours=1), now + timedelta(days=9)
        )


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
