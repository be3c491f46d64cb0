"""A small CA for one ship or fleet: makes its own certificate, then server and client certificates, all of P-256.

A folder holds ca.crt, its key (ca.key, mode 0600, or ca.key.sealed under a passphrase) and what was issued:
NAME.crt with NAME.key. The CA signs end certificates only (path length 0), within names it may be held to.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from steward.adapters.certificates import FILE_BYTES_MAX, date, facts_of, read_chain, read_key
from steward.adapters.keyseal import KeySecret, read_private, seal, unseal, write_private
from steward.errors import CertificateError, KeyFileError
from steward.ports import Entropy

CA_CERTIFICATE, CA_KEY, CA_KEY_SEALED = "ca.crt", "ca.key", "ca.key.sealed"
CA_DAYS, CA_DAYS_MAX = 3650, 7300
LEAF_DAYS, LEAF_DAYS_MAX = 397, 825  # the longest that browsers and phones accept of a CA one adds oneself
HOSTS_MAX = 32
_BACKDATED = timedelta(hours=1)  # for callers whose clock is a little behind
_FILE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./_-]{0,63}")
_DNS = re.compile(r"(\*\.)?(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class Order:
    """What to issue. client: for the ship's link, else for a server; both: for either. subject: the name inside."""

    name: str  # of the files
    subject: str
    hosts: tuple[str, ...]
    client: bool
    days: int
    both: bool = False


@dataclass(frozen=True, slots=True)
class Issued:
    certificate: Path
    private_key: Path
    not_after_s: int


@dataclass(frozen=True, slots=True)
class _Ca:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)


def new_ca(
    folder: Path,
    subject: str,
    permitted: Sequence[str],
    secret: KeySecret | None,
    entropy: Entropy,
    now_s: int,
    days: int,
) -> Path:
    """Make the folder's CA; the path of its certificate. Nothing is overwritten. Raises CertificateError, KeyFileError.

    permitted: domains and networks the CA may issue for; empty: any. secret: seals the key, else it is plain, 0600.
    """
    _check_subject(subject)
    _check_days(days, CA_DAYS_MAX)
    for name in (CA_CERTIFICATE, CA_KEY, CA_KEY_SEALED):
        if (folder / name).exists():
            raise CertificateError(f"{folder / name} exists and is never overwritten: choose another folder")
    limits = [_permitted(name) for name in permitted]
    key = ec.generate_private_key(ec.SECP256R1())
    itself = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    begin = datetime.fromtimestamp(now_s, UTC)
    builder = (
        _builder(itself, itself, key.public_key(), begin, begin + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if limits:
        builder = builder.add_extension(x509.NameConstraints(limits, None), critical=True)
    _make_folder(folder)
    if secret is None:
        write_private(folder / CA_KEY, _pem(key), replace=False)
    else:
        write_private(folder / CA_KEY_SEALED, seal(_der(key), secret, entropy), replace=False)
    write_private(folder / CA_CERTIFICATE, builder.sign(key, SHA256()).public_bytes(Encoding.PEM), replace=False)
    (folder / CA_CERTIFICATE).chmod(0o644)
    return folder / CA_CERTIFICATE


def is_sealed(folder: Path) -> bool:
    return (folder / CA_KEY_SEALED).exists()


def issue(folder: Path, order: Order, secret: KeySecret | None, now_s: int, *, replace: bool = False) -> Issued:
    """Make a certificate and its key beside the CA's. Raises CertificateError, KeyFileError.

    With `replace` they take the place of the older pair, the key first: a reader that sees only one of them keeps
    what it has until it sees both.
    """
    _check_order(order)
    paths = folder / f"{order.name}.crt", folder / f"{order.name}.key"
    for path in paths:
        if path.exists() and not replace:
            raise CertificateError(f"{path} exists: renew it with --replace, or choose another --name")
    ca = _open_ca(folder, secret, now_s)
    names = [_general_name(host) for host in order.hosts]
    key = ec.generate_private_key(ec.SECP256R1())
    begin = datetime.fromtimestamp(now_s, UTC)
    end = min(begin + timedelta(days=order.days), ca.certificate.not_valid_after_utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, order.subject)])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    uses = [ExtendedKeyUsageOID.SERVER_AUTH] if order.both or not order.client else []
    uses += [ExtendedKeyUsageOID.CLIENT_AUTH] if order.both or order.client else []
    builder = (
        _builder(subject, ca.certificate.subject, key.public_key(), begin, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issuer_key, critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(ca.key, SHA256())
    _check_permitted(ca.certificate, order.hosts)
    write_private(paths[1], _pem(key), replace=replace)
    write_private(paths[0], certificate.public_bytes(Encoding.PEM), replace=replace)
    paths[0].chmod(0o644)
    return Issued(paths[0], paths[1], int(end.timestamp()))


def _open_ca(folder: Path, secret: KeySecret | None, now_s: int) -> _Ca:
    """The CA of the folder, with its key. Raises CertificateError, KeyFileError."""
    path = folder / CA_CERTIFICATE
    if not path.exists():
        raise CertificateError(f"{path} does not exist: make a CA first with `steward tls new-ca {folder}`")
    certificate = read_chain(path)[0]
    if is_sealed(folder):
        sealed = folder / CA_KEY_SEALED
        if secret is None:
            raise CertificateError(f"{sealed} is sealed: give --passphrase-file")
        key: object = load_der_private_key(
            unseal(read_private(sealed, "CA key", FILE_BYTES_MAX), secret, str(sealed)), None
        )
    elif secret is not None:
        raise CertificateError(f"{folder / CA_KEY} is not sealed: leave --passphrase-file away")
    else:
        key = read_key(folder / CA_KEY)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise CertificateError(f"the key in {folder} is not that of {path}: restore both from one backup")
    facts = facts_of(certificate)
    if not facts.is_ca or not facts.not_before_s <= now_s < facts.not_after_s:
        raise CertificateError(
            f"{path} is valid from {date(facts.not_before_s)} to {date(facts.not_after_s)}, not now: "
            f"make a new CA in another folder, or set the clock"
        )
    return _Ca(certificate, key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=begin - _BACKDATED,
        not_valid_after=end,
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _check_order(order: Order) -> None:
    if not _FILE_NAME.fullmatch(order.name) or order.name == "ca":
        raise CertificateError("--name is 1 to 32 small letters, digits and dashes, and not ca")
    _check_subject(order.subject)
    _check_days(order.days, LEAF_DAYS_MAX)
    if not order.client and not order.hosts:
        raise CertificateError("a server's certificate covers at least one --host: what callers call it")
    if len(order.hosts) > HOSTS_MAX:
        raise CertificateError(f"at most {HOSTS_MAX} hosts fit in one certificate: issue another")


def _check_subject(subject: str) -> None:
    if not _SUBJECT.fullmatch(subject):
        raise CertificateError(
            "the name inside a certificate is 1 to 64 letters, digits, spaces, dots, slashes, dashes"
        )


def _check_days(days: int, days_max: int) -> None:
    if not 1 <= days <= days_max:
        raise CertificateError(f"--days is 1 to {days_max} here, not {days}")


def _check_permitted(ca: x509.Certificate, hosts: Sequence[str]) -> None:
    """A CA held to names must not issue what every caller would refuse."""
    permitted = facts_of(ca).permitted
    for host in hosts:
        if permitted and not any(_within(host, limit) for limit in permitted):
            raise CertificateError(f"{host} is outside what this CA may issue for: {', '.join(permitted)}")


def _within(host: str, limit: str) -> bool:
    address, network = _address(host), _network(limit)
    if address is not None or network is not None:
        return address is not None and network is not None and address in network
    bare = host.removeprefix("*.")
    return bare == limit or bare.endswith("." + limit)


def _general_name(host: str) -> x509.GeneralName:
    address = _address(host)
    if address is not None:
        return x509.IPAddress(address)
    if not _DNS.fullmatch(host):
        raise CertificateError(f"{host} is no host name or address: give it as callers type it, in small letters")
    return x509.DNSName(host)


def _permitted(name: str) -> x509.GeneralName:
    network = _network(name)
    if network is not None:
        return x509.IPAddress(network)
    if not _DNS.fullmatch(name) or name.startswith("*."):
        raise CertificateError(f"{name} is no domain or network: give one such as aurora.ship or 10.1.0.0/16")
    return x509.DNSName(name)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeyFileError(f"{folder} cannot be made ({error.strerror}): choose another folder") from None


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _der(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
