"""SignCharge: the active band signs a charge with a key that no till holds."""

from bandwire import apdu, charge
from bandwire.files import MAC
from bandwire.keys import K_FILE, K_TOKEN_READ

from .errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .applet import Applet


def sign_charge(app: "Applet", data: bytes) -> bytes:
    """The counter is in flash before its signature exists: it may skip values, never repeat one."""
    app.need_session(K_TOKEN_READ)
    request = app.open(apdu.INS_SIGN_CHARGE, data, 0, MAC)
    charge.unpack_request(request)  # raises BadFrame or BadParameter
    card = app.card
    if card.charge_counter >= charge.COUNTER_MAX:
        raise Refused(apdu.SW_PERMISSION)
    uid, key = card.uid, card.key(K_FILE)
    counter = card.count_charge()
    mac = charge.charge_mac(app.aes, charge.charge_key(app.aes, key, uid), uid, request, counter)
    return app.answer(MAC, charge.pack_response(counter, mac))
