"""A band for tests of the NFC chip: keyed on a cable with its Random ID off, and what a till does with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.micropython.pn532bench import BenchBand, I2cWire, UartWire
from tests.micropython.pn532kit import ReaderCard

from bandwire import charge
from bandwire.keys import K_FILE
from steward.adapters import keyfile
from steward.adapters.aes import HostAes
from steward.adapters.keyring import FileKeyRing
from steward.adapters.system import OsEntropy
from steward.domain.ids import Uid
from steward.ports import Card
from steward.services.card import CardTalk
from steward.services.personalise import KeyChange, Personaliser
from voyage.bandproc import BandOptions, BandProcess

AES, ENTROPY = HostAes(), OsEntropy()
UID = bytes.fromhex("04112233445566")
TEMPLATE = "ship.example/t?e={picc}&c={mac}"
KEYS = FileKeyRing(keyfile.new_key_file(12, ENTROPY, 1_700_000_000), AES)
VERSION = KEYS.versions()[0]
REQUEST = charge.pack_request(1250, "EUR", "BAR-1", bytes(16))
WIRES = pytest.mark.parametrize("wire", [UartWire, I2cWire])
LONG_MS = 250
ACK_MS = 80  # where many are lost


class HexCard:
    """A band on its hex link, as a reader that shows the whole UID."""

    anticollision_id = UID

    def __init__(self, band: BandProcess) -> None:
        self.exchange = band.apdu


class NoJournal:
    async def changes(self, uid: Uid) -> Sequence[KeyChange]:
        return ()

    async def note(self, change: KeyChange) -> None:
        pass


def personaliser(card: Card) -> Personaliser:
    return Personaliser(card, NoJournal(), KEYS, AES, ENTROPY, TEMPLATE, lambda done: None)


async def key_band(state: Path) -> None:
    async with await BandProcess.start(BandOptions(state, uid=UID)) as band:
        work = personaliser(HexCard(band))
        await work.key(await work.inspect(), VERSION, random_id=False)


async def charge_tap(card: ReaderCard) -> int:
    """What a till does; the band's counter. The signature is checked."""
    talk = CardTalk(card, KEYS, AES, ENTROPY, TEMPLATE)
    await talk.select()
    await talk.identify()
    assert talk.uid == UID
    await talk.authenticate()
    signed = await talk.sign_charge(REQUEST)
    assert signed is not None
    counter, mac = signed
    key = charge.charge_key(AES, KEYS.card_key(UID, K_FILE, VERSION), UID)
    assert mac == charge.charge_mac(AES, key, UID, REQUEST, counter)
    return counter


def codes(band: BenchBand) -> list[int]:
    return [command[0] for command in band.chip.commands]
