"""SELECT, READ BINARY and UPDATE BINARY (CLA 00). Never secured; checks in the order of the fact sheet."""

from bandwire import apdu
from bandwire.files import FREE, is_key
from bandwire.keys import APPLICATION_ID

from . import sdmread
from .card import FILE_SIZES
from .errors import Refused
from .replies import ISO_OK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .applet import Applet

_MF_NAME = b"\xd2\x76\x00\x00\x85\x01\x00"
_MF_ID = b"\x3f\x00"
_DF_ID = b"\xe1\x10"
_FILE_IDS = {b"\xe1\x03": 1, b"\xe1\x04": 2, b"\xe1\x05": 3}
_NDEF = 2
# SELECT: P1 -> data lengths it may have.
_SELECT_SIZES = {0: (0, 2), 1: (2,), 2: (2,), 3: (0,), 4: tuple(range(1, 17))}


def run(app: "Applet", raw: bytes) -> bytes:
    if len(raw) < 4:
        raise Refused(apdu.ISO_LENGTH)
    pending_auth, pending_version = app.take_pending()
    if pending_auth is not None or pending_version:
        raise Refused(apdu.ISO_CONDITIONS)
    ins = raw[1]
    if ins == apdu.INS_SELECT:
        return _select(app, raw)
    if ins == apdu.INS_READ_BINARY:
        return _read_binary(app, raw)
    if ins == apdu.INS_UPDATE_BINARY:
        return _update_binary(app, raw)
    raise Refused(apdu.ISO_INS)


def _split(raw: bytes) -> tuple[bytes, int | None]:
    """(data, Le or None); Le 00 is 256."""
    size = len(raw)
    if size == 4:
        return b"", None
    if size == 5:
        return b"", raw[4] or 256
    end = 5 + raw[4]
    if not raw[4] or size not in (end, end + 1):
        raise Refused(apdu.ISO_LENGTH)
    return raw[5:end], (raw[end] or 256) if size > end else None


def _select(app: "Applet", raw: bytes) -> bytes:
    p1, p2 = raw[2], raw[3]
    if p1 not in _SELECT_SIZES or p2 not in (0x00, 0x0C):
        raise Refused(apdu.ISO_P1P2)
    data, _ = _split(raw)
    if len(data) not in _SELECT_SIZES[p1]:
        raise Refused(apdu.ISO_LC_P1P2)
    number = _FILE_IDS.get(data) if p1 in (0, 2) else None
    if number is not None and app.in_application:
        app.current_file = number
        return ISO_OK
    app.in_application = _selects_application(p1, data)
    app.current_file = 0
    app.end_session()
    return ISO_OK


def _selects_application(p1: int, data: bytes) -> bool:
    """True: our application. False: the MF. 6A82 if it is neither."""
    if (p1 == 4 and data == APPLICATION_ID) or (p1 in (0, 1) and data == _DF_ID):
        return True
    if p1 == 3 or (p1 == 4 and data == _MF_NAME) or (p1 == 0 and data in (b"", _MF_ID)):
        return False
    raise Refused(apdu.ISO_NOT_FOUND)


def _addressed(app: "Applet", raw: bytes) -> tuple[int, int]:
    """(file number, offset) that P1 and P2 name."""
    p1, p2 = raw[2], raw[3]
    offset = p1 << 8 | p2
    if p1 & 0x80:
        short_id = p1 & 0x1F
        if p1 & 0x60 or short_id == 0x1F:
            raise Refused(apdu.ISO_P1P2)
        if short_id:
            raise Refused(apdu.ISO_NOT_FOUND)
        offset = p2
    if not app.current_file:
        raise Refused(apdu.ISO_CONDITIONS)
    return app.current_file, offset


def _read_binary(app: "Applet", raw: bytes) -> bytes:
    data, le = _split(raw)
    number, offset = _addressed(app, raw)
    if app.session is not None:
        raise Refused(apdu.ISO_ACCESS)
    settings = app.card.settings(number)
    mirrored = settings.sdm and is_key(settings.sdm_read)
    if not mirrored and FREE not in (settings.read, settings.rw):
        raise Refused(apdu.ISO_ACCESS)
    if number == _NDEF:
        sdmread.check(app, apdu.INS_READ_BINARY, apdu.ISO_ACCESS, apdu.ISO_ACCESS)
    if offset >= FILE_SIZES[number]:
        raise Refused(apdu.ISO_P1P2)
    if le is None or data:
        raise Refused(apdu.ISO_LENGTH)
    content = sdmread.view(app, apdu.INS_READ_BINARY) if number == _NDEF else app.card.content(number)
    return content[offset : offset + le] + ISO_OK


def _update_binary(app: "Applet", raw: bytes) -> bytes:
    data, le = _split(raw)
    number, offset = _addressed(app, raw)
    if not data or le not in (None, 256):  # a trailing Le of 00 is tolerated: an example in the field sends it
        raise Refused(apdu.ISO_LENGTH)
    settings = app.card.settings(number)
    if app.session is not None or FREE not in (settings.write, settings.rw):
        raise Refused(apdu.ISO_ACCESS)
    if offset + len(data) > FILE_SIZES[number]:
        raise Refused(apdu.ISO_CONDITIONS)
    app.card.write_content(number, offset, data)
    return ISO_OK
