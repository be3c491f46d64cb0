"""Which voyage's K2 a SUN message belongs to, when by chance it makes sense under two."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bandwire import apdu
from bandwire.keys import K_META
from steward.adapters.aes import HostAes
from steward.adapters.keyfile import new_key_file, rotate
from steward.adapters.keyring import FileKeyRing
from steward.adapters.system import OsEntropy
from steward.services.card import CardTalk

UID = bytes.fromhex("04112233445566")
TEMPLATE = "s.example/b?p={picc}&m={mac}"
PICC_TAG = 0xC7
TRIES = 1 << 20  # one padding in 65,536 does it: to find none among these has odds of e**-16


class SunCard:
    """Shows one fixed SUN message and the label of its K2."""

    anticollision_id = bytes.fromhex("08aabbcc")

    def __init__(self, picc: bytes, label: int) -> None:
        self._picc = picc
        self._label = label
        self.asked: list[int] = []

    async def exchange(self, capdu: bytes) -> bytes:
        self.asked.append(capdu[1])
        if capdu[1] == apdu.INS_GET_KEY_VERSION:
            return bytes((self._label,)) + b"\x91\x00"
        return self._picc.hex().upper().encode() + b"\x91\x00"


@pytest.fixture
def keyring() -> FileKeyRing:
    entropy = OsEntropy()
    return FileKeyRing(rotate(new_key_file(7, entropy, 1_800_000_000), entropy, 1_800_000_000), HostAes())


def ecb(key: bytes, data: bytes, encrypt: bool) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.ECB())
    worker = cipher.encryptor() if encrypt else cipher.decryptor()
    return worker.update(data)


def shown(keyring: FileKeyRing, version: int, also_under: int) -> bytes:
    """PICC data of a band of `version` that another version's K2 opens to something that looks like a band, too."""
    head = bytes((PICC_TAG,)) + UID + b"\x05\x00\x00"
    blocks = b"".join(head + n.to_bytes(5, "big") for n in range(TRIES))
    encrypted = ecb(keyring.card_key(b"", K_META, version), blocks, True)
    opened = ecb(keyring.card_key(b"", K_META, also_under), encrypted, False)
    for at in range(0, len(opened), 16):
        if opened[at] == PICC_TAG and opened[at + 1] == UID[0]:
            return encrypted[at : at + 16]
    raise AssertionError("no such padding among all that were tried")


@pytest.mark.parametrize(("version", "other"), [(1, 2), (2, 1)])
async def test_a_message_that_fits_two_voyages_is_settled_by_the_bands_own_label(
    keyring: FileKeyRing, version: int, other: int
) -> None:
    card = SunCard(shown(keyring, version, other), version)
    talk = CardTalk(card, keyring, HostAes(), OsEntropy(), TEMPLATE)
    await talk.identify()
    assert (talk.uid, talk.key_version) == (UID, version)
    assert card.asked == [apdu.INS_READ_DATA, apdu.INS_GET_KEY_VERSION]


async def test_a_message_that_fits_one_voyage_costs_no_more_than_the_read(keyring: FileKeyRing) -> None:
    head = bytes((PICC_TAG,)) + UID + b"\x05\x00\x00"
    k1, k2 = (keyring.card_key(b"", K_META, n) for n in (1, 2))
    blocks = [ecb(k1, head + n.to_bytes(5, "big"), True) for n in range(8)]
    block = next(b for b in blocks if ecb(k2, b, False)[0] != PICC_TAG)
    card = SunCard(block, 1)
    talk = CardTalk(card, keyring, HostAes(), OsEntropy(), TEMPLATE)
    await talk.identify()
    assert (talk.uid, talk.key_version) == (UID, 1)
    assert card.asked == [apdu.INS_READ_DATA]
