"""Two ends of one session, as the session tests use them."""

from tests.unit.bandwire.reference import counting

from bandwire import apdu
from bandwire.session import CardAuth, Channel, ReaderAuth
from steward.adapters.aes import HostAes

AES = HostAes()
KEY = counting(0x11, 16)
RND_A, RND_B = counting(0x40, 16), counting(0x80, 16)
TI = b"\xde\xad\xbe\xef"
OK, MORE = b"\x91\x00", b"\x91\xaf"
KENC, KMAC = counting(0xC0, 16), counting(0xD0, 16)


def first() -> tuple[Channel, Channel]:
    """(reader's channel, card's channel) after a real EV2First."""
    reader, card = ReaderAuth(AES, 1, KEY, RND_A), CardAuth(AES, 1, KEY, RND_B)
    assert reader.start().hex() == "9071000002010000"
    part2 = apdu.parse(reader.step(card.challenge() + MORE))
    answer, at_card = card.verify(part2.data, TI)
    return reader.finish(answer + OK), at_card


def pair(ctr: int = 0) -> tuple[Channel, Channel]:
    return Channel(AES, KENC, KMAC, TI, ctr), Channel(AES, KENC, KMAC, TI, ctr)


def carry(reader: Channel, card: Channel, data: bytes, answer: bytes, mode: int) -> tuple[bytes, bytes]:
    """One exchange; gives (what the card got, what the reader got)."""
    header = b"\x03"
    body = apdu.parse(reader.command(0x8D, header, data, mode)).data[1:]
    got = card.open(0x8D, header, body, mode)
    return got, reader.response(card.seal(answer, mode) + OK, mode)
