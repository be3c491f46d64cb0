"""File 02 as a reader without a session sees it: when the read counter steps, and what is mirrored."""

from bandwire.files import SDM_COUNTER, SDM_LIMIT, is_key
from bandwire.sdm import COUNTER_MAX, render

from .errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .applet import Applet

_NDEF = 2


def check(app: "Applet", ins: int, sw_limit: int, sw_overflow: int) -> None:
    """Refuse a first read that may not be counted. Nothing changes yet: range errors must not count."""
    settings = app.card.settings(_NDEF)
    if app.last_read == ins or not settings.sdm or not settings.sdm_options & SDM_COUNTER:
        return
    counter = app.card.sdm_counter
    if settings.sdm_options & SDM_LIMIT and counter >= settings.limit:
        raise Refused(sw_limit)
    if counter >= COUNTER_MAX:
        raise Refused(sw_overflow)


def view(app: "Applet", ins: int) -> bytes:
    """The whole file. A first read counts, in flash, before anything is shown; later ones repeat its view."""
    if app.last_read != ins:
        app.sdm_view = _first_view(app)
    app.this_read = ins
    return app.sdm_view


def _first_view(app: "Applet") -> bytes:
    card = app.card
    settings = card.settings(_NDEF)
    if not settings.sdm:
        return card.content(_NDEF)
    content = card.content(_NDEF)
    k_meta = k_file = b""
    filler_size = 0
    if is_key(settings.meta):
        k_meta = card.key(settings.meta)
        filler_size = 15 - 7 * settings.mirrors_uid - 3 * settings.mirrors_counter
    if is_key(settings.sdm_read):
        k_file = card.key(settings.sdm_read)
    counter = card.count_sdm_read() if settings.sdm_options & SDM_COUNTER else 0
    return render(app.aes, settings, content, card.uid, counter, app.random(filler_size), k_meta, k_file)
