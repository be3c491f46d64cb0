"""ReadData, WriteData, ChangeFileSettings, and the rule for which communication mode a right grants."""

from bandwire import apdu
from bandwire.files import (
    FREE,
    FULL,
    NEVER,
    OPTION_SDM,
    PLAIN,
    FileSettings,
    is_key,
    parse_change,
    read_limit,
)

from . import sdmread
from .card import FILE_SIZES
from .errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .applet import Applet

_NDEF = 2


def file_no(value: int) -> int:
    """919E for reserved bits, 91F0 for a file that does not exist."""
    if value & 0xE0:
        raise Refused(apdu.SW_PARAMETER)
    if value not in FILE_SIZES:
        raise Refused(apdu.SW_FILE_NOT_FOUND)
    return value


def granted_mode(app: "Applet", rights: tuple[int, ...], mode: int) -> int:
    """`mode` if the session's key has one of `rights`, PLAIN if anyone has; else 919D or 91AE."""
    if app.session is not None and app.session.key_no in rights:
        return mode
    if FREE in rights:
        return PLAIN
    for right in rights:
        if right != NEVER:
            raise Refused(apdu.SW_AUTH)
    raise Refused(apdu.SW_PERMISSION)


def read_data(app: "Applet", data: bytes) -> bytes:
    _, offset, length = apdu.parse_file_range(data[:7])
    number = file_no(data[0])
    settings = app.card.settings(number)
    open_view = app.session is None and number == _NDEF
    mode = PLAIN
    if not (open_view and settings.sdm and is_key(settings.sdm_read)):
        mode = granted_mode(app, (settings.read, settings.rw), settings.mode)
    if open_view:
        sdmread.check(app, apdu.INS_READ_DATA, apdu.SW_PERMISSION, apdu.SW_INTEGRITY)
    app.open_bare(apdu.INS_READ_DATA, data, 7, mode)
    size = FILE_SIZES[number]
    wanted = length or max(0, size - offset)
    if wanted > read_limit(mode):
        raise Refused(apdu.SW_LENGTH)
    if offset >= size or offset + wanted > size:
        raise Refused(apdu.SW_BOUNDARY)
    content = sdmread.view(app, apdu.INS_READ_DATA) if open_view else app.card.content(number)
    return app.answer(mode, content[offset : offset + wanted])


def write_data(app: "Applet", data: bytes) -> bytes:
    _, offset, length = apdu.parse_file_range(data[:7])
    number = file_no(data[0])
    settings = app.card.settings(number)
    mode = granted_mode(app, (settings.write, settings.rw), settings.mode)
    plain = app.open(apdu.INS_WRITE_DATA, data, 7, mode)
    if not length or len(plain) != length:
        raise Refused(apdu.SW_LENGTH)
    if offset + length > FILE_SIZES[number]:
        raise Refused(apdu.SW_BOUNDARY)
    app.card.write_content(number, offset, plain)
    return app.answer(mode)


def change_file_settings(app: "Applet", data: bytes) -> bytes:
    number = file_no(data[0])
    before = app.card.settings(number)
    mode = granted_mode(app, (before.change,), FULL)
    plain = app.open(apdu.INS_CHANGE_FILE_SETTINGS, data, 1, mode)
    app.card.change_settings(number, _new_settings(app, number, before, plain))
    return app.answer(mode)


def _new_settings(app: "Applet", number: int, before: FileSettings, plain: bytes) -> FileSettings:
    if number != _NDEF and len(plain) >= 3 and plain[0] & OPTION_SDM:
        raise Refused(apdu.SW_PERMISSION)
    # Switching SDM on restarts its counter, so a read limit is then compared with zero.
    counter = app.card.sdm_counter if before.sdm else 0
    return parse_change(plain, FILE_SIZES[number], counter)
