"""[http]: where pages and API are served, and with which certificate. Without one they stay on this machine."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from steward.settings_table import Table

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ANY_HOST = ("0.0.0.0", "::")  # noqa: S104 every address of the machine: names must then be given
NAMES_MAX = 16

_HOST = re.compile(r"[A-Za-z0-9.:-]{1,253}")
_PATH = re.compile(r"[^\x00-\x1f]{1,4096}")
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
_NAME_RULE = "a host name or an address as callers type it, without port, such as gw1.aurora.ship or 10.1.0.5"


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """certificate and private_key are both set or both None; names are what callers may call this gateway."""

    host: str
    port: int  # 0: any free one
    certificate: Path | None = None
    private_key: Path | None = None
    names: tuple[str, ...] = LOOPBACK  # lower case; with TLS the certificate covers each

    @property
    def https(self) -> bool:
        return self.certificate is not None


def read_http(table: Table, folder: Path, port_default: int = 8470) -> HttpSettings:
    """The section [http]; paths are relative to `folder`. Raises ConfigError."""
    host = table.text("host", "127.0.0.1", _HOST, "a host name or address")
    port = table.number("port", port_default, 0, 65535)
    certificate = table.optional_text("certificate", _PATH, "a path")
    private_key = table.optional_text("private_key", _PATH, "a path")
    given = table.texts("names", _HOST, _NAME_RULE, NAMES_MAX)
    table.finish()
    if (certificate is None) != (private_key is None):
        missing = "private_key" if private_key is None else "certificate"
        table.fail(missing, "is missing: certificate and private_key go together (make both: steward tls issue)")
    if certificate is None or private_key is None:
        _check_stays_here(table, host, given)
        return HttpSettings(host, port)
    names = _names(table, host, given)
    return HttpSettings(host, port, folder / certificate, folder / private_key, names)


def _check_stays_here(table: Table, host: str, names: tuple[str, ...]) -> None:
    if host not in LOOPBACK:
        table.fail(
            "host",
            f"is {host}, but there is no TLS: set certificate and private_key (steward tls new-ca and steward tls "
            f"issue make them), or use one of {', '.join(LOOPBACK)}",
        )
    if names:
        table.fail("names", "are for TLS: set certificate and private_key too, or remove names")


def _names(table: Table, host: str, given: tuple[str, ...]) -> tuple[str, ...]:
    """What the certificate must cover and callers may say. A name's letters are small, an address in its short form."""
    if not given and host in ANY_HOST:
        table.fail("names", f"is missing: with host {host} say what callers call this gateway; give {_NAME_RULE}")
    found: list[str] = []
    for name in given or (host,):
        plain = plain_name(name)
        if plain is None:
            table.fail("names" if given else "host", f"has {name}, which is not {_NAME_RULE}")
        if plain not in found:
            found.append(plain)
    return tuple(found)


def plain_name(name: str) -> str | None:
    """One spelling for a host name or an address; None if it is neither."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        is_name = _DNS_NAME.fullmatch(name) and not name.rpartition(".")[2].isdigit()
        return name.lower() if is_name else None
