"""A gateway's way to shore over a broker of the tests' own."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.brokerkit import Broker
from tests.shore.rig import Ashore

from steward.adapters.brokerrights import identity
from steward.adapters.keyseal import write_private


def link_to(broker: Broker, ashore: Ashore, folder: Path, name: str = "gw1") -> str:
    """The section [link]: loopback, with a password in a file in `folder`."""
    login = broker.settings(identity("aurora", name)).login
    assert login is not None
    path = folder / f"{name}-link-password"
    write_private(path, login[1].encode(), replace=False)
    return (
        f'[link]\nurl = "mqtt://127.0.0.1:{broker.port}"\npassword_file = "{path}"\n'
        f'shore_keys = ["{ashore.public_key.hex()}"]\n'
    )
