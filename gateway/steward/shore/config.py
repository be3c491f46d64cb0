"""Shore's settings: one TOML file, checked once at the start, as the gateway's is. Paths are relative to its folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from steward.config import credential_path, read_toml
from steward.config_desk import LogSettings, read_log
from steward.config_http import LOOPBACK, HttpSettings, read_http
from steward.settings_table import Table

FILE_DEFAULT = "shore.toml"
WORKERS_MAX = 32
SERVERS_MAX = 16
MQTT_PORT, MQTTS_PORT, NATS_PORT = 1883, 8883, 4222
HTTP_PORT = 8480  # another than a gateway's: both may be on one machine

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_NAME_RULE = "1 to 32 lower-case letters, digits and dashes, not beginning with a dash"
_PATH = re.compile(r"[^\x00-\x1f]{1,4096}")
_CREDENTIAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_URL = re.compile(r"[!-~]{1,2048}")
_MQTT_URL = re.compile(r"mqtts?://(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(:[0-9]{1,5})?/?")
_NATS_URL = re.compile(r"(nats|tls)://(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(:[0-9]{1,5})?/?")


@dataclass(frozen=True, slots=True)
class ShoreSettings:
    """This node. Exactly one of passphrase_file and credential opens the key file."""

    name: str  # of this node, if there are several
    fleet: str  # shown on the page
    data_dir: Path
    key_file: Path
    passphrase_file: Path | None
    credential: Path | None
    api_tokens_file: Path
    workers: int  # batches stored at once

    @property
    def database(self) -> Path:
        """With SQLite."""
        return self.data_dir / "shore.db"

    @property
    def erased_file(self) -> Path:
        """Who was forgotten: beside the store, and in no backup of it."""
        return self.data_dir / "erased"


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """url: of a PostgreSQL database; None: SQLite in data_dir."""

    url: str | None
    password_file: Path | None


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """The broker, over MQTT. With TLS all three files are set; without, it is on this machine."""

    host: str
    port: int
    ca: Path | None
    certificate: Path | None
    private_key: Path | None
    user: str
    password_file: Path | None


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """NATS servers whose JetStream shares batches out among the workers of all nodes; none: the link brings them."""

    servers: tuple[str, ...]
    ca: Path | None
    certificate: Path | None
    private_key: Path | None
    user: str
    password_file: Path | None
    replicas: int


@dataclass(frozen=True, slots=True)
class ShoreConfig:
    file: Path
    shore: ShoreSettings
    store: StoreSettings
    link: LinkSettings
    cluster: ClusterSettings
    http: HttpSettings
    log: LogSettings


def load(path: Path, environ: Mapping[str, str] | None = None) -> ShoreConfig:
    """Read and check the settings. Raises ConfigError."""
    root = Table(str(path), "", read_toml(path, "steward shore init DIR"))
    folder = path.resolve().parent
    config = ShoreConfig(
        file=path,
        shore=_shore(root.table("shore"), folder, environ),
        store=_store(root.table("store"), folder),
        link=_link(root.table("link"), folder),
        cluster=_cluster(root.table("cluster"), folder),
        http=read_http(root.table("http"), folder, HTTP_PORT),
        log=read_log(root.table("log")),
    )
    root.finish()
    return config


def _shore(table: Table, folder: Path, environ: Mapping[str, str] | None) -> ShoreSettings:
    passphrase = table.optional_text("passphrase_file", _PATH, "a path")
    credential = table.optional_text("credential", _CREDENTIAL, "the name of a systemd credential")
    if passphrase is not None and credential is not None:
        table.fail("credential", "and passphrase_file are both set: keep the one that opens the key file")
    settings = ShoreSettings(
        name=table.text("name", "shore1", _NAME, _NAME_RULE),
        fleet=table.text("fleet", "fleet", _NAME, _NAME_RULE),
        data_dir=folder / table.text("data_dir", "data", _PATH, "a path"),
        key_file=folder / table.text("key_file", "shore-key.sealed", _PATH, "a path"),
        passphrase_file=None if credential else folder / (passphrase or "passphrase"),
        credential=credential_path(table, credential, environ) if credential else None,
        api_tokens_file=folder / table.text("api_tokens_file", "api-tokens.json", _PATH, "a path"),
        workers=table.number("workers", 4, 1, WORKERS_MAX),
    )
    table.finish()
    return settings


def _store(table: Table, folder: Path) -> StoreSettings:
    url = table.optional_text("url", _URL, "the URL of a PostgreSQL database, postgresql://user@host/name")
    if url is not None and urlsplit(url).scheme not in ("postgresql", "postgres"):
        table.fail("url", "is not PostgreSQL's: write postgresql://user@host/name, or leave it out for SQLite")
    if url is not None and (urlsplit(url).password or "password=" in url):
        table.fail("url", "holds a password: take it out, put it into a 0600 file and name that with password_file")
    password = table.optional_text("password_file", _PATH, "a path")
    if password is not None and url is None:
        table.fail("password_file", "is for PostgreSQL: set url too, or remove it")
    table.finish()
    return StoreSettings(url, None if password is None else folder / password)


def _link(table: Table, folder: Path) -> LinkSettings:
    rule = "the broker's URL, mqtts://host:8883, or mqtt://127.0.0.1:1883 on this machine"
    url = urlsplit(table.text("url", "mqtt://127.0.0.1:1883", _MQTT_URL, rule))
    host, secure = str(url.hostname), url.scheme == "mqtts"
    ca, certificate, private_key = _tls_files(table, folder, needed=secure)
    if not secure and host not in LOOPBACK:
        table.fail("url", f"has {host} without TLS: write mqtts:// and set ca, certificate and private_key")
    password = table.optional_text("password_file", _PATH, "a path")
    settings = LinkSettings(
        host=host,
        port=_port(table, "url", url.netloc, MQTTS_PORT if secure else MQTT_PORT),
        ca=ca,
        certificate=certificate,
        private_key=private_key,
        user=table.text("user", "shore", _NAME, _NAME_RULE),
        password_file=None if password is None else folder / password,
    )
    table.finish()
    return settings


def _cluster(table: Table, folder: Path) -> ClusterSettings:
    rule = "the URL of a NATS server, tls://host:4222, or nats://127.0.0.1:4222 on this machine"
    servers = table.texts("servers", _NATS_URL, rule, SERVERS_MAX)
    secure = any(urlsplit(server).scheme == "tls" for server in servers)
    for server in servers:
        url = urlsplit(server)
        _port(table, "servers", url.netloc, NATS_PORT)
        if url.scheme == "nats" and url.hostname not in LOOPBACK:
            table.fail("servers", f"has {url.hostname} without TLS: write tls:// and set ca, certificate, private_key")
    ca, certificate, private_key = _tls_files(table, folder, needed=secure)
    password = table.optional_text("password_file", _PATH, "a path")
    settings = ClusterSettings(
        servers=servers,
        ca=ca,
        certificate=certificate,
        private_key=private_key,
        user=table.text("user", "shore", _NAME, _NAME_RULE),
        password_file=None if password is None else folder / password,
        replicas=table.number("replicas", 3, 1, 5),
    )
    table.finish()
    return settings


def _tls_files(table: Table, folder: Path, *, needed: bool) -> tuple[Path | None, Path | None, Path | None]:
    """ca, certificate and private_key: all with TLS, none without."""
    found = {key: table.optional_text(key, _PATH, "a path") for key in ("ca", "certificate", "private_key")}
    for key, path in found.items():
        if needed and path is None:
            table.fail(key, "is missing: TLS needs ca, certificate and private_key (steward tls makes them)")
        if not needed and path is not None:
            table.fail(key, "is for TLS: write the URL with mqtts:// or tls://, or remove it")
    ca, certificate, private_key = (None if path is None else folder / path for path in found.values())
    return ca, certificate, private_key


def _port(table: Table, key: str, netloc: str, default: int) -> int:
    tail = netloc.rpartition("]")[2] if "]" in netloc else netloc
    text = tail.partition(":")[2]
    if text and not 1 <= int(text) <= 65535:
        table.fail(key, f"has port {text}: give 1 to 65535")
    return int(text) if text else default
