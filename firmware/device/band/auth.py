"""AuthenticateEV2First and NonFirst, and what wrong keys cost.

Every attempt is counted in flash before the challenge leaves, so a reader cannot guess and pull away. From the
fiftieth failure in a row on, each attempt has to wait out a delay that grows with them; the delay survives a
power cut. The plain chip also locks a key for good at 1000; our own band never does.
"""

from bandwire import apdu
from bandwire.condition import read_wish
from bandwire.keys import KEY_COUNT
from bandwire.session import CardAuth

from .errors import Refused
from .replies import MORE, OK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .applet import Applet

_TOTAL_LIMIT = 1000
_TOTAL_DECREMENT = 10
_DELAY_FROM = 50
_DELAY_STEP_MS = 25  # 65 % of the frame waiting time


def check_size(ins: int, data: bytes) -> None:
    """917E unless the first part's data is as long as it says. `data` holds at least its header."""
    if len(data) != (2 + data[1] if ins == apdu.INS_AUTH_FIRST else 1):
        raise Refused(apdu.SW_LENGTH)


def first(app: "Applet", data: bytes) -> bytes:
    key_no = _key_no(data)
    app.end_session()
    return _challenge(app, key_no, data[2:])


def nonfirst(app: "Applet", data: bytes) -> bytes:
    key_no = _key_no(data)
    if app.session is None:
        raise Refused(apdu.SW_PERMISSION)
    return _challenge(app, key_no, b"")


def part2(app: "Applet", pending: CardAuth, data: bytes) -> bytes:
    """Compare in constant time (CardAuth does), clear the failures, answer, open the session."""
    pending.prove(data)
    answer, channel = pending.accept(app.random(4) if app.session is None else b"")
    app.session = channel
    app.unproved_wish = read_wish(pending.pcdcap2)
    total, _, spent = app.card.failures(channel.key_no)
    app.card.set_failures(channel.key_no, max(0, total - _TOTAL_DECREMENT), 0, spent)
    return answer + OK


def _key_no(data: bytes) -> int:
    if data[0] & 0xC0:
        raise Refused(apdu.SW_PARAMETER)
    if data[0] >= KEY_COUNT:
        raise Refused(apdu.SW_NO_SUCH_KEY)
    return data[0]


def _challenge(app: "Applet", key_no: int, pcdcap2: bytes) -> bytes:
    """Part 1: `app.session` is None for First, the running session for NonFirst."""
    total, sequence, spent = app.card.failures(key_no)
    if total >= _TOTAL_LIMIT and not app.active:
        raise Refused(apdu.SW_PERMISSION)
    if sequence >= _DELAY_FROM and spent < sequence - _DELAY_FROM + 1:
        app.card.set_failures(key_no, total, sequence, spent + 1)
        app.wait_ms(_DELAY_STEP_MS)
        raise Refused(apdu.SW_DELAY)
    app.card.set_failures(key_no, total + 1, sequence + 1, 0)
    running = app.session
    app.pending_auth = CardAuth(
        app.aes, key_no, app.card.key(key_no), app.random(16), running is None, pcdcap2, running, app.pdcap2
    )
    return app.pending_auth.challenge() + MORE
