"""What gateways with a radio tell the folio authority, and what it asks of them, as bytes. Strict. Pure.

Upwards: what was heard since the last message, name by name, and answers to questions. Who a name belongs to is known
at the authority alone. Downwards, signed by the authority: connect to one band and ask it for one thing. The passkey in
it serves one pairing, with the band at that address, in this quarter of an hour.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import cbor2

from steward.domain.cborwire import NotPlain, plain_loads
from steward.domain.eidtable import NAME_SIZE
from steward.domain.presence import ZONE
from steward.domain.replica import BadLan
from steward.domain.topics import ROOT

VERSION = 1
NAMES_MAX = 600  # of a message: of more, the strongest
ANSWERS_MAX = 8
MESSAGE_BYTES_MAX = 64 * 1024
AGE_MAX_MS = 60_000
LATE_S = 30  # a question this old is not obeyed any more
DATA_MAX = 1100
SIGNATURE_SIZE = 64
_MARK = b"radio\0"  # no change set begins so: neither signature passes for the other
_ADDRESS = re.compile(r"[0-9A-Fa-f:-]{1,64}")

Sign = Callable[[bytes], tuple[int, bytes]]  # (key version, signature)
Verify = Callable[[int, bytes, bytes], bool]


@dataclass(frozen=True, slots=True)
class HeardName:
    """rssi: the mean of its packets. age_ms: since the last of them, when the message was made."""

    name: bytes
    address: str
    rssi: int
    packets: int
    age_ms: int


@dataclass(frozen=True, slots=True)
class RadioAnswer:
    """status: -1: the band was away."""

    number: int
    status: int
    data: bytes


@dataclass(frozen=True, slots=True)
class HeardNames:
    """state, heard, dropped: of that radio."""

    ship: str
    gateway: str
    zone: str
    state: str
    heard: int
    dropped: int
    names: tuple[HeardName, ...] = ()
    answers: tuple[RadioAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class RadioAsk:
    """number: rises with each of one run of the authority. boot: that run."""

    ship: str
    gateway: str
    boot: bytes
    number: int
    sent_s: int
    address: str
    passkey: int = field(repr=False)
    kind: int
    data: bytes


def heard_topic(ship: str, gateway: str) -> str:
    return f"{ROOT}/{ship}/lan/{gateway}/heard"


def radio_topic(ship: str, gateway: str) -> str:
    return f"{ROOT}/{ship}/lan/{gateway}/radio"


def encode_heard(heard: HeardNames) -> bytes:
    names = [[each.name, each.address, each.rssi, each.packets, each.age_ms] for each in heard.names]
    answers = [[each.number, each.status, each.data] for each in heard.answers]
    head = [heard.ship, heard.gateway, heard.zone, heard.state, heard.heard, heard.dropped]
    return bytes((VERSION,)) + cbor2.dumps([*head, names, answers])


def decode_heard(payload: bytes, ship: str, gateway: str) -> HeardNames:
    """Raises BadLan."""
    if not 1 < len(payload) <= MESSAGE_BYTES_MAX or payload[0] != VERSION:
        raise BadLan("lan_garbage", f"{len(payload)} bytes that are no word of a radio")
    try:
        of_ship, of_gateway, zone, state, heard, dropped, names, answers = plain_loads(payload[1:])
        _check(isinstance(zone, str) and ZONE.fullmatch(zone), isinstance(state, str) and len(state) < 16)
        _check(_is_count(heard), _is_count(dropped), len(names) <= NAMES_MAX, len(answers) <= ANSWERS_MAX)
        found = tuple(_name(*each) for each in names)
        told = tuple(_answer(*each) for each in answers)
    except (NotPlain, TypeError, ValueError) as error:
        raise BadLan("lan_garbage", "bytes that are no word of a radio") from error
    if (of_ship, of_gateway) != (ship, gateway):
        raise BadLan("lan_foreign", "a radio's word in another gateway's name")
    return HeardNames(of_ship, of_gateway, zone, state, heard, dropped, found, told)


def seal_ask(ask: RadioAsk, sign: Sign) -> bytes:
    """version | key version | signature | CBOR."""
    head = [ask.ship, ask.gateway, ask.boot, ask.number, ask.sent_s]
    body = cbor2.dumps([*head, ask.address, ask.passkey, ask.kind, ask.data])
    key_version, signature = sign(_MARK + body)
    return bytes((VERSION, key_version)) + signature + body


def open_ask(payload: bytes, ship: str, gateway: str, verify: Verify) -> RadioAsk:
    """Raises BadLan: garbage, forged, or meant for somebody else."""
    if not 2 + SIGNATURE_SIZE < len(payload) <= MESSAGE_BYTES_MAX or payload[0] != VERSION:
        raise BadLan("lan_garbage", f"{len(payload)} bytes that are no question to a radio")
    body = payload[2 + SIGNATURE_SIZE :]
    if not verify(payload[1], _MARK + body, payload[2 : 2 + SIGNATURE_SIZE]):
        raise BadLan("lan_forged", "not signed by the ship's authority")
    try:
        to_ship, to_gateway, boot, number, sent_s, address, passkey, kind, data = plain_loads(body)
        _check(type(boot) is bytes and len(boot) == 8, _is_count(number), _is_count(sent_s), _is_address(address))
        _check(_is_count(passkey) and passkey < 1_000_000, _is_count(kind) and kind < 128)
        _check(type(data) is bytes and len(data) <= DATA_MAX)
    except (NotPlain, TypeError, ValueError) as error:
        raise BadLan("lan_garbage", "signed, and yet no question to a radio: another version?") from error
    if (to_ship, to_gateway) != (ship, gateway):
        raise BadLan("lan_foreign", "a question to another gateway's radio")
    return RadioAsk(to_ship, to_gateway, boot, number, sent_s, address, passkey, kind, data)


def _name(name: object, address: object, rssi: object, packets: object, age_ms: object) -> HeardName:
    _check(isinstance(name, bytes) and len(name) == NAME_SIZE, _is_address(address), _is_count(packets))
    _check(type(rssi) is int and -128 < rssi <= 20, _is_count(age_ms))
    assert isinstance(name, bytes) and isinstance(address, str) and isinstance(rssi, int)  # noqa: PT018
    assert isinstance(packets, int) and isinstance(age_ms, int)  # noqa: PT018
    return HeardName(name, address, rssi, packets, min(age_ms, AGE_MAX_MS))


def _answer(number: object, status: object, data: object) -> RadioAnswer:
    _check(_is_count(number), type(status) is int and -1 <= status < 256)
    _check(isinstance(data, bytes) and len(data) <= DATA_MAX)
    assert isinstance(number, int) and isinstance(status, int) and isinstance(data, bytes)  # noqa: PT018
    return RadioAnswer(number, status, data)


def _is_address(value: object) -> bool:
    return isinstance(value, str) and _ADDRESS.fullmatch(value) is not None


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _check(*holds: object) -> None:
    if not all(holds):
        raise ValueError("a field that does not fit")
