"""A CA and certificates for a gateway in a test's folder, and settings that use them."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

from tests.e2e.gatewaykit import SETTINGS

from steward.adapters import localca
from steward.adapters.localca import Issued, Order
from steward.adapters.system import OsEntropy

DAY_S = 86_400
HOSTS = ("127.0.0.1", "localhost", "gw1.aurora.ship")


def make_ca(folder: Path, **changes: int) -> Path:
    """The CA's certificate."""
    return localca.new_ca(folder, "test CA", (), None, OsEntropy(), changes.get("now_s", now_s() - 7200), 3650)


def issue(
    folder: Path, hosts: tuple[str, ...] = HOSTS, *, at_s: int = -3600, days: int = 397, replace: bool = False
) -> Issued:
    """A server's certificate, made as if it were `at_s` from now."""
    order = Order("gw1", "gw1", hosts, False, days)
    return localca.issue(folder, order, None, now_s() + at_s, replace=replace)


def tls_settings(folder: Path, host: str = "127.0.0.1", names: tuple[str, ...] = HOSTS) -> str:
    """The usual settings, over TLS with the certificate in `folder`."""
    listed = ", ".join(f'"{name}"' for name in names)
    lines = f'certificate = "{folder}/gw1.crt"\nprivate_key = "{folder}/gw1.key"\nhost = "{host}"\nnames = [{listed}]\n'
    return SETTINGS.replace("[http]\n", "[http]\n" + lines, 1)


def trusting(ca: Path) -> ssl.SSLContext:
    """A caller that trusts this CA and no other."""
    return ssl.create_default_context(cafile=str(ca))


def now_s() -> int:
    return int(time.time())
