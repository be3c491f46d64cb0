"""Three nats-server nodes on loopback for a bench: the shore's cluster as its example file has it, but without TLS."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from steward.adapters.broker import find_program

NODES = 3


@contextlib.asynccontextmanager
async def nats_nodes(folder: Path) -> AsyncIterator[tuple[str, ...]]:
    """The nodes' URLs. They have been started; leaders may still be elected."""
    clients, routes = _free_ports(NODES), _free_ports(NODES)
    processes = []
    program, quiet = str(find_program()), asyncio.subprocess.DEVNULL
    try:
        for number in range(NODES):
            path = folder / f"n{number}.conf"
            path.write_text(node_file(number, folder / f"n{number}", clients, routes), encoding="utf-8")
            processes.append(await asyncio.create_subprocess_exec(program, "-c", str(path), stdout=quiet, stderr=quiet))
        yield tuple(f"nats://127.0.0.1:{port}" for port in clients)
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
            await process.wait()


def node_file(number: int, store: Path, clients: list[int], routes: list[int]) -> str:
    """One node's configuration, as JSON, which nats-server reads."""
    settings = {
        "server_name": f"n{number}",
        "listen": f"127.0.0.1:{clients[number]}",
        "max_payload": 1_048_576,
        "jetstream": {"store_dir": str(store), "max_file_store": 2 * 1024**3, "sync_interval": "10s"},
        "cluster": {
            "name": "bench",
            "listen": f"127.0.0.1:{routes[number]}",
            "routes": [f"nats://127.0.0.1:{port}" for port in routes],
        },
    }
    return json.dumps(settings)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
