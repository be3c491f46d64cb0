"""Settings: one TOML file and the environment, checked once at the start. Every error names file, key and remedy.

Only this module reads the environment: STEWARD_CONFIG (where the file is) and CREDENTIALS_DIRECTORY (set by systemd).
Secrets are never in the file: it names the files they are in. Paths are relative to the settings file's folder.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from steward.config_aggregates import AggregatesSettings, read_aggregates
from steward.config_bands import BandsSettings, read_bands
from steward.config_ble import BleSettings, read_ble
from steward.config_desk import LogSettings, MonitorSettings, PurserSettings, read_log, read_monitor, read_purser
from steward.config_holdout import read_holdout
from steward.config_http import HttpSettings, read_http
from steward.config_link import BrokerSettings, LinkSettings, read_broker, read_link
from steward.config_models import ModelsSettings, read_models
from steward.config_offers import OffersSettings, load_rules, read_offers
from steward.config_outlets import OUTLET, OUTLET_RULE, OUTLETS_MAX, read_outlets
from steward.config_privacy import PrivacySettings, read_privacy
from steward.config_ship import ShipSettings, read_ship
from steward.config_stations import STATIONS_MAX, read_stations
from steward.domain.ids import OutletId
from steward.domain.outlets import Outlet
from steward.domain.rulekinds import Rules
from steward.errors import ConfigError
from steward.services.blanks import TrustedStation
from steward.services.decisions import HoldoutSettings
from steward.settings_table import Table

CONFIG_ENV = "STEWARD_CONFIG"
CREDENTIALS_ENV = "CREDENTIALS_DIRECTORY"
CONFIG_DEFAULT = "steward.toml"
CONFIG_BYTES_MAX = 262_144
READERS_MAX = 128
PURPOSES = ("door", "till", "encoder", "crew")
KINDS = ("link", "pcsc")

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_NAME_RULE = "1 to 32 lower-case letters, digits and dashes, not beginning with a dash"
_PATH = re.compile(r"[^\x00-\x1f]{1,4096}")
_TILL = re.compile(r"[!-~]{1,8}")
_TILL_RULE = "1 to 8 printable ASCII characters without spaces"
_MATCH = re.compile(r"[^\x00-\x1f]{1,128}")
_CREDENTIAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_GUEST_URL = re.compile(r"[A-Za-z0-9.-]{1,120}(:[0-9]{1,5})?(/[A-Za-z0-9._~-]{0,60}){0,4}")
_TAKEN_PATHS = frozenset(
    {"", "crew", "healthz", "language", "me", "metrics", "privacy", "purser", "static", "v1", "verify"}
)
_ADDRESS = re.compile(r"([A-Za-z0-9.-]{1,253}):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """This gateway. Exactly one of passphrase_file and credential opens the key files."""

    ship: str
    site: int
    name: str
    number: int  # written into a band's status: which gateway wrote it
    data_dir: Path
    key_file: Path
    data_key_file: Path
    passphrase_file: Path | None
    credential: Path | None
    api_tokens_file: Path
    guest_url: str
    day_start_hour: int
    utc_offset_min: int

    @property
    def database(self) -> Path:
        return self.data_dir / "steward.db"

    @property
    def guest_path(self) -> str:
        """Where that page is on this gateway, if it is the one that serves it."""
        _, slash, path = self.guest_url.partition("/")
        return slash + path

    @property
    def sun_template(self) -> str:
        """What a band shows a phone: the guest's page with room for the encrypted UID and the MAC."""
        return self.guest_url + "?e={picc}&c={mac}"


@dataclass(frozen=True, slots=True)
class ChargeSettings:
    duplicate_window_s: int
    request_ttl_s: int
    hold_ttl_s: int
    sun_required: bool


@dataclass(frozen=True, slots=True)
class EncodingSettings:
    random_id: bool


@dataclass(frozen=True, slots=True)
class ReaderSettings:
    """One reader and what it is for. Fields of other kinds and purposes are None."""

    name: str
    kind: str  # "link" | "pcsc"
    purpose: str  # "door" | "till" | "encoder" | "crew"
    port: int | None = None  # link; 0: any free one
    match: str | None = None  # pcsc: the reader's name, or a part of it that no other has
    cabin: int | None = None
    zone: str | None = None
    till: str | None = None
    outlet: str | None = None
    controller: tuple[str, int] | None = None  # of a door's lock

    @property
    def place(self) -> str:
        """Where it is, for people: the till's id at a till, else the reader's own name."""
        return self.till or self.name


@dataclass(frozen=True, slots=True)
class Config:
    file: Path
    gateway: GatewaySettings
    http: HttpSettings
    zones: Mapping[str, int]  # name -> bit number 0..31
    charges: ChargeSettings
    encoding: EncodingSettings
    purser: PurserSettings
    monitor: MonitorSettings
    log: LogSettings
    outlets: Mapping[OutletId, Outlet]
    readers: tuple[ReaderSettings, ...]
    offers: OffersSettings
    rules: Rules  # of suggestions, from the file that `offers` names
    holdout: HoldoutSettings
    aggregates: AggregatesSettings
    privacy: PrivacySettings
    models: ModelsSettings
    stations: tuple[TrustedStation, ...] = ()
    link: LinkSettings | None = None
    broker: BrokerSettings | None = None
    ship: ShipSettings | None = None
    ble: BleSettings | None = None  # None: nothing is listened for here
    bands: BandsSettings | None = None  # None: their program is brought at the bench alone


def find_file(given: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """The settings file: as given, else from STEWARD_CONFIG, else steward.toml here."""
    return given or Path(environ.get(CONFIG_ENV) or CONFIG_DEFAULT)


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Read and check the settings. Raises ConfigError."""
    root = Table(str(path), "", read_toml(path, "steward init DIR"))
    folder = path.resolve().parent
    zones = _zones(root.table("zones"))
    gateway = _gateway(root.table("gateway"), folder, environ)
    link = read_link(root.table("link"), folder, gateway.name)
    offers = read_offers(root.table("offers"), folder)
    config = Config(
        file=path,
        gateway=gateway,
        http=read_http(root.table("http"), folder),
        zones=zones,
        charges=_charges(root.table("charges")),
        encoding=_encoding(root.table("encoding")),
        purser=read_purser(root.table("purser")),
        monitor=read_monitor(root.table("monitor")),
        log=read_log(root.table("log")),
        outlets=read_outlets(root.tables("outlet", OUTLETS_MAX)),
        readers=tuple(_reader(table, zones) for table in root.tables("reader", READERS_MAX)),
        offers=offers,
        rules=load_rules(offers),
        holdout=read_holdout(root.table("holdout")),
        aggregates=read_aggregates(root.table("aggregates")),
        privacy=read_privacy(root.table("privacy")),
        models=read_models(root.table("models"), folder),
        stations=read_stations(root.tables("station", STATIONS_MAX)),
        link=link,
        broker=read_broker(root.table("broker"), folder, link, gateway.name),
        ship=read_ship(root.table("ship_link"), folder, gateway.name),
        ble=read_ble(root.table("ble")),
        bands=read_bands(root.table("bands"), folder),
    )
    root.finish()
    _check_clashes(config)
    _check_outlets(config)
    return config


def read_toml(path: Path, maker: str) -> dict[str, object]:
    """maker: the command that makes such a file. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            raw = file.read(CONFIG_BYTES_MAX + 1)
    except OSError as error:
        problem = f"cannot be read ({error.strerror}): make one with `{maker}`, or name it with --config"
        raise ConfigError(str(path), problem) from None
    if len(raw) > CONFIG_BYTES_MAX:
        raise ConfigError(str(path), f"is larger than {CONFIG_BYTES_MAX} bytes: is this the right file?")
    try:
        return tomllib.loads(raw.decode())
    except UnicodeDecodeError:
        raise ConfigError(str(path), "is not UTF-8 text: save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), f"is not valid TOML: {error}") from None


def _gateway(table: Table, folder: Path, environ: Mapping[str, str]) -> GatewaySettings:
    def path(key: str, default: str) -> Path:
        return folder / table.text(key, default, _PATH, "a path")

    passphrase = table.optional_text("passphrase_file", _PATH, "a path")
    credential = table.optional_text("credential", _CREDENTIAL, "the name of a systemd credential")
    if passphrase is not None and credential is not None:
        table.fail("credential", "and passphrase_file are both set: keep the one that opens the key file")
    key_file = path("key_file", "keys.sealed")
    settings = GatewaySettings(
        ship=table.text("ship", None, _NAME, _NAME_RULE),
        site=table.number("site", None, 1, 65535),
        name=table.text("name", "gw1", _NAME, _NAME_RULE),
        number=table.number("number", 1, 0, 65535),
        data_dir=path("data_dir", "data"),
        key_file=key_file,
        data_key_file=path("data_key_file", str(key_file.with_name("data-key.sealed"))),
        passphrase_file=None if credential else folder / (passphrase or "passphrase"),
        credential=credential_path(table, credential, environ) if credential else None,
        api_tokens_file=path("api_tokens_file", "api-tokens.json"),
        guest_url=_guest_url(table),
        day_start_hour=table.number("day_start_hour", 4, 0, 23),
        utc_offset_min=table.number("utc_offset_min", 0, -14 * 60, 14 * 60),
    )
    table.finish()
    return settings


def _guest_url(table: Table) -> str:
    rule = "an address without https:// and without ? or #, such as ship.example/t"
    url = table.text("guest_url", "ship.example/t", _GUEST_URL, rule)
    if url.partition("/")[2].partition("/")[0] in _TAKEN_PATHS:
        table.fail("guest_url", f"is {url}, and its path is another page's: give it one of its own, such as /t")
    return url


def credential_path(table: Table, name: str, environ: Mapping[str, str] | None) -> Path:
    """Where systemd put this credential. environ: None for the process's own. Raises ConfigError."""
    folder = (os.environ if environ is None else environ).get(CREDENTIALS_ENV)
    if not folder:
        table.fail(
            "credential",
            f"needs {CREDENTIALS_ENV}: start under systemd with LoadCredentialEncrypted={name}, "
            f"or use passphrase_file instead",
        )
    return Path(folder) / name


def _zones(table: Table) -> Mapping[str, int]:
    zones: dict[str, int] = {}
    for name in table.names():
        bit = table.number(name, None, 0, 31)
        if not _NAME.fullmatch(name):
            table.fail(name, f"is not a zone's name: {_NAME_RULE}")
        taken = [other for other, used in zones.items() if used == bit]
        if taken:
            table.fail(name, f"has number {bit} as {taken[0]} has: bands cannot tell them apart, choose a free one")
        zones[name] = bit
    return MappingProxyType(zones)


def _charges(table: Table) -> ChargeSettings:
    settings = ChargeSettings(
        duplicate_window_s=table.number("duplicate_window_s", 20, 0, 3600),
        request_ttl_s=table.number("request_ttl_s", 60, 5, 600),
        hold_ttl_s=table.number("hold_ttl_s", 120, 10, 3600),
        sun_required=table.flag("sun_required", True),
    )
    table.finish()
    return settings


def _encoding(table: Table) -> EncodingSettings:
    settings = EncodingSettings(random_id=table.flag("random_id", True))
    table.finish()
    return settings


def _reader(table: Table, zones: Mapping[str, int]) -> ReaderSettings:
    name = table.text("name", None, _NAME, _NAME_RULE)
    kind = table.choice("kind", KINDS)
    purpose = table.choice("purpose", PURPOSES)
    is_link = kind == "link"
    cabin, zone, controller = _door(table, zones) if purpose == "door" else (None, None, None)
    is_till = purpose == "till"
    settings = ReaderSettings(
        name=name,
        kind=kind,
        purpose=purpose,
        port=table.number("port", 0, 0, 65535) if is_link else None,
        match=None if is_link else table.text("match", None, _MATCH, "the reader's PC/SC name or a part of it"),
        cabin=cabin,
        zone=zone,
        till=table.text("till", None, _TILL, _TILL_RULE) if is_till else None,
        outlet=table.text("outlet", None, OUTLET, OUTLET_RULE) if purpose in ("till", "crew") else None,
        controller=controller,
    )
    table.finish()
    return settings


def _door(table: Table, zones: Mapping[str, int]) -> tuple[int | None, str | None, tuple[str, int] | None]:
    cabin = table.optional_number("cabin", 1, 65535)
    zone = table.optional_text("zone", _NAME, "the name of a zone")
    if (cabin is None) == (zone is None):
        table.fail("cabin", "or zone is what a door is for: give exactly one of them")
    if zone is not None and zone not in zones:
        known = ", ".join(zones) or "none"
        table.fail("zone", f"is {zone}, which [zones] does not name: add it there, or use one of: {known}")
    address = table.optional_text("controller", _ADDRESS, "host:port of the door's controller")
    if address is None:
        return cabin, zone, None
    host, _, port = address.rpartition(":")
    if not 1 <= int(port) <= 65535:
        table.fail("controller", f"has port {port}: give 1 to 65535")
    return cabin, zone, (host, int(port))


def _check_clashes(config: Config) -> None:
    """Names, sockets and PC/SC readers that two settings claim."""
    seen: dict[tuple[str, object], str] = {("port", config.http.port): "[http] port"} if config.http.port else {}
    for reader in config.readers:
        where = f"[reader {reader.name}]"
        claims: list[tuple[str, str, object]] = [("name", "name", reader.name)]
        if reader.port:
            claims.append(("port", "port", reader.port))
        if reader.match is not None:
            claims.append(("match", "match", reader.match))
        for key, what, value in claims:
            other = seen.get((what, value))
            if other is not None:
                raise ConfigError(
                    f"{config.file}: {where} {key}", f"{value} is taken by {other}: give each its own {what}"
                )
            seen[(what, value)] = f"{where} {key}"
    outlets: dict[str, str] = {}
    for reader in config.readers:
        if reader.till is not None and outlets.setdefault(reader.till, str(reader.outlet)) != reader.outlet:
            raise ConfigError(
                f"{config.file}: [reader {reader.name}] outlet",
                f"is {reader.outlet}, but another reader of till {reader.till} sells for {outlets[reader.till]}: "
                f"a till has one outlet",
            )


def _check_outlets(config: Config) -> None:
    """A crew station's outlet must be named by an [[outlet]]; a till's too, once there is any."""
    for reader in config.readers:
        if reader.outlet is None or reader.outlet in config.outlets:
            continue
        if reader.purpose == "crew" or config.outlets:
            known = ", ".join(config.outlets) or "none"
            raise ConfigError(
                f"{config.file}: [reader {reader.name}] outlet",
                f"is {reader.outlet}, which no [[outlet]] names: add one with its kind, or use one of: {known}",
            )
