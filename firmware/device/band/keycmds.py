"""ChangeKey and SetConfiguration: key 0 only, always encrypted."""

from bandwire import apdu
from bandwire.files import FULL
from bandwire.keys import K_MASTER, KEY_COUNT, open_change_key

from .errors import Refused
from .replies import OK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .applet import Applet

_RANDOM_ID = 0x02


def change_key(app: "Applet", data: bytes) -> bytes:
    key_no = data[0]
    if key_no & 0xC0:
        raise Refused(apdu.SW_PARAMETER)
    if key_no >= KEY_COUNT:
        raise Refused(apdu.SW_NO_SUCH_KEY)
    app.need_session(K_MASTER)
    plain = app.open(apdu.INS_CHANGE_KEY, data, 1, FULL)
    new, version = open_change_key(plain, key_no, app.card.key(key_no))
    app.card.change_key(key_no, new, version)
    if key_no != K_MASTER:
        return app.answer(FULL)
    # The session's own key is gone, and the session with it: the answer is bare.
    app.end_session()
    return OK


def set_configuration(app: "Applet", data: bytes) -> bytes:
    """Only option 00, Random ID, which cannot be switched off again."""
    app.need_session(K_MASTER)
    plain = app.open(apdu.INS_SET_CONFIGURATION, data, 1, FULL)
    if len(plain) != 1:
        raise Refused(apdu.SW_LENGTH)
    if data[0] or plain[0] & ~_RANDOM_ID:
        raise Refused(apdu.SW_PARAMETER)
    if plain[0] & _RANDOM_ID:
        app.card.enable_random_id()
    return app.answer(FULL)
