"""The gateway's own TLS: a context that is checked before it serves, and renewed files taken up without a restart.

Each handshake is given the newest context that passed the checks. Files that fail them change nothing: callers keep
the certificate that worked, and the status says what is wrong with the new one.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from steward.adapters.certificates import CertificateFacts, check_dates, check_names, check_pair, date
from steward.errors import CertificateError
from steward.ports import ClockReading
from steward.services.certificates import SOON_DAYS

_LOG = logging.getLogger(__name__)

# TLS 1.2 with forward secrecy and authenticated encryption only; what TLS 1.3 offers needs no choosing.
_CIPHERS_12 = "ECDHE+AESGCM:ECDHE+CHACHA20"
Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class TlsStatus:
    """The certificate in use, for the status page. problem: empty if there is nothing to do."""

    names: tuple[str, ...]
    not_after_s: int
    days_left: int
    problem: str


class ServerTls:
    """One pair of files. `context` is for the server; `refresh` looks at the files again."""

    def __init__(self, certificate: Path, private_key: Path, names: Sequence[str]) -> None:
        self._certificate = certificate
        self._private_key = private_key
        self._names = tuple(names)
        self._stamp: Stamp | None = None
        self._problem = ""
        self._leaf: CertificateFacts | None = None
        self._current: ssl.SSLContext | None = None
        self.context = _new_context()
        # Called at every handshake, whether the caller names a host or not.
        self.context.sni_callback = self._choose

    @classmethod
    def open(cls, certificate: Path, private_key: Path, names: Sequence[str], now: ClockReading) -> ServerTls:
        """Raises CertificateError. Dates are not held against a clock that is not believed: doors must still open."""
        made = cls(certificate, private_key, names)
        stamp = made._look()
        made._take(now)
        made._stamp = stamp
        return made

    def refresh(self, now: ClockReading) -> bool:
        """Take up the files if they have changed and are good. True if a new certificate serves from now on."""
        stamp = self._look()
        if stamp == self._stamp:
            return False
        try:
            self._take(now)
        except CertificateError as error:
            self._stamp = stamp
            self._problem = f"the changed files are not used: {error}"
            _LOG.error("tls.not_renewed detail=%s", error)
            return False
        self._stamp = stamp
        self._problem = ""
        _LOG.info("tls.renewed until=%s", date(self._facts.not_after_s))
        return True

    @property
    def not_after_s(self) -> int:
        """When the certificate in use ends."""
        return self._facts.not_after_s

    def status(self, now: ClockReading) -> TlsStatus:
        leaf = self._facts
        days = leaf.days_left(now.unix_s)
        return TlsStatus(self._names, leaf.not_after_s, days, self._problem or _due(days, now.trusted))

    @property
    def _facts(self) -> CertificateFacts:
        assert self._leaf is not None, "open makes it"
        return self._leaf

    def _take(self, now: ClockReading) -> None:
        """Check the files and serve them. Raises CertificateError, with nothing changed."""
        leaf = check_pair(self._certificate, self._private_key)
        check_names(self._certificate, leaf, self._names)
        if now.trusted:
            check_dates(self._certificate, leaf, now.unix_s)
        context = _new_context()
        try:
            context.load_cert_chain(self._certificate, self._private_key, password=_no_passphrase)
        except (OSError, ssl.SSLError):
            raise CertificateError(
                f"{self._certificate} and {self._private_key} cannot be used for TLS: make another pair"
            ) from None
        if self._current is None:
            self.context.load_cert_chain(self._certificate, self._private_key, password=_no_passphrase)
        self._leaf, self._current = leaf, context

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        assert self._current is not None
        connection.context = self._current

    def _look(self) -> Stamp | None:
        """What tells a changed file from the same one; None if one is not there at this moment."""
        try:
            found = [path.stat() for path in (self._certificate, self._private_key)]
        except OSError:
            return None
        return tuple((status.st_ino, status.st_mtime_ns, status.st_size) for status in found)


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS_12)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def _no_passphrase() -> bytes:
    """Asked only for a protected key, which was refused before: never ask at a terminal."""
    return b""


def _due(days: int, trusted: bool) -> str:
    if not trusted or days >= SOON_DAYS:
        return ""
    if days < 0:
        return "the certificate has expired: callers are refused"
    return f"the certificate ends in {days} days: renew it"
