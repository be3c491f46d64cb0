"""[link]: the way to shore. [broker]: a broker of this gateway's own. Both are optional."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from steward.adapters.brokerrights import TAKEN
from steward.config_http import LOOPBACK
from steward.domain.budget import NEVER_HELD
from steward.domain.topics import CLASS_WORDS
from steward.settings_table import Table

EMBEDDED = "embedded"
MQTT_PORT, MQTTS_PORT = 1883, 8883
SHORE_KEYS_MAX = 4
GATEWAYS_MAX = 64
BROKERS_MAX = 4

_HOST = "[A-Za-z0-9.-]{1,253}|\\[[0-9a-fA-F:]{2,45}\\]"
_URL = re.compile(rf"embedded|mqtts?://({_HOST})(:[0-9]{{1,5}})?/?")
_URL_RULE = "mqtts://host:8883, or mqtt://127.0.0.1:1883 on this machine, or embedded; never with a user or password"
_PATH = re.compile(r"[^\x00-\x1f]{1,4096}")
_KEY = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_LISTEN = re.compile(r"[A-Za-z0-9.:-]{1,253}")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Whom we trust, and who we are. All three or none are set."""

    ca: Path
    certificate: Path
    private_key: Path


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """The broker through which shore is reached. host and port are None for our own, `url = "embedded"`.

    others: of its further addresses, if `url` is a list; all are as secure as the first.
    """

    url: str  # all of them, with commas
    host: str | None
    port: int | None
    others: tuple[tuple[str, int], ...]
    tls: TlsFiles | None  # of ca, certificate and private_key
    password_file: Path | None  # on loopback only
    shore_keys: tuple[bytes, ...]
    budget_kib_per_day: Mapping[int, int]  # by class
    keep_alive_s: int


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """A broker of our own, for this ship. certificate, private_key and client_ca are all set or all None."""

    port: int  # 0: any free one
    host: str
    data_dir: Path | None  # None: beside the database
    certificate: Path | None
    private_key: Path | None
    client_ca: Path | None
    gateways: tuple[str, ...]  # who may connect besides this gateway and shore
    disk_mb: int


def read_link(table: Table, folder: Path, gateway: str) -> LinkSettings | None:
    """The section [link]; None without one. gateway: our name. Raises ConfigError."""
    if not table.names():
        return None
    if gateway in TAKEN:
        table.fail("url", f"cannot work for a gateway called {gateway}: change [gateway] name")
    urls = table.one_or_more("url", _URL, _URL_RULE, BROKERS_MAX)
    host, port, secure = _place(table, urls[0])
    others = tuple(_another(table, url, like=urls[0]) for url in urls[1:])
    for name in (host, *(name for name, _ in others)):
        if name is not None and not secure and name not in LOOPBACK:
            table.fail("url", f"has {name} without TLS: write mqtts:// and set ca, certificate and private_key")
    password = table.optional_text("password_file", _PATH, "a path")
    if password is not None and (secure or host is None):
        table.fail("password_file", "is for a broker on this machine without TLS, mqtt://127.0.0.1: remove it")
    settings = LinkSettings(
        url=", ".join(urls),
        host=host,
        port=port,
        others=others,
        tls=_tls(table, folder, needed=secure),
        password_file=None if password is None else folder / password,
        shore_keys=_shore_keys(table),
        budget_kib_per_day=_budget(table.table("budget_kib_per_day")),
        keep_alive_s=table.number("keep_alive_s", 300, 10, 3600),
    )
    table.finish()
    return settings


def read_broker(table: Table, folder: Path, link: LinkSettings | None, gateway: str) -> BrokerSettings | None:
    """The section [broker]; None without one, unless [link] url is "embedded". Raises ConfigError."""
    if not table.names() and (link is None or link.host is not None):
        return None
    if gateway in TAKEN:
        table.fail("gateways", f"cannot work with a gateway called {gateway}: change [gateway] name")
    host = table.text("host", "127.0.0.1", _LISTEN, "an address of this machine")
    names = ("certificate", "private_key", "client_ca")
    paths = {key: table.optional_text(key, _PATH, "a path") for key in names}
    missing = [key for key, path in paths.items() if path is None]
    if 0 < len(missing) < len(names):
        table.fail(missing[0], "is missing: certificate, private_key and client_ca go together")
    if missing and host not in LOOPBACK:
        table.fail("host", f"is {host}, but there is no TLS: set certificate, private_key and client_ca")
    if not missing and link is not None and link.host is None:
        table.fail("certificate", "is set, so [link] url cannot be embedded: write mqtts:// with a name it covers")
    data = table.optional_text("data_dir", _PATH, "a path")
    settings = BrokerSettings(
        port=table.number("port", 0, 0, 65535),
        host=host,
        data_dir=None if data is None else folder / data,
        certificate=_in(folder, paths["certificate"]),
        private_key=_in(folder, paths["private_key"]),
        client_ca=_in(folder, paths["client_ca"]),
        gateways=_gateways(table, gateway),
        disk_mb=table.number("disk_mb", 256, 16, 1_048_576),
    )
    table.finish()
    return settings


def _place(table: Table, url: str) -> tuple[str | None, int | None, bool]:
    if url == EMBEDDED:
        return None, None, False
    parts = urlsplit(url)
    secure = parts.scheme == "mqtts"
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        table.fail("url", "has a port that is none: give 1 to 65535")
    return parts.hostname, port or (MQTTS_PORT if secure else MQTT_PORT), secure


def _another(table: Table, url: str, *, like: str) -> tuple[str, int]:
    if EMBEDDED in (url, like):
        table.fail("url", "is a list with embedded in it: a broker of this gateway's own stands alone")
    if url.partition(":")[0] != like.partition(":")[0]:
        table.fail("url", "is a list of mqtt:// and mqtts://: take one of them for all")
    host, port, _ = _place(table, url)
    assert host is not None, "only our own has none"
    assert port is not None
    return host, port


def _tls(table: Table, folder: Path, *, needed: bool) -> TlsFiles | None:
    found = {key: table.optional_text(key, _PATH, "a path") for key in ("ca", "certificate", "private_key")}
    for key, path in found.items():
        if needed and path is None:
            table.fail(key, "is missing: mqtts:// needs ca, certificate and private_key (steward tls issue --client)")
        if not needed and path is not None:
            table.fail(key, "is for TLS: write the url with mqtts://, or remove it")
    if not needed:
        return None
    return TlsFiles(*(folder / str(path) for path in found.values()))


def _shore_keys(table: Table) -> tuple[bytes, ...]:
    rule = "shore's public key, 64 hex digits, as `steward shore key` prints it"
    keys = table.texts("shore_keys", _KEY, rule, SHORE_KEYS_MAX)
    return tuple(bytes.fromhex(key) for key in keys)


def _budget(table: Table) -> Mapping[int, int]:
    words = {word: cls for cls, word in CLASS_WORDS.items() if cls not in NEVER_HELD}
    for cls in NEVER_HELD:
        if CLASS_WORDS[cls] in table.names():
            table.fail(CLASS_WORDS[cls], "cannot have a budget: safety and money are always sent, and only counted")
    limits = {cls: table.optional_number(word, 0, 1_048_576) for word, cls in words.items()}
    table.finish()
    return MappingProxyType({cls: limit for cls, limit in limits.items() if limit is not None})


def _gateways(table: Table, own: str) -> tuple[str, ...]:
    names = table.texts("gateways", _NAME, "a gateway's name", GATEWAYS_MAX)
    for name in names:
        if name in TAKEN or name == own or names.count(name) > 1:
            table.fail("gateways", f"has {name}, which is this gateway itself, there twice, or a topic's word")
    return names


def _in(folder: Path, path: str | None) -> Path | None:
    return None if path is None else folder / path
