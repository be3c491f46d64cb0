"""PC/SC as plain blocking calls of pyscard, every error turned into ours. adapters/pcsc.py runs it in a thread."""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from steward.errors import CardRemoved, ReaderFault

_LOG = logging.getLogger(__name__)

POLL_MS = 250  # no wait lasts longer without a look at whether it should stop
ATTEMPTS_MAX = 3  # to take one card that is just entering the field
_GET_UID = b"\xff\xca\x00\x00\x00"
_SW_OK = b"\x90\x00"

_NO_PYSCARD = (
    "pyscard is missing: install it with pip install 'steward-edge[pcsc]' (it builds from source; on Debian first: "
    "apt install swig gcc libpcsclite-dev)"
)
_NO_SERVICE = (
    "the PC/SC service does not answer: install it (Debian: apt install pcscd) and start it (systemctl start "
    "pcscd.socket). If it runs, this user may not use it: allow it in polkit, action org.debian.pcsc-lite.access_pcsc"
)

_GONE = ("SCARD_W_REMOVED_CARD", "SCARD_W_RESET_CARD", "SCARD_E_NO_SMARTCARD", "SCARD_E_NOT_TRANSACTED")
_UNREADY = ("SCARD_W_UNPOWERED_CARD", "SCARD_W_UNRESPONSIVE_CARD", "SCARD_W_UNSUPPORTED_CARD", "SCARD_E_PROTO_MISMATCH")
_SERVICE_GONE = (
    "SCARD_E_NO_SERVICE",
    "SCARD_E_SERVICE_STOPPED",
    "SCARD_F_COMM_ERROR",
    "SCARD_E_INVALID_HANDLE",
    "SCARD_W_SECURITY_VIOLATION",  # refused by polkit; also what is left of a service that was killed meanwhile
)
_READER_GONE = ("SCARD_E_UNKNOWN_READER", "SCARD_E_READER_UNAVAILABLE", "SCARD_E_NO_READERS_AVAILABLE")


class PcscLink:
    """One reader, used by one thread only. Reader name "" is enough for `readers`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._context: Any = None
        self._handle: Any = None
        self._protocol = 0
        self._seen = 0  # the reader state last reported; its upper half counts insertions and removals
        self._done = -1  # that count for the card already returned or given up
        self._attempts = 0

    def readers(self) -> list[str]:
        api = _scard()
        code, names = self._call("SCardListReaders", self._open(), [])
        if code == _unsigned(api.SCARD_E_NO_READERS_AVAILABLE):
            return []
        self._need(code, "list the readers")
        return [str(name) for name in names]

    def wait(self, stop: threading.Event) -> bytes:
        """Block until a card that is new is taken; return its id. Raises ReaderFault, also when told to stop."""
        self.drop()
        self._check_service()
        while not stop.is_set():
            count = self._new_card()
            if count is None or stop.is_set():
                continue
            found = self._take()
            if found is not None:
                self._done = self._count_now(count)
                return found
            self._attempts += 1
            if self._attempts >= ATTEMPTS_MAX:
                self._done = count
                _LOG.warning("reader.card_skipped name=%s: it does not answer as a contactless card", self._name)
            elif stop.wait(POLL_MS / 1000):
                break
        raise ReaderFault(f"reader {self._name} is closed")

    def transmit(self, capdu: bytes) -> bytes:
        if self._handle is None:
            raise CardRemoved(f"no card is held by reader {self._name}")
        code, answer = self._call("SCardTransmit", self._handle, self._protocol, list(capdu))
        # Some drivers report success and no answer at all when the card is pulled out.
        if code in _codes(_GONE) or (code == 0 and len(answer) < 2):
            self._lose()
            raise CardRemoved(f"the card left reader {self._name} before the exchange was over")
        self._need(code, "talk to the card")
        return bytes(answer)

    def drop(self) -> None:
        """Power the card down and let others have it. Never fails: the card may be gone."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            self._quietly("SCardDisconnect", handle, _scard().SCARD_UNPOWER_CARD)

    def give_back(self) -> None:
        """Let go a card that was taken when nobody wanted it any more: it is still new for the next `wait`."""
        if self._handle is not None:
            self.drop()
            self._done = -1

    def release(self) -> None:
        self.drop()
        if self._context is not None:
            context, self._context = self._context, None
            self._quietly("SCardReleaseContext", context)

    def _lose(self) -> None:
        """The card has left: whatever is there next is new, even if the service saw no gap between the two.

        Left powered, because a service that fails to power down a card that is gone may then miss the next one.
        """
        if self._handle is not None:
            handle, self._handle = self._handle, None
            self._quietly("SCardDisconnect", handle, _scard().SCARD_LEAVE_CARD)
            self._done = -1

    def _check_service(self) -> None:
        """Forget a context from before the service was started again: nothing else tells that it is stale."""
        if self._context is not None:
            code, _ = self._call("SCardListReaders", self._context, [])
            if code in _codes(_SERVICE_GONE):
                self.release()

    def _new_card(self) -> int | None:
        """Wait up to POLL_MS for the reader's state; the card's count if there is one not yet dealt with."""
        api = _scard()
        code, states = self._call("SCardGetStatusChange", self._open(), POLL_MS, [(self._name, self._seen)])
        if code != _unsigned(api.SCARD_E_TIMEOUT):
            self._need(code, "watch the reader")
            state = states[0][1]
            if state & (api.SCARD_STATE_UNKNOWN | api.SCARD_STATE_UNAVAILABLE):
                raise self._missing()
            if state >> 16 != self._seen >> 16:
                self._attempts = 0
            self._seen = state & ~api.SCARD_STATE_CHANGED
        # Also after a timeout: a card that another program held, or that did not answer at first, is tried again.
        count = self._seen >> 16
        return count if self._seen & api.SCARD_STATE_PRESENT and count != self._done else None

    def _take(self) -> bytes | None:
        """Connect exclusively and ask for the id; None if the card is not ready, not ours to take, or no such card."""
        api = _scard()
        protocols = api.SCARD_PROTOCOL_T0 | api.SCARD_PROTOCOL_T1
        code, handle, protocol = self._call(
            "SCardConnect", self._open(), self._name, api.SCARD_SHARE_EXCLUSIVE, protocols
        )
        if code == _unsigned(api.SCARD_E_SHARING_VIOLATION):
            self._attempts = 0  # another program holds it: wait as long as the card stays
            return None
        if code in _codes(_GONE) or code in _codes(_UNREADY):
            return None
        self._need(code, "connect to the card")
        self._handle, self._protocol = handle, protocol
        try:
            answer = self.transmit(_GET_UID)
        except CardRemoved:
            return None
        if answer[-2:] != _SW_OK or len(answer) == 2:
            self.drop()
            return None
        return answer[:-2]

    def _count_now(self, fallback: int) -> int:
        """The count that belongs to the card we hold: it may have been swapped just before we connected."""
        code, states = self._call("SCardGetStatusChange", self._open(), 0, [(self._name, 0)])
        return fallback if code else int(states[0][1]) >> 16

    def _open(self) -> Any:
        if self._context is None:
            api = _scard()
            code, context = self._call("SCardEstablishContext", api.SCARD_SCOPE_SYSTEM)
            if code:
                raise ReaderFault(_NO_SERVICE)
            self._context, self._seen, self._done, self._attempts = context, 0, -1, 0
        return self._context

    def _need(self, code: int, what: str) -> None:
        """Success, or start afresh next time and say why."""
        if code == 0:
            return
        self.release()
        if code in _codes(_SERVICE_GONE):
            raise ReaderFault(_NO_SERVICE)
        if code in _codes(_READER_GONE):
            raise self._missing()
        text = _scard().SCardGetErrorMessage(code)
        raise ReaderFault(f"reader {self._name} could not {what}: {text} (PC/SC {code:08X})")

    def _missing(self) -> ReaderFault:
        self.release()
        try:
            names = ", ".join(self.readers()) or "none"
        except ReaderFault as fault:
            return fault
        finally:
            self.release()
        return ReaderFault(
            f"reader {self._name} is not there; PC/SC sees: {names}. Plug it in, or correct its name in the settings"
        )

    def _call(self, function: str, *arguments: object) -> Any:
        """(code as unsigned, results...) of one pyscard call."""
        api = _scard()
        try:
            code, *results = getattr(api, function)(*arguments)
        except (SystemError, api.error) as error:
            raise ReaderFault(f"reader {self._name}: {function} failed ({type(error).__name__})") from None
        return _unsigned(code), *results

    def _quietly(self, function: str, *arguments: object) -> None:
        api = _scard()
        try:
            code = _unsigned(getattr(api, function)(*arguments))
        except (SystemError, api.error):
            code = -1
        if code:
            _LOG.debug("reader.%s name=%s code=%08X", function, self._name, code & 0xFFFFFFFF)


def _scard() -> ModuleType:
    try:
        return importlib.import_module("smartcard.scard")
    except ImportError:
        raise ReaderFault(_NO_PYSCARD) from None


def _codes(names: Sequence[str]) -> frozenset[int]:
    api = _scard()
    return frozenset(_unsigned(getattr(api, name)) for name in names)


def _unsigned(code: int) -> int:
    return code & 0xFFFFFFFF
