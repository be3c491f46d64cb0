"""Certificates and their keys in PEM files: read, described, and held against what they are for.

Nothing here decides whom to trust: that is the TLS library's work. This tells an operator, before the first caller
is turned away, what a caller would turn away and what to do about it.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from steward.adapters.keyseal import read_private
from steward.errors import CertificateError, KeyFileError

FILE_BYTES_MAX = 262_144
CHAIN_MAX = 8
RSA_BITS_MIN = 2048
EC_BITS_MIN = 256
DAY_S = 86_400
_SHOWN_MAX = 64
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_USES = {ExtendedKeyUsageOID.SERVER_AUTH: "server", ExtendedKeyUsageOID.CLIENT_AUTH: "client"}

E = TypeVar("E", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a certificate says. Times in unix seconds; names as callers would type them, in small letters."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before_s: int
    not_after_s: int
    serial: int
    sha256: str  # of the whole certificate, hex
    key: str  # such as "P-256"
    uses: tuple[str, ...]  # "server", "client"; empty: any
    is_ca: bool
    path_length: int | None
    permitted: tuple[str, ...]  # names that a CA is held to; empty: any

    def days_left(self, now_s: int) -> int:
        """Whole days until it ends, negative once it has."""
        return (self.not_after_s - now_s) // DAY_S

    def covers(self, name: str) -> bool:
        """Whether a caller who typed `name` accepts it. A star stands for one whole label, the first."""
        rest = name.partition(".")[2]
        return name in self.names or (not _is_address(name) and bool(rest) and f"*.{rest}" in self.names)


def read_chain(path: Path) -> list[x509.Certificate]:
    """All certificates of a PEM file, in its order. Raises CertificateError."""
    try:
        with path.open("rb") as file:
            raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise CertificateError(f"{path} cannot be read ({error.strerror}): make it with `steward tls issue`") from None
    if len(raw) > FILE_BYTES_MAX:
        raise CertificateError(f"{path} is larger than {FILE_BYTES_MAX} bytes: is this the right file?")
    try:
        chain = x509.load_pem_x509_certificates(raw)
    except ValueError:
        raise CertificateError(f"{path} holds no certificate in PEM form: check the path, or convert it") from None
    if len(chain) > CHAIN_MAX:
        raise CertificateError(f"{path} holds {len(chain)} certificates, at most {CHAIN_MAX}: give the chain only")
    return chain


def read_key(path: Path) -> PrivateKeyTypes:
    """A private key that only its owner can read and no passphrase protects. Raises CertificateError."""
    try:
        raw = read_private(path, "private key", FILE_BYTES_MAX)
    except KeyFileError as error:
        raise CertificateError(str(error)) from None
    try:
        return load_pem_private_key(raw, None)
    except TypeError:
        raise CertificateError(
            f"{path} is protected by a passphrase, and a gateway starts with nobody there to type it: "
            f"store the key without one, mode 0600"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(f"{path} holds no private key in PEM form: check the path") from None


def end_of(path: Path) -> int:
    """The unix second at which the first certificate of a file, or one that it needs, ends. Raises CertificateError."""
    return min(facts_of(certificate).not_after_s for certificate in read_chain(path))


def check_pair(certificate: Path, private_key: Path) -> CertificateFacts:
    """A server's certificate, which its key belongs to and which is not too weak. Raises CertificateError."""
    chain, key = read_chain(certificate), read_key(private_key)
    leaf = facts_of(chain[0])
    if _spki(chain[0].public_key()) != _spki(key.public_key()):
        raise CertificateError(
            f"{private_key} is not the key of {certificate}: name the pair that was made together "
            f"(if it was just renewed, copy both files again)"
        )
    if leaf.is_ca:
        raise CertificateError(f"{certificate} begins with a CA's certificate: put the gateway's own first")
    if leaf.uses and "server" not in leaf.uses:
        raise CertificateError(f"{certificate} is not for servers: make one with `steward tls issue`, without --client")
    _check_strength(chain[0].public_key(), certificate)
    _check_order(chain, certificate)
    return leaf


def check_dates(path: Path, leaf: CertificateFacts, now_s: int) -> None:
    """Raises CertificateError if it is not valid at `now_s`."""
    if now_s < leaf.not_before_s:
        raise CertificateError(
            f"{path} is not valid before {date(leaf.not_before_s)}, and it is {date(now_s)} now: set the clock, "
            f"or make another certificate"
        )
    if now_s >= leaf.not_after_s:
        raise CertificateError(
            f"{path} has expired at {date(leaf.not_after_s)}, and it is {date(now_s)} now: make another with "
            f"`steward tls issue --replace`, or set the clock"
        )


def check_names(path: Path, leaf: CertificateFacts, names: Sequence[str]) -> None:
    """Raises CertificateError if a caller by one of these names would refuse it."""
    missing = [name for name in names if not leaf.covers(name)]
    if missing:
        held = ", ".join(leaf.names) or "no name at all"
        raise CertificateError(
            f"{path} does not cover {', '.join(missing)}, only {held}: make another with "
            f"`steward tls issue --host NAME` for each name, or correct [http] names"
        )


def facts_of(certificate: x509.Certificate) -> CertificateFacts:
    """What it says. Raises CertificateError if its extensions cannot be read."""
    try:
        extensions = certificate.extensions
        basic = _extension(extensions, x509.BasicConstraints)
        names = _extension(extensions, x509.SubjectAlternativeName)
        usage = _extension(extensions, x509.ExtendedKeyUsage)
        limits = _extension(extensions, x509.NameConstraints)
    except (ValueError, x509.DuplicateExtension):
        raise CertificateError("the certificate's extensions cannot be read: make another") from None
    return CertificateFacts(
        subject=_common_name(certificate.subject),
        issuer=_common_name(certificate.issuer),
        names=tuple(_general_names(names or ())),
        not_before_s=_unix(certificate.not_valid_before_utc),
        not_after_s=_unix(certificate.not_valid_after_utc),
        serial=certificate.serial_number,
        sha256=certificate.fingerprint(SHA256()).hex(),
        key=_key_name(certificate.public_key()),
        uses=tuple(_USES.get(use, use.dotted_string) for use in usage or ()),
        is_ca=bool(basic and basic.ca),
        path_length=basic.path_length if basic else None,
        permitted=tuple(_general_names((limits.permitted_subtrees if limits else None) or ())),
    )


def date(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _check_strength(key: CertificatePublicKeyTypes, path: Path) -> None:
    weak = (isinstance(key, rsa.RSAPublicKey) and key.key_size < RSA_BITS_MIN) or (
        isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < EC_BITS_MIN
    )
    if weak:
        raise CertificateError(f"{path} has a key of {_key_name(key)}, which is too weak: make one with P-256")


def _check_order(chain: Sequence[x509.Certificate], path: Path) -> None:
    """Each certificate is signed by the next one."""
    for below, above in itertools.pairwise(chain):
        try:
            below.verify_directly_issued_by(above)
        except (ValueError, TypeError, InvalidSignature):
            raise CertificateError(
                f"{path} is not a chain: each certificate must be followed by the one that signed it"
            ) from None


def _extension(extensions: x509.Extensions, kind: type[E]) -> E | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _general_names(names: Iterable[x509.GeneralName]) -> list[str]:
    found = []
    for name in names:
        if isinstance(name, x509.DNSName):
            found.append(name.value.lower())
        elif isinstance(name, x509.IPAddress):
            found.append(str(name.value))
    return found


def _common_name(name: x509.Name) -> str:
    parts = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return shown(str(parts[0].value)) if parts else ""


def shown(text: str) -> str:
    """Printable and short: a certificate's words are whoever made it's."""
    return "".join(char if char.isprintable() else "?" for char in text[:_SHOWN_MAX])


def _key_name(key: CertificatePublicKeyTypes) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _CURVES.get(key.curve.name, key.curve.name)
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    kinds = {ed25519.Ed25519PublicKey: "Ed25519", ed448.Ed448PublicKey: "Ed448"}
    return next((name for kind, name in kinds.items() if isinstance(key, kind)), "another kind")


def _spki(key: CertificatePublicKeyTypes | PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _unix(at: datetime) -> int:
    return int(at.timestamp())
