"""The charge an active band signs: request, answer, and the MAC only the folio authority can check."""

from .aes import Aes
from .cmac import cmac, cmac_t, equal
from .errors import BadArgument, BadFrame, BadParameter
from .ints import from_le, le, need_length

REQUEST_SIZE = 31
RESPONSE_SIZE = 12
TERMINAL_SIZE = 8
NONCE_SIZE = 16
COUNTER_MAX = 0xFFFFFFFF

_KEY_LABEL = b"\xc5\x5c\x00\x01\x00\x80"
_MAC_LABEL = b"\x01"


def pack_request(amount_minor: int, currency: str, terminal: str, nonce: bytes) -> bytes:
    """amount 1..2^32-1, currency three capitals, terminal 1..8 printable ASCII, nonce 16 (the tap's id)."""
    need_length(nonce, NONCE_SIZE, "charge nonce")
    money, till = currency.encode(), terminal.encode()
    if len(till) > TERMINAL_SIZE or len(money) != 3:
        raise BadArgument("charge wants three letters of currency and a terminal of at most 8 characters")
    raw = le(amount_minor, 4, "charge amount") + money + till + bytes(TERMINAL_SIZE - len(till)) + nonce
    if wrong := _wrong(raw):
        raise BadArgument(wrong)
    return raw


def unpack_request(raw: bytes) -> tuple[int, str, str, bytes]:
    """(amount, currency, terminal, nonce). BadFrame: 917E for the length. BadParameter: 919E for a value."""
    if len(raw) != REQUEST_SIZE:
        raise BadFrame("charge request of %d bytes is not 31" % len(raw))
    if wrong := _wrong(raw):
        raise BadParameter(wrong)
    return from_le(raw, 0, 4), raw[4:7].decode(), raw[7:15].rstrip(b"\x00").decode(), raw[15:]


def charge_key(aes: Aes, k3: bytes, uid: bytes) -> bytes:
    """Kc: the band's key 3, bent so that nothing signed here can pass for an SDM MAC."""
    need_length(uid, 7, "UID")
    return cmac(aes, k3, _KEY_LABEL + uid + bytes(3))


def charge_mac(aes: Aes, kc: bytes, uid: bytes, request: bytes, counter: int) -> bytes:
    """8 bytes over label, UID, the request as received and the band's own charge counter."""
    need_length(uid, 7, "UID")
    need_length(request, REQUEST_SIZE, "charge request")
    return cmac_t(aes, kc, _MAC_LABEL + uid + request + le(counter, 4, "charge counter"))


def verify(aes: Aes, kc: bytes, uid: bytes, request: bytes, counter: int, mac: bytes) -> bool:
    """Whether the band signed this; that `counter` has risen is the caller's to check."""
    return equal(charge_mac(aes, kc, uid, request, counter), mac)


def pack_response(counter: int, mac: bytes) -> bytes:
    need_length(mac, 8, "charge MAC")
    return le(counter, 4, "charge counter") + mac


def unpack_response(data: bytes) -> tuple[int, bytes]:
    """(counter, MAC)."""
    if len(data) != RESPONSE_SIZE:
        raise BadFrame("charge answer of %d bytes is not 12" % len(data))
    return from_le(data, 0, 4), data[4:]


def _wrong(raw: bytes) -> str:
    """The first rule a request of the right length breaks, or an empty string."""
    if not from_le(raw, 0, 4):
        return "charge amount is zero"
    for byte in raw[4:7]:
        if not 0x41 <= byte <= 0x5A:
            return "charge currency is not three capital letters"
    terminal = raw[7:15].rstrip(b"\x00")
    if not terminal:
        return "charge terminal is empty"
    for byte in terminal:
        if not 0x21 <= byte <= 0x7E:
            return "charge terminal is not printable ASCII padded with zeros"
    return ""
