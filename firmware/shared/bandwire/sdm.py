"""Secure dynamic messaging (SUN): what a plain read of the NDEF file shows, and how a reader checks it."""

import binascii

from .aes import ZERO16, Aes
from .cmac import cmac, cmac_t, equal
from .errors import BadArgument, BadFrame
from .files import MAC_CHARS, PICC_CHARS, SDM_ENCRYPT, FileSettings, is_key
from .ints import from_le, le, need_length

TAG_UID = 0x80
TAG_COUNTER = 0x40
TAG_BOTH = 0xC7  # UID, counter, and 7 bytes of UID: the only form our own bands show
COUNTER_MAX = 0xFFFFFF


def picc_data(uid: bytes, ctr: int, filler: bytes, tag: int = TAG_BOTH) -> bytes:
    """The 16 plain bytes: tag, the UID and counter it names, random filler (its first bytes, 5 to 15)."""
    out = bytes((tag,))
    if tag & TAG_UID:
        need_length(uid, 7, "UID")
        out += uid
    if tag & TAG_COUNTER:
        out += le(ctr, 3, "SDM counter")
    room = 16 - len(out)
    if len(filler) < room:
        raise BadArgument("PICC data wants %d bytes of filler" % room)
    return out + filler[:room]


def parse_picc(plain: bytes) -> tuple[int, bytes | None, int | None]:
    """(tag, UID, counter), None for what the tag leaves out. BadFrame for a tag this kind never sends."""
    need_length(plain, 16, "PICC data")
    tag = plain[0]
    if tag not in (TAG_BOTH, TAG_UID | 7, TAG_COUNTER):
        raise BadFrame("PICC data has an unknown tag: wrong key or another kind of card")
    at, uid, ctr = 1, None, None
    if tag & TAG_UID:
        uid = plain[1:8]
        at = 8
    if tag & TAG_COUNTER:
        ctr = from_le(plain, at, 3)
    return tag, uid, ctr


def seal_picc(aes: Aes, k_meta: bytes, uid: bytes, ctr: int, filler: bytes, tag: int = TAG_BOTH) -> bytes:
    return aes.cbc_encrypt(k_meta, ZERO16, picc_data(uid, ctr, filler, tag))


def open_picc(aes: Aes, k_meta: bytes, enc: bytes) -> tuple[bytes, int]:
    """(UID, counter); BadFrame unless both are there. Proves nothing yet: check the MAC with verify_sun."""
    if len(enc) != 16:
        raise BadFrame("encrypted PICC data must be 16 bytes")
    _, uid, ctr = parse_picc(aes.cbc_decrypt(k_meta, ZERO16, enc))
    if uid is None or ctr is None:
        raise BadFrame("PICC data lacks the UID or the counter")
    return uid, ctr


def sdm_keys(aes: Aes, k_file: bytes, uid: bytes, ctr_lsb: bytes) -> tuple[bytes, bytes]:
    """(Kenc, Kmac) of one read. A UID or counter (3 bytes) not shown is b""; Kenc is b"" unless both are."""
    kenc = _vector_key(aes, k_file, b"\xc3\x3c", uid, ctr_lsb) if uid and ctr_lsb else b""
    return kenc, _vector_key(aes, k_file, b"\x3c\xc3", uid, ctr_lsb)


def sdm_mac(aes: Aes, kmac: bytes, data: bytes) -> bytes:
    return cmac_t(aes, kmac, data)


def encrypt_file(aes: Aes, kenc: bytes, ctr: int, data: bytes) -> bytes:
    """The mirrored part of the file, whole 16-byte blocks, no padding."""
    return aes.cbc_encrypt(kenc, _file_iv(aes, kenc, ctr), data)


def decrypt_file(aes: Aes, kenc: bytes, ctr: int, enc: bytes) -> bytes:
    if len(enc) % 16:
        raise BadFrame("encrypted file data is not whole blocks")
    return aes.cbc_decrypt(kenc, _file_iv(aes, kenc, ctr), enc)


def render(
    aes: Aes,
    settings: FileSettings,
    file_bytes: bytes,
    uid: bytes,
    ctr: int,
    filler: bytes,
    k_meta: bytes,
    k_file: bytes,
) -> bytes:
    """Card: the whole file as a reader without a session sees it. A key no right names is not used."""
    out = bytearray(file_bytes)
    shows_uid, shows_ctr = settings.mirrors_uid, settings.mirrors_counter
    if is_key(settings.meta):
        tag = (TAG_UID | 7 if shows_uid else 0) | (TAG_COUNTER if shows_ctr else 0)
        _put(out, settings.picc_offset, _hex(seal_picc(aes, k_meta, uid, ctr, filler, tag)))
    else:
        if shows_uid:
            _put(out, settings.uid_offset, _hex(uid))
        if shows_ctr:
            _put(out, settings.ctr_offset, _hex(ctr.to_bytes(3, "big")))
    if is_key(settings.sdm_read):
        ctr_lsb = le(ctr, 3, "SDM counter")
        if settings.sdm_options & SDM_ENCRYPT:
            # This key is bound to both, even where the counter is counted and not shown.
            kenc = _vector_key(aes, k_file, b"\xc3\x3c", uid, ctr_lsb)
            at = settings.enc_offset
            plain = bytes(file_bytes[at : at + settings.enc_length // 2])
            _put(out, at, _hex(encrypt_file(aes, kenc, ctr, plain)))
        kmac = _vector_key(aes, k_file, b"\x3c\xc3", uid if shows_uid else b"", ctr_lsb if shows_ctr else b"")
        covered = bytes(out[settings.mac_input_offset : settings.mac_offset])
        _put(out, settings.mac_offset, _hex(sdm_mac(aes, kmac, covered)))
    return bytes(out)


def read_sun(file_bytes: bytes, picc_offset: int, mac_offset: int) -> tuple[bytes, bytes]:
    """Reader: (encrypted PICC data 16, MAC 8) out of a rendered file; BadFrame if they are not hex."""
    return (
        _unhex(file_bytes[picc_offset : picc_offset + PICC_CHARS], PICC_CHARS),
        _unhex(file_bytes[mac_offset : mac_offset + MAC_CHARS], MAC_CHARS),
    )


def verify_sun(aes: Aes, k_file: bytes, uid: bytes, ctr: int, mac: bytes, mac_input: bytes = b"") -> bool:
    """Reader: whether `mac` came from that band's file key. The caller checks that the counter rose."""
    _, kmac = sdm_keys(aes, k_file, uid, le(ctr, 3, "SDM counter"))
    return equal(sdm_mac(aes, kmac, mac_input), mac)


def _vector_key(aes: Aes, k_file: bytes, label: bytes, uid: bytes, ctr_lsb: bytes) -> bytes:
    vector = label + b"\x00\x01\x00\x80" + uid + ctr_lsb
    return cmac(aes, k_file, vector + bytes(-len(vector) % 16))


def _file_iv(aes: Aes, kenc: bytes, ctr: int) -> bytes:
    return aes.ecb(kenc, le(ctr, 3, "SDM counter") + bytes(13))


def _put(out: bytearray, offset: int, chars: bytes) -> None:
    if offset + len(chars) > len(out):
        raise BadArgument("SDM mirror runs past the end of the file")
    out[offset : offset + len(chars)] = chars


def _hex(data: bytes) -> bytes:
    return data.hex().upper().encode()


def _unhex(chars: bytes, size: int) -> bytes:
    data = None
    if len(chars) == size:
        try:
            data = binascii.unhexlify(chars)
        except ValueError:
            data = None
    if data is None:
        raise BadFrame("expected %d hex characters" % size)
    return data
