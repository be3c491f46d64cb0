"""The local CA, judged by the TLS library itself: what it issues is trusted for what it says, and for nothing else."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from steward.adapters import localca
from steward.adapters.certificates import check_dates, check_names, check_pair, facts_of, read_chain, read_key
from steward.adapters.keyseal import KeySecret
from steward.adapters.localca import Issued, Order
from steward.adapters.servertls import ServerTls
from steward.adapters.system import OsEntropy
from steward.errors import CertificateError, KeyFileError
from steward.ports import ClockReading

NOW_S = 1_900_000_000
DAY_S = 86_400
SERVER = Order("gw1", "gw1", ("gw1.aurora.ship", "10.1.0.5", "*.bars.aurora.ship", "fd00::5"), False, 397)
CLIENT = Order("gw1-client", "aurora/gw1", (), True, 397)


def new_ca(folder: Path, *permit: str, secret: KeySecret | None = None, days: int = 3650) -> Path:
    return localca.new_ca(folder, "Aurora CA", permit, secret, OsEntropy(), NOW_S, days)


def issue(folder: Path, order: Order = SERVER, **more: bool) -> Issued:
    return localca.issue(folder, order, None, NOW_S, **more)


def handshake(ca: Path, issued: Issued, name: str, client: Issued | None = None) -> x509.Certificate | None:
    """A caller and a server in memory; the client's certificate as the server saw it. Raises ssl.SSLError."""
    server, caller = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(ca))
    caller.verify_flags |= ssl.VERIFY_X509_STRICT
    server.load_cert_chain(issued.certificate, issued.private_key)
    if client is not None:
        server.verify_mode = ssl.CERT_REQUIRED
        server.load_verify_locations(ca)
        caller.load_cert_chain(client.certificate, client.private_key)
    pipes = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(pipes[0], pipes[1], server_side=True)
    theirs = caller.wrap_bio(pipes[1], pipes[0], server_hostname=name)
    for _ in range(4):
        for side in (theirs, ours):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    shown = ours.getpeercert(binary_form=True)
    return None if shown is None else x509.load_der_x509_certificate(shown)


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates of today: the TLS library has a clock of its own."""
    import time

    monkeypatch.setattr(f"{__name__}.NOW_S", int(time.time()))


@pytest.mark.usefixtures("present")
def test_a_server_is_trusted_under_its_names_and_no_others(tmp_path: Path) -> None:
    ca = new_ca(tmp_path)
    issued = issue(tmp_path)
    for name in ("gw1.aurora.ship", "10.1.0.5", "pool.bars.aurora.ship", "fd00::5"):
        assert handshake(ca, issued, name) is None
    for name in ("gw2.aurora.ship", "10.1.0.6", "a.b.bars.aurora.ship", "bars.aurora.ship"):
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(ca, issued, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(new_ca(tmp_path / "other"), issued, "gw1.aurora.ship")


@pytest.mark.usefixtures("present")
def test_a_client_is_known_by_ship_and_gateway(tmp_path: Path) -> None:
    ca = new_ca(tmp_path)
    server, client = issue(tmp_path), issue(tmp_path, CLIENT)
    shown = handshake(ca, server, "gw1.aurora.ship", client)
    assert shown is not None
    assert facts_of(shown).subject == "aurora/gw1"
    with pytest.raises(ssl.SSLError, match="unsuitable certificate purpose"):
        handshake(ca, server, "gw1.aurora.ship", server)  # a server's certificate is no client's
    with pytest.raises(ssl.SSLError, match="unsuitable certificate purpose"):
        handshake(ca, issue(tmp_path, Order("x-client", "x", ("x.ship",), True, 9)), "x.ship")  # nor the other way


@pytest.mark.usefixtures("present")
def test_one_for_both_uses_serves_and_calls(tmp_path: Path) -> None:
    ca = new_ca(tmp_path)
    node = issue(tmp_path, Order("nats1", "nats1", ("nats1.ship",), False, 9, both=True))
    assert facts_of(read_chain(node.certificate)[0]).uses == ("server", "client")
    shown = handshake(ca, node, "nats1.ship", node)
    assert shown is not None
    assert facts_of(shown).subject == "nats1"


@pytest.mark.usefixtures("present")
def test_a_ca_held_to_names_is_held_to_them_by_every_caller(tmp_path: Path) -> None:
    ca = new_ca(tmp_path, "aurora.ship", "10.1.0.0/16")
    handshake(ca, issue(tmp_path, Order("a", "a", ("gw1.aurora.ship", "10.1.0.5"), False, 9)), "10.1.0.5")
    for host in ("gw1.hurtig.ship", "aurora.ship.evil.example", "xaurora.ship", "10.2.0.1"):
        with pytest.raises(CertificateError, match="outside what this CA may issue for: aurora.ship, 10.1.0.0/16"):
            issue(tmp_path, Order("b", "b", (host,), False, 9))
    assert not (tmp_path / "b.key").exists()
    key = load_pem_private_key((tmp_path / "ca.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    forged = forge(key, read_chain(ca)[0], "gw1.hurtig.ship", tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        handshake(ca, forged, "gw1.hurtig.ship")  # whoever has stolen the key has still to do without other names


def forge(key: ec.EllipticCurvePrivateKey, ca: x509.Certificate, host: str, folder: Path) -> Issued:
    """What a thief of the CA's key would sign."""
    template = read_chain(issue(folder, Order("t", "t", ("t.aurora.ship",), False, 9)).certificate)[0]
    builder = x509.CertificateBuilder(
        template.issuer,
        template.subject,
        template.public_key(),
        template.serial_number,
        template.not_valid_before_utc,
        template.not_valid_after_utc,
    )
    for extension in template.extensions:
        is_names = isinstance(extension.value, x509.SubjectAlternativeName)
        value = x509.SubjectAlternativeName([x509.DNSName(host)]) if is_names else extension.value
        builder = builder.add_extension(value, extension.critical)
    (folder / "t.crt").write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    return Issued(folder / "t.crt", folder / "t.key", 0)


def test_what_is_in_a_certificate(tmp_path: Path) -> None:
    ca = facts_of(read_chain(new_ca(tmp_path))[0])
    assert (ca.subject, ca.is_ca, ca.path_length, ca.uses, ca.key) == ("Aurora CA", True, 0, (), "P-256")
    assert (ca.not_before_s, ca.not_after_s) == (NOW_S - 3600, NOW_S + 3650 * DAY_S)
    server = facts_of(read_chain(issue(tmp_path).certificate)[0])
    assert (server.subject, server.issuer, server.is_ca, server.uses) == ("gw1", "Aurora CA", False, ("server",))
    assert server.names == SERVER.hosts
    assert server.days_left(NOW_S) == 397
    assert facts_of(read_chain(issue(tmp_path, CLIENT).certificate)[0]).uses == ("client",)
    serials = {facts_of(read_chain(issue(tmp_path, replace=True).certificate)[0]).serial for _ in range(5)}
    assert len(serials) == 5
    assert min(serials).bit_length() > 100  # random, not counted


def test_keys_are_private_and_nothing_is_overwritten(tmp_path: Path) -> None:
    new_ca(tmp_path / "ca")
    issued = issue(tmp_path / "ca")
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700
    assert [stat.S_IMODE(p.stat().st_mode) for p in (issued.private_key, tmp_path / "ca" / "ca.key")] == [0o600] * 2
    before = {path.name: path.read_bytes() for path in (tmp_path / "ca").iterdir()}
    for again in (lambda: new_ca(tmp_path / "ca"), lambda: issue(tmp_path / "ca")):
        with pytest.raises(CertificateError, match="exists"):
            again()
    assert {path.name: path.read_bytes() for path in (tmp_path / "ca").iterdir()} == before
    renewed = issue(tmp_path / "ca", replace=True)
    assert renewed.private_key.read_bytes() != before["gw1.key"]
    assert check_pair(renewed.certificate, renewed.private_key).subject == "gw1"


def test_a_sealed_key_opens_with_its_passphrase_only(tmp_path: Path) -> None:
    secret, other = (KeySecret.from_passphrase(word * 4) for word in ("correct", "another"))
    new_ca(tmp_path, secret=secret)
    assert localca.is_sealed(tmp_path)
    assert not (tmp_path / "ca.key").exists()
    assert b"PRIVATE KEY" not in (tmp_path / "ca.key.sealed").read_bytes()
    assert localca.issue(tmp_path, SERVER, secret, NOW_S).certificate.exists()
    with pytest.raises(CertificateError, match="is sealed: give --passphrase-file"):
        issue(tmp_path, CLIENT)
    with pytest.raises(KeyFileError, match="the passphrase is wrong"):
        localca.issue(tmp_path, CLIENT, other, NOW_S)
    new_ca(tmp_path / "open")
    with pytest.raises(CertificateError, match="is not sealed"):
        localca.issue(tmp_path / "open", CLIENT, secret, NOW_S)


def test_nothing_outlives_its_ca(tmp_path: Path) -> None:
    new_ca(tmp_path, days=10)
    assert issue(tmp_path).not_after_s == NOW_S + 10 * DAY_S
    for at_s in (NOW_S + 10 * DAY_S, NOW_S - 2 * 3600):
        with pytest.raises(CertificateError, match="not now"):
            localca.issue(tmp_path, CLIENT, None, at_s)


ORDERS = {
    "no host": (Order("gw1", "gw1", (), False, 9), "at least one --host"),
    "both without a host": (Order("n1", "n1", (), False, 9, both=True), "at least one --host"),
    "ca itself": (Order("ca", "ca", ("x",), False, 9), "not ca"),
    "a path": (Order("../x", "x", ("x",), False, 9), "--name"),
    "too long": (Order("gw1", "gw1", ("x",), False, 826), "--days is 1 to 825"),
    "no time": (Order("gw1", "gw1", ("x",), False, 0), "--days"),
    "a url": (Order("gw1", "gw1", ("https://x",), False, 9), "no host name"),
    "capitals": (Order("gw1", "gw1", ("GW1.ship",), False, 9), "in small letters"),
    "star within": (Order("gw1", "gw1", ("a.*.ship",), False, 9), "no host name"),
    "many": (Order("gw1", "gw1", tuple(f"h{n}" for n in range(33)), False, 9), "at most 32"),
    "odd subject": (Order("gw1", "a\nb", ("x",), False, 9), "the name inside"),
}


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_that_cannot_be_leaves_nothing(tmp_path: Path, name: str) -> None:
    new_ca(tmp_path)
    order, told = ORDERS[name]
    with pytest.raises(CertificateError, match=told):
        issue(tmp_path, order)
    assert {path.name for path in tmp_path.iterdir()} == {"ca.crt", "ca.key"}


def test_a_ca_that_is_not_whole_is_told(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="make a CA first"):
        issue(tmp_path)
    new_ca(tmp_path)
    new_ca(tmp_path / "other")
    (tmp_path / "ca.key").write_bytes((tmp_path / "other" / "ca.key").read_bytes())
    with pytest.raises(CertificateError, match="is not that of"):
        issue(tmp_path)
    (tmp_path / "ca.key").chmod(0o644)
    with pytest.raises(CertificateError, match="chmod 600"):
        issue(tmp_path)


# what a gateway checks of certificates from anywhere


def test_weak_and_protected_keys_are_refused(tmp_path: Path) -> None:
    issued_folder = tmp_path / "ca"
    new_ca(issued_folder)
    weak = rsa.generate_private_key(65537, 1024)
    template = read_chain(issue(issued_folder).certificate)[0]
    signer = load_pem_private_key((issued_folder / "ca.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    builder = x509.CertificateBuilder(
        template.issuer,
        template.subject,
        weak.public_key(),
        5,
        template.not_valid_before_utc,
        template.not_valid_after_utc,
    )
    (tmp_path / "weak.crt").write_bytes(builder.sign(signer, SHA256()).public_bytes(Encoding.PEM))
    key = tmp_path / "weak.key"
    key.touch(0o600)
    pem = weak.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    key.write_bytes(pem)
    with pytest.raises(CertificateError, match="is protected by a passphrase") as caught:
        check_pair(tmp_path / "weak.crt", key)
    assert "secret" not in str(caught.value)
    key.write_bytes(weak.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, localca.NoEncryption()))
    with pytest.raises(CertificateError, match="RSA 1024, which is too weak"):
        check_pair(tmp_path / "weak.crt", key)
    key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(CertificateError, match="holds no private key"):
        read_key(key)


def test_a_chain_must_be_one(tmp_path: Path) -> None:
    ca = new_ca(tmp_path)
    issued = issue(tmp_path)
    leaf = issued.certificate.read_bytes()
    issued.certificate.write_bytes(leaf + ca.read_bytes())
    assert check_pair(issued.certificate, issued.private_key).subject == "gw1"
    issued.certificate.write_bytes(leaf + new_ca(tmp_path / "other").read_bytes())
    with pytest.raises(CertificateError, match="is not a chain"):
        check_pair(issued.certificate, issued.private_key)


def test_dates_and_names_are_told_before_a_caller_finds_out(tmp_path: Path) -> None:
    new_ca(tmp_path)
    issued = issue(tmp_path)
    leaf = check_pair(issued.certificate, issued.private_key)
    for now_s, told in ((leaf.not_before_s - 1, "not valid before"), (leaf.not_after_s, "has expired")):
        with pytest.raises(CertificateError, match=told):
            check_dates(issued.certificate, leaf, now_s)
    check_dates(issued.certificate, leaf, leaf.not_after_s - 1)
    check_names(issued.certificate, leaf, ("gw1.aurora.ship", "10.1.0.5", "spa.bars.aurora.ship"))
    with pytest.raises(CertificateError, match=r"does not cover 10\.1\.0\.6, bars\.aurora\.ship, only gw1"):
        check_names(issued.certificate, leaf, ("gw1.aurora.ship", "10.1.0.6", "bars.aurora.ship"))


def test_a_clock_that_is_not_believed_keeps_no_gateway_down(tmp_path: Path) -> None:
    new_ca(tmp_path)
    issued = issue(tmp_path)
    pair = (issued.certificate, issued.private_key, ("gw1.aurora.ship",))
    with pytest.raises(CertificateError, match="not valid before"):
        ServerTls.open(*pair, ClockReading(0, True))
    tls = ServerTls.open(*pair, ClockReading(0, False))
    assert tls.status(ClockReading(0, False)).problem == ""
    assert (
        tls.status(ClockReading(NOW_S + 400 * DAY_S, True)).problem
        == "the certificate has expired: callers are refused"
    )
