"""Commands that only tell: versions, UID, settings, counters."""

from bandwire import apdu
from bandwire.files import FULL, MAC, NEVER
from bandwire.keys import KEY_COUNT

from .errors import Refused
from .filecmds import file_no, granted_mode
from .replies import MORE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .applet import Applet

_HARDWARE = b"\x04\x04\x02\x30\x00\x11\x05"
_SOFTWARE = b"\x04\x04\x02\x01\x02\x11\x05"
_BATCH = bytes(7)  # batch 4, fab key 1, week 1, year 1: we have none


def get_version(app: "Applet", data: bytes) -> bytes:
    app.open_bare(apdu.INS_GET_VERSION, data, 0, MAC)
    app.pending_version = 2
    return _HARDWARE + MORE


def more_version(app: "Applet", frame: int, data: bytes) -> bytes:
    if data:
        raise Refused(apdu.SW_LENGTH)
    if frame == 2:
        app.pending_version = 3
        return _SOFTWARE + MORE
    production = (bytes(7) if app.card.random_id else app.card.uid) + _BATCH
    whole = _HARDWARE + _SOFTWARE + production
    # In a session one MAC covers all three frames and travels with the last.
    return app.answer(MAC, whole)[len(whole) - len(production) :]


def get_card_uid(app: "Applet", data: bytes) -> bytes:
    app.need_session()
    app.open_bare(apdu.INS_GET_CARD_UID, data, 0, FULL)
    return app.answer(FULL, app.card.uid)


def get_file_settings(app: "Applet", data: bytes) -> bytes:
    settings = app.card.settings(file_no(data[0]))
    app.open_bare(apdu.INS_GET_FILE_SETTINGS, data, 1, MAC)
    return app.answer(MAC, settings.encode_settings())


def get_file_counters(app: "Applet", data: bytes) -> bytes:
    settings = app.card.settings(file_no(data[0]))
    if not settings.sdm or settings.ctr_ret == NEVER:
        raise Refused(apdu.SW_PERMISSION)
    mode = granted_mode(app, (settings.ctr_ret,), FULL)
    app.open_bare(apdu.INS_GET_FILE_COUNTERS, data, 1, mode)
    return app.answer(mode, app.card.sdm_counter.to_bytes(3, "little") + b"\x00\x00")


def get_key_version(app: "Applet", data: bytes) -> bytes:
    if data[0] & 0xF0:
        raise Refused(apdu.SW_PARAMETER)
    if data[0] >= KEY_COUNT:
        raise Refused(apdu.SW_NO_SUCH_KEY)
    app.open_bare(apdu.INS_GET_KEY_VERSION, data, 1, MAC)
    return app.answer(MAC, bytes((app.card.key_version(data[0]),)))
