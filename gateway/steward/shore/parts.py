"""From settings to the objects they name: the store, the key, the broker's and the cluster's client."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from steward.adapters.dial import ClientTls
from steward.adapters.keyseal import KeySecret, read_private
from steward.adapters.mqtt import MqttPipe, MqttSettings
from steward.errors import ConfigError, StoreUnavailable
from steward.shore import key as shorekey
from steward.shore.config import ShoreConfig
from steward.shore.sqlite import SqliteShore
from steward.shore.store import ShoreStore

PASSWORD_BYTES_MAX = 1024
FLEET_HINT = "install steward-edge[fleet] for PostgreSQL and NATS clusters"


async def open_store(config: ShoreConfig, *, create: bool = False) -> ShoreStore:
    """SQLite in data_dir, or PostgreSQL by URL. Raises StoreUnavailable, ConfigError, KeyFileError."""
    if config.store.url is None:
        if create:
            make_folder(config)
        return SqliteShore.open(config.shore.database, create=create)
    try:
        from steward.shore.postgres import PostgresShore
    except ImportError:
        raise ConfigError(f"{config.file}: [store] url", f"needs psycopg: {FLEET_HINT}") from None
    path = config.store.password_file
    password = None if path is None else _password(config, "store", path)
    # One connection each for the workers, and some for pages, the publisher and commands.
    return await PostgresShore.open(config.store.url, password=password, connection_count=config.shore.workers + 3)


def make_folder(config: ShoreConfig) -> None:
    folder = config.shore.data_dir
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        where = f"{config.file}: [shore] data_dir"
        raise ConfigError(where, f"{folder} cannot be made ({error.strerror}): choose another folder") from None
    if not os.access(folder, os.W_OK):
        raise StoreUnavailable(f"{folder} cannot be written: correct its owner and permissions")


def secret_of(config: ShoreConfig) -> KeySecret:
    """What opens the key file. Raises KeyFileError."""
    if config.shore.credential is not None:
        return KeySecret.from_credential(config.shore.credential)
    assert config.shore.passphrase_file is not None
    return KeySecret.from_passphrase_file(config.shore.passphrase_file)


def open_key(config: ShoreConfig) -> shorekey.ShoreKey:
    """Raises KeyFileError."""
    return shorekey.load(config.shore.key_file, secret_of(config))


def make_pipe(config: ShoreConfig) -> MqttPipe:
    """The broker's client, not connected yet. Raises KeyFileError."""
    link = config.link
    tls = None
    if link.ca is not None and link.certificate is not None and link.private_key is not None:
        tls = ClientTls(link.ca, link.certificate, link.private_key)
    login = None if link.password_file is None else (link.user, _password(config, "link", link.password_file))
    # Not for others to guess: a client of the same id ends this one's connection.
    client_id = f"shore-{config.shore.name}-{open_key(config).public.hex()[:16]}"
    return MqttPipe(MqttSettings(link.host, link.port, client_id, tls, login))


def cluster_tls(config: ShoreConfig) -> ssl.SSLContext | None:
    """For NATS: whom to trust and who we are; None on loopback. Raises ConfigError."""
    cluster = config.cluster
    if cluster.ca is None or cluster.certificate is None or cluster.private_key is None:
        return None
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(cluster.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(cluster.certificate, cluster.private_key)
    except (OSError, ssl.SSLError) as error:
        problem = f"cannot be used with its ca and private_key ({type(error).__name__}): make them again"
        raise ConfigError(f"{config.file}: [cluster] certificate", problem) from None
    return context


def cluster_login(config: ShoreConfig) -> tuple[str, str] | None:
    """Raises KeyFileError."""
    user, path = config.cluster.user, config.cluster.password_file
    return None if path is None else (user, _password(config, "cluster", path))


def _password(config: ShoreConfig, section: str, path: Path) -> str:
    """The first line of a 0600 file. Raises KeyFileError, ConfigError."""
    try:
        lines = read_private(path, "password file", PASSWORD_BYTES_MAX).decode().splitlines()
    except UnicodeDecodeError:
        lines = []
    if not lines or not lines[0]:
        problem = f"{path} holds no password: put it on its first line"
        raise ConfigError(f"{config.file}: [{section}] password_file", problem)
    return lines[0]
