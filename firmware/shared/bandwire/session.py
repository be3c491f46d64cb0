"""EV2: mutual authentication and secure messaging, the reader's side and the card's.

One Channel serves both sides. Whatever goes wrong in it ends it: its keys are dropped, further use refused.
"""

from . import apdu
from .aes import ZERO16, Aes
from .cmac import cmac_t, equal, pad
from .condition import PDCAP2_SIZE, WISH_NONE
from .errors import AuthFailed, BadArgument, BadFrame, BadMac, BadPadding, StatusError, WireError
from .files import FULL, PLAIN
from .ints import need_length
from .keys import session_keys

COUNTER_MAX = 0xFFFF
_MAC_SIZE = 8
_COMMAND_LABEL = b"\xa5\x5a"
_RESPONSE_LABEL = b"\x5a\xa5"


class Channel:
    """Secure messaging state of one session: keys, transaction identifier and command counter.

    Reader: command(), send it, response(). Card: open(), do the work, seal(). Public: ti, ctr, key_no, alive.
    """

    __slots__ = ("_aes", "_kenc", "_kmac", "_pending", "alive", "ctr", "key_no", "ti")

    def __init__(self, aes: Aes, kenc: bytes, kmac: bytes, ti: bytes, ctr: int = 0, key_no: int = 0) -> None:
        need_length(ti, 4, "transaction identifier")
        self._aes = aes
        self._kenc = kenc
        self._kmac = kmac
        self.ti = ti
        self.ctr = ctr
        self.key_no = key_no
        self.alive = True
        self._pending = False

    def wipe(self) -> None:
        """End the session; safe to repeat."""
        self._kenc = self._kmac = self.ti = b""
        self.ctr = 0
        self.alive = self._pending = False

    def command(self, ins: int, header: bytes = b"", data: bytes = b"", mode: int = FULL) -> bytes:
        """Reader: the C-APDU to send next. Never send it twice: take the answer or authenticate again."""
        self._need_alive()
        if self._pending or self.ctr >= COUNTER_MAX:
            self.wipe()
            raise BadArgument("command before the last answer, or counter used up: authenticate again")
        body = self._encrypt(data, _COMMAND_LABEL) if mode == FULL else data
        if mode != PLAIN:
            body += self._command_mac(ins, header, body)
        raw = apdu.native(ins, header + body)
        self._pending = True
        return raw

    def response(self, rapdu: bytes, mode: int = FULL) -> bytes:
        """Reader: the plain data of the answer. GetVersion's three frames are joined by the caller first."""
        self._need_alive()
        try:
            return self._response(rapdu, mode)
        except WireError:
            self.wipe()
            raise

    def closing_response(self, rapdu: bytes) -> None:
        """Reader: the answer to changing the session's own key, bare by design. It ends the session."""
        self.wipe()
        data, sw = apdu.split(rapdu)
        if sw != apdu.SW_OK:
            raise StatusError(sw)
        if data:
            raise BadFrame("answer to changing the session's own key must be empty")

    def open(self, ins: int, header: bytes, body: bytes, mode: int) -> bytes:
        """Card: the plain data of a command, whose `body` is all that follows the header (data, then MAC).

        BadMac, also when the counter is used up; BadPadding. On success the counter has moved on.
        """
        self._need_alive()
        try:
            return self._open(ins, header, body, mode)
        except WireError:
            self.wipe()
            raise

    def seal(self, data: bytes, mode: int, rc: int = 0) -> bytes:
        """Card: data and MAC of the answer to the command just opened."""
        self._need_alive()
        if mode == FULL:
            data = self._encrypt(data, _RESPONSE_LABEL)
        return data if mode == PLAIN else data + self._response_mac(data, rc)

    def _open(self, ins: int, header: bytes, body: bytes, mode: int) -> bytes:
        if self.ctr >= COUNTER_MAX:
            raise BadMac("command counter is used up")
        if mode != PLAIN:
            body, mac = body[:-_MAC_SIZE], body[-_MAC_SIZE:]
            if not equal(self._command_mac(ins, header, body), mac):
                raise BadMac("command MAC is wrong")
            if mode == FULL:
                body = self._decrypt(body, _COMMAND_LABEL)
        self.ctr += 1
        return body

    def _response(self, rapdu: bytes, mode: int) -> bytes:
        if not self._pending:
            raise BadArgument("answer without a command")
        data, sw = apdu.split(rapdu)
        if sw != apdu.SW_OK:
            raise StatusError(sw)
        self.ctr += 1
        self._pending = False
        if mode == PLAIN:
            return data
        data, mac = data[:-_MAC_SIZE], data[-_MAC_SIZE:]
        if not equal(self._response_mac(data, 0), mac):
            raise BadMac("answer MAC is wrong or missing")
        return self._decrypt(data, _RESPONSE_LABEL) if mode == FULL else data

    def _command_mac(self, ins: int, header: bytes, body: bytes) -> bytes:
        return cmac_t(self._aes, self._kmac, bytes((ins,)) + self._bound() + header + body)

    def _response_mac(self, body: bytes, rc: int) -> bytes:
        return cmac_t(self._aes, self._kmac, bytes((rc,)) + self._bound() + body)

    def _bound(self) -> bytes:
        return self.ctr.to_bytes(2, "little") + self.ti

    def _iv(self, label: bytes) -> bytes:
        return self._aes.ecb(self._kenc, label + self.ti + self.ctr.to_bytes(2, "little") + bytes(8))

    def _encrypt(self, data: bytes, label: bytes) -> bytes:
        # Nothing is encrypted when there is nothing: no padding block either.
        return self._aes.cbc_encrypt(self._kenc, self._iv(label), pad(data)) if data else data

    def _decrypt(self, data: bytes, label: bytes) -> bytes:
        if not data:
            return data
        if len(data) % 16:
            raise BadPadding("cipher text is not whole blocks")
        return _unpad(self._aes.cbc_decrypt(self._kenc, self._iv(label), data))

    def _need_alive(self) -> None:
        if not self.alive:
            raise BadArgument("session is over: authenticate again")


class ReaderAuth:
    """The reader's half of EV2First, or of EV2NonFirst inside `running`. For one run.

    start() -> C-APDU, step(answer) -> C-APDU, finish(answer) -> Channel. Then `pdcap2` holds what the card told of
    itself at First (condition.py), under the key it proved; empty at NonFirst. wish: what it is to be told at First.
    Raises StatusError, BadFrame or AuthFailed; then, and after success, `running` is wiped.
    """

    def __init__(
        self,
        aes: Aes,
        key_no: int,
        key: bytes,
        rnd_a: bytes,
        first: bool = True,
        running: Channel | None = None,
        wish: bytes = WISH_NONE,
    ) -> None:
        need_length(key, 16, "key")
        need_length(rnd_a, 16, "RndA")
        if first == (running is not None):
            raise BadArgument("a running session goes with NonFirst, and only with it")
        if wish and (not first or len(wish) != PDCAP2_SIZE):
            raise BadArgument("a wish has six bytes and goes with First")
        if running is not None:
            running._need_alive()
        self._aes = aes
        self._key_no = key_no
        self._key = key
        self._rnd_a = rnd_a
        self._rnd_b = b""
        self._running = running
        self._wish = wish
        self._next = 0
        self.pdcap2 = b""

    def start(self) -> bytes:
        self._advance(0)
        if self._running is None:
            return apdu.native(apdu.INS_AUTH_FIRST, bytes((self._key_no, len(self._wish))) + self._wish)
        return apdu.native(apdu.INS_AUTH_NONFIRST, bytes((self._key_no,)))

    def step(self, rapdu: bytes) -> bytes:
        self._advance(1)
        # 17 bytes would be the chip's other protocol, which we do not speak.
        data = self._take(rapdu, apdu.SW_MORE, 16)
        self._rnd_b = self._aes.cbc_decrypt(self._key, ZERO16, data)
        proof = self._aes.cbc_encrypt(self._key, ZERO16, self._rnd_a + _rotl(self._rnd_b))
        return apdu.native(apdu.INS_MORE, proof)

    def finish(self, rapdu: bytes) -> Channel:
        self._advance(2)
        running = self._running
        data = self._take(rapdu, apdu.SW_OK, 32 if running is None else 16)
        plain = self._aes.cbc_decrypt(self._key, ZERO16, data)
        ti, ctr, proof = plain[:4], 0, plain[4:20]
        if running is not None:
            ti, ctr, proof = running.ti, running.ctr, plain
            running.wipe()
        if not equal(_rotl(self._rnd_a), proof):
            raise AuthFailed("card did not prove the key")
        if running is None and plain[20] & 0x02:
            raise AuthFailed("card wants the LRP protocol")
        if running is None and not equal(plain[20 + PDCAP2_SIZE :], self._wish or bytes(PDCAP2_SIZE)):
            raise AuthFailed("card was told another wish than ours")  # also one where we told none
        self.pdcap2 = plain[20 : 20 + PDCAP2_SIZE] if running is None else b""
        kenc, kmac = session_keys(self._aes, self._key, self._rnd_a, self._rnd_b)
        return Channel(self._aes, kenc, kmac, ti, ctr, self._key_no)

    def _advance(self, step: int) -> None:
        if self._next != step:
            raise BadArgument("authentication steps out of order")
        self._next += 1

    def _take(self, rapdu: bytes, expected: int, size: int) -> bytes:
        """The answer's data, or end everything: an error costs the running session too."""
        try:
            data, sw = apdu.split(rapdu)
            if sw != expected:
                raise StatusError(sw)
            if len(data) != size:
                raise BadFrame("authentication answer of %d bytes is not %d" % (len(data), size))
        except WireError:
            self._next = -1
            if self._running is not None:
                self._running.wipe()
            raise
        return data


class CardAuth:
    """The card's half of EV2First or EV2NonFirst, for one challenge.

    pcdcap2: what the reader sent, cut or zero-padded to 6 and echoed. running: the session NonFirst renews.
    pdcap2: the card's own six bytes of First, see condition.py; it may change until accept().
    """

    def __init__(
        self,
        aes: Aes,
        key_no: int,
        key: bytes,
        rnd_b: bytes,
        first: bool = True,
        pcdcap2: bytes = b"",
        running: Channel | None = None,
        pdcap2: bytes | bytearray = bytes(PDCAP2_SIZE),
    ) -> None:
        need_length(rnd_b, 16, "RndB")
        if first == (running is not None):
            raise BadArgument("a running session goes with NonFirst, and only with it")
        if running is not None:
            running._need_alive()
        self._aes = aes
        self.key_no = key_no
        self._key = key
        self._rnd_b = rnd_b
        self._first = first
        self.pcdcap2 = (pcdcap2 + bytes(6))[:6]
        self._pdcap2 = pdcap2
        self._running = running
        self._ti = b""
        self._ctr = 0
        self._proved: tuple[bytes, bytes] | None = None

    def challenge(self) -> bytes:
        """E(RndB), answered with 91AF."""
        return self._aes.cbc_encrypt(self._key, ZERO16, self._fresh_rnd_b())

    def verify(self, cmd_data: bytes, ti: bytes = b"") -> tuple[bytes, Channel]:
        """prove() and accept() in one."""
        self.prove(cmd_data)
        return self.accept(ti)

    def prove(self, cmd_data: bytes) -> None:
        """Check the reader's part 2. BadFrame (917E) or AuthFailed (91AE); a second call is our misuse.

        NonFirst wipes the running session, whatever the outcome.
        """
        rnd_b, self._rnd_b = self._fresh_rnd_b(), b""
        if self._running is not None:
            self._ti, self._ctr = self._running.ti, self._running.ctr
            self._running.wipe()
        if len(cmd_data) != 32:
            raise BadFrame("authentication part 2 of %d bytes is not 32" % len(cmd_data))
        plain = self._aes.cbc_decrypt(self._key, ZERO16, cmd_data)
        if not equal(plain[16:], _rotl(rnd_b)):
            raise AuthFailed("reader did not prove the key")
        self._proved = plain[:16], rnd_b

    def accept(self, ti: bytes = b"") -> tuple[bytes, Channel]:
        """(answer to send with 9100, new session), once proved. First wants a random `ti`; NonFirst has one.

        Apart from prove() so that a card draws its TI only for a reader that held the key.
        """
        if self._proved is None:
            raise BadArgument("nothing proved: check part 2 first")
        (rnd_a, rnd_b), self._proved = self._proved, None
        kenc, kmac = session_keys(self._aes, self._key, rnd_a, rnd_b)
        ti = ti if self._first else self._ti
        channel = Channel(self._aes, kenc, kmac, ti, self._ctr, self.key_no)
        answer = _rotl(rnd_a)
        if self._first:
            answer = ti + answer + self._pdcap2 + self.pcdcap2
        return self._aes.cbc_encrypt(self._key, ZERO16, answer), channel

    def _fresh_rnd_b(self) -> bytes:
        if not self._rnd_b:
            raise BadArgument("this challenge was used: begin a new authentication")
        return self._rnd_b


def _rotl(data: bytes) -> bytes:
    return data[1:] + data[:1]


def _unpad(data: bytes) -> bytes:
    """Strip 80 and zeros; BadPadding if they are not there."""
    end = len(data) - 1
    while end > len(data) - 16 and data[end] == 0:
        end -= 1
    if data[end] != 0x80:
        raise BadPadding("padding under the cipher is wrong")
    return data[:end]
