"""Which key opens what: per-band keys from the masters, session keys, and the ChangeKey payload."""

import binascii

from .aes import Aes
from .cmac import cmac, diversify, equal
from .errors import BadArgument, BadFrame, BadMac
from .ints import le, need_length

APPLICATION_ID = b"\xd2\x76\x00\x00\x85\x01\x01"
KEY_COUNT = 5
K_MASTER = 0
K_TOKEN_READ = 1
K_META = 2
K_FILE = 3
K_WRITE = 4
FACTORY_KEY = bytes(16)
FACTORY_VERSION = 0
# Inputs of diversification that no card key's can be: those are 18 bytes long.
_ENROLMENT = b"band enrolment"
_INITIAL = b"initial key"
_ENROLMENT_MARK = b"\xe1"
_ENROLMENT_SIZE = 1 + 7 + 16 + 4


def diversification_input(uid: bytes, key_no: int, site: int, version: int) -> bytes:
    """UID 7, application id 7, key number 1, site LE2, version 1: 18 bytes, long enough for any CMAC code."""
    need_length(uid, 7, "UID")
    check_key_no(key_no)
    if not 1 <= version <= 255:
        raise BadArgument("key version must be 1 to 255; 0 marks factory keys, which are not derived")
    return uid + APPLICATION_ID + bytes((key_no,)) + le(site, 2, "site") + bytes((version,))


def card_key(aes: Aes, master: bytes, uid: bytes, key_no: int, site: int, version: int) -> bytes:
    """Key `key_no` of the band `uid`, from that role's master. Not for key 2, which all bands share."""
    if key_no == K_META:
        raise BadArgument("key 2 is shared by a voyage's bands: use meta_key")
    return diversify(aes, master, diversification_input(uid, key_no, site, version))


def meta_key(aes: Aes, master: bytes, site: int, version: int) -> bytes:
    """The key 2 of every band of one voyage: it is needed before the UID is known."""
    return diversify(aes, master, diversification_input(bytes(7), K_META, site, version))


def enrolment_secret(aes: Aes, master: bytes, uid: bytes) -> bytes:
    """What a new band shares with the stations that hold `master`, and with nobody else: 16 bytes."""
    need_length(uid, 7, "UID")
    return diversify(aes, master, uid + _ENROLMENT)


def initial_key(aes: Aes, secret: bytes, key_no: int) -> bytes:
    """Key `key_no` of a band that was enrolled and never keyed. Its label is FACTORY_VERSION all the same."""
    check_key_no(key_no)
    return diversify(aes, secret, _INITIAL + bytes((key_no,)))


def pack_enrolment(uid: bytes, secret: bytes) -> bytes:
    """The file that a station puts into a new band's flash: mark 1, UID 7, secret 16, CRC-32 LE4."""
    need_length(uid, 7, "UID")
    need_length(secret, 16, "secret")
    body = _ENROLMENT_MARK + uid + secret
    return body + binascii.crc32(body).to_bytes(4, "little")


def open_enrolment(file: bytes, uid: bytes) -> bytes:
    """The secret in it. BadFrame if the file is torn, or was made for another band."""
    if len(file) != _ENROLMENT_SIZE or file[:1] != _ENROLMENT_MARK:
        raise BadFrame("the enrolment file is torn")
    if binascii.crc32(file[:-4]).to_bytes(4, "little") != file[-4:]:
        raise BadFrame("the enrolment file is torn")
    if file[1:8] != uid:
        raise BadFrame("the enrolment file is another band's")
    return file[8:24]


def session_keys(aes: Aes, key: bytes, rnd_a: bytes, rnd_b: bytes) -> tuple[bytes, bytes]:
    """(Kenc, Kmac) of an EV2 session, both randoms in wire order."""
    mixed = bytearray(rnd_a[:8])
    for i in range(6):
        mixed[2 + i] ^= rnd_b[i]
    tail = b"\x00\x01\x00\x80" + bytes(mixed) + rnd_b[6:] + rnd_a[8:]
    return cmac(aes, key, b"\xa5\x5a" + tail), cmac(aes, key, b"\x5a\xa5" + tail)


def jamcrc(data: bytes) -> bytes:
    """CRC-32 without the final inversion, least significant byte first."""
    return (binascii.crc32(data) ^ 0xFFFFFFFF).to_bytes(4, "little")


def change_key_data(key_no: int, new: bytes, version: int, old: bytes | None = None) -> bytes:
    """ChangeKey CmdData before padding: 17 bytes for key 0, else 21 and `old` is needed."""
    check_key_no(key_no)
    need_length(new, 16, "new key")
    label = le(version, 1, "key version")
    if key_no == K_MASTER:
        return new + label
    if old is None:
        raise BadArgument("changing key %d needs the old key" % key_no)
    need_length(old, 16, "old key")
    return _xor(new, old) + label + jamcrc(new)


def open_change_key(plain: bytes, key_no: int, old: bytes) -> tuple[bytes, int]:
    """Card side: (new key, version). BadFrame for the length, BadMac if `old` was wrong at the sender."""
    if len(plain) != (17 if key_no == K_MASTER else 21):
        raise BadFrame("ChangeKey data of %d bytes does not fit key %d" % (len(plain), key_no))
    if key_no == K_MASTER:
        return plain[:16], plain[16]
    new = _xor(plain[:16], old)
    if not equal(jamcrc(new), plain[17:]):
        raise BadMac("ChangeKey checksum does not fit the new key")
    return new, plain[16]


def check_key_no(key_no: int) -> None:
    if not 0 <= key_no < KEY_COUNT:
        raise BadArgument("key number must be 0 to 4")


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(a[i] ^ b[i] for i in range(len(a)))
