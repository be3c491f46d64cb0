"""The applet: one C-APDU in, one R-APDU out. Holds the session, the selection and what is pending.

Order of checks for a native command: instruction known; P1, P2, Le, Lc; application selected; reserved bits;
file or key exists; access; command counter and MAC; padding; size of the plain data; values; file bounds; store.
Whatever fails first is the whole answer, and any error ends the session.
"""

from bandwire import apdu
from bandwire.aes import Aes
from bandwire.condition import NO_RADIO, PDCAP2_SIZE, put_condition
from bandwire.errors import AuthFailed, BadFrame, BadMac, BadPadding, BadParameter
from bandwire.files import PLAIN
from bandwire.session import CardAuth, Channel

from . import auth, charging, filecmds, info, iso, keycmds
from .card import Card
from .errors import Refused, StoreError
from .replies import OK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# instruction -> (handler, header bytes, whether data may follow, status word at MF level or 0 if none is due)
_NATIVE = {
    apdu.INS_AUTH_FIRST: (auth.first, 2, True, apdu.SW_NO_SUCH_KEY),
    apdu.INS_AUTH_NONFIRST: (auth.nonfirst, 1, True, apdu.SW_NO_SUCH_KEY),
    apdu.INS_GET_VERSION: (info.get_version, 0, False, 0),
    apdu.INS_GET_CARD_UID: (info.get_card_uid, 0, True, 0),
    apdu.INS_GET_FILE_SETTINGS: (info.get_file_settings, 1, False, apdu.SW_PERMISSION),
    apdu.INS_GET_FILE_COUNTERS: (info.get_file_counters, 1, False, apdu.SW_PERMISSION),
    apdu.INS_GET_KEY_VERSION: (info.get_key_version, 1, False, apdu.SW_NO_SUCH_KEY),
    apdu.INS_CHANGE_FILE_SETTINGS: (filecmds.change_file_settings, 1, True, apdu.SW_PERMISSION),
    apdu.INS_READ_DATA: (filecmds.read_data, 7, False, apdu.SW_PERMISSION),
    apdu.INS_WRITE_DATA: (filecmds.write_data, 7, True, apdu.SW_PERMISSION),
    apdu.INS_CHANGE_KEY: (keycmds.change_key, 1, True, apdu.SW_NO_SUCH_KEY),
    apdu.INS_SET_CONFIGURATION: (keycmds.set_configuration, 1, True, apdu.SW_PERMISSION),
    apdu.INS_SIGN_CHARGE: (charging.sign_charge, 0, True, apdu.SW_PERMISSION),
}


class Applet:
    """random(n): n cryptographically random bytes, drawn in the order RndB, TI; SDM filler at each first read.

    wait_ms(n): lets an authentication delay pass. active: False behaves as the plain chip (see board.Board).
    """

    def __init__(
        self,
        aes: Aes,
        card: Card,
        random: "Callable[[int], bytes]",
        wait_ms: "Callable[[int], None]",
        active: bool,
    ) -> None:
        self.aes = aes
        self.card = card
        self.random = random
        self.wait_ms = wait_ms
        self.active = active
        self.pdcap2 = bytearray(PDCAP2_SIZE)  # what authentication tells of the band: nothing, as the plain chip
        self.session: Channel | None = None
        self.unproved_wish: bool | None = None  # came at the start of `session`, when anybody could change it
        self._wish: bool | None = None
        self.pending_auth: CardAuth | None = None
        self.pending_version = 0  # the GetVersion frame that the next AF asks for; 0: none
        self.in_application = False
        self.current_file = 0  # 0: no EF selected
        self.last_read = 0  # instruction of the read of file 02 without a session just before this command
        self.this_read = 0  # the same for this command, set when it succeeds
        self.sdm_view = b""  # file 02 as that run of reads sees it

    def reset(self) -> None:
        """As after power-up: MF selected, nothing authenticated, nothing pending."""
        self.end_session()
        self._drop_pending()
        self.in_application = False
        self.current_file = 0
        self.last_read = self.this_read = 0
        self.sdm_view = b""

    def tell_condition(self, battery_percent: int, charging: bool, radio: int = NO_RADIO) -> None:
        """What the band says of itself from now on, if it is more than the plain chip."""
        if self.active:
            put_condition(self.pdcap2, battery_percent, charging, radio)

    def take_wish(self) -> bool | None:
        """Whether the guest wants the radio on or off, once: told by a reader that then proved it told just that."""
        wish, self._wish = self._wish, None
        return wish

    def end_session(self) -> None:
        if self.session is not None:
            self.session.wipe()
            self.session = None

    def process(self, raw: bytes) -> bytes:
        """The answer to one C-APDU; never raises for what a reader or the flash may do."""
        self.last_read, self.this_read = self.this_read, 0
        iso_class = raw[:1] == b"\x00"
        try:
            return iso.run(self, raw) if iso_class else self._native(raw)
        except Refused as err:
            sw = err.sw
        except StoreError:
            sw = apdu.ISO_MEMORY if iso_class else apdu.SW_MEMORY
        except BadFrame:
            sw = apdu.SW_LENGTH
        except BadParameter:
            sw = apdu.SW_PARAMETER
        except (BadMac, BadPadding):
            sw = apdu.SW_INTEGRITY
        except AuthFailed:
            sw = apdu.SW_AUTH
        self.end_session()
        self._drop_pending()
        return sw.to_bytes(2, "big")

    def take_pending(self) -> tuple[CardAuth | None, int]:
        pending = self.pending_auth, self.pending_version
        self._drop_pending()
        return pending

    # For the command handlers.

    def open(self, ins: int, data: bytes, header_size: int, mode: int) -> bytes:
        """Check the command's MAC and undo its encryption, if `mode` has them: its plain data."""
        body = data[header_size:]
        if self.session is None:
            return body
        plain = self.session.open(ins, data[:header_size], body, mode)
        if mode != PLAIN and self.unproved_wish is not None:
            self._wish, self.unproved_wish = self.unproved_wish, None
        return plain

    def open_bare(self, ins: int, data: bytes, header_size: int, mode: int) -> None:
        """The same for a command that carries no data beyond its header."""
        if self.open(ins, data, header_size, mode):
            raise Refused(apdu.SW_LENGTH)

    def answer(self, mode: int, data: bytes = b"") -> bytes:
        if self.session is None or mode == PLAIN:
            return data + OK
        return self.session.seal(data, mode) + OK

    def need_session(self, key_no: int | None = None) -> None:
        """91AE unless authenticated, with key `key_no` if one is named."""
        if self.session is None or key_no not in (None, self.session.key_no):
            raise Refused(apdu.SW_AUTH)

    def _native(self, raw: bytes) -> bytes:
        if raw[:1] != b"\x90":
            raise Refused(apdu.ISO_CLA if len(raw) >= 4 else apdu.ISO_LENGTH)
        if len(raw) < 4:
            raise Refused(apdu.SW_LENGTH)
        ins = raw[1]
        pending_auth, pending_version = self.take_pending()
        if ins == apdu.INS_MORE:
            if pending_auth is not None:
                return auth.part2(self, pending_auth, _payload(raw))
            if pending_version:
                return info.more_version(self, pending_version, _payload(raw))
            raise Refused(apdu.SW_ILLEGAL_COMMAND)
        if pending_auth is not None or pending_version:
            raise Refused(apdu.SW_ABORTED)
        entry = _NATIVE.get(ins)
        if entry is None or (ins == apdu.INS_SIGN_CHARGE and not self.active):
            raise Refused(apdu.SW_ILLEGAL_COMMAND)
        handler, header_size, data_follows, sw_at_mf = entry
        data = _payload(raw)
        if len(data) < header_size:
            raise Refused(apdu.SW_LENGTH)
        if self.session is None and not data_follows and len(data) > header_size:
            raise Refused(apdu.SW_LENGTH)
        if handler is auth.first or handler is auth.nonfirst:
            auth.check_size(ins, data)
        if sw_at_mf and not self.in_application:
            raise Refused(sw_at_mf)
        return handler(self, data)

    def _drop_pending(self) -> None:
        self.pending_auth = None
        self.pending_version = 0


def _payload(raw: bytes) -> bytes:
    """The data of a wrapped native command of at least 4 bytes."""
    if raw[2] or raw[3]:
        raise Refused(apdu.SW_PARAMETER)
    size = len(raw)
    if size == 5 and not raw[4]:
        return b""
    if size < 7 or not raw[4] or raw[-1] or size != 6 + raw[4]:
        raise Refused(apdu.SW_LENGTH)
    return raw[5:-1]
