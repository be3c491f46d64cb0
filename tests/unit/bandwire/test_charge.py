import pytest
from tests.unit.bandwire import reference
from tests.unit.bandwire.reference import counting

from bandwire import charge
from bandwire.errors import BadArgument, BadFrame, BadParameter
from steward.adapters.aes import HostAes

AES = HostAes()
UID = bytes.fromhex("04112233445566")
K3 = counting(0x10, 16)
NONCE = counting(0x60, 16)


def test_request_layout() -> None:
    raw = charge.pack_request(1250, "EUR", "BAR-2", NONCE)
    assert raw.hex() == "e2040000" + "455552" + "4241522d32000000" + NONCE.hex()
    assert charge.unpack_request(raw) == (1250, "EUR", "BAR-2", NONCE)


def test_largest_and_longest() -> None:
    raw = charge.pack_request(0xFFFFFFFF, "NOK", "TILL-008", NONCE)
    assert charge.unpack_request(raw) == (0xFFFFFFFF, "NOK", "TILL-008", NONCE)


@pytest.mark.parametrize(
    ("amount", "currency", "terminal", "nonce"),
    [
        (0, "EUR", "BAR", NONCE),
        (-1, "EUR", "BAR", NONCE),
        (1 << 32, "EUR", "BAR", NONCE),
        (1, "EU", "BAR", NONCE),
        (1, "EURO", "BAR", NONCE),
        (1, "eur", "BAR", NONCE),
        (1, "E\u00dc", "BAR", NONCE),
        (1, "EUR", "", NONCE),
        (1, "EUR", "TILL-0009", NONCE),
        (1, "EUR", "A B", NONCE),
        (1, "EUR", "A\x00B", NONCE),
        (1, "EUR", "BAR", NONCE[:15]),
    ],
)
def test_pack_refuses(amount: int, currency: str, terminal: str, nonce: bytes) -> None:
    with pytest.raises(BadArgument):
        charge.pack_request(amount, currency, terminal, nonce)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (slice(0, 4), bytes(4)),
        (slice(4, 5), b"e"),
        (slice(6, 7), b"\x80"),
        (slice(7, 15), bytes(8)),
        (slice(8, 9), b"\0"),
    ],
)
def test_unpack_refuses_values(at: slice, value: bytes) -> None:
    raw = bytearray(charge.pack_request(1, "EUR", "BAR", NONCE))
    raw[at] = value
    with pytest.raises(BadParameter):
        charge.unpack_request(bytes(raw))


@pytest.mark.parametrize("size", [0, 30, 32])
def test_unpack_refuses_sizes(size: int) -> None:
    with pytest.raises(BadFrame):
        charge.unpack_request(b"\x01" * size)


def test_mac_is_the_documented_one() -> None:
    request = charge.pack_request(1250, "EUR", "BAR-2", NONCE)
    kc = charge.charge_key(AES, K3, UID)
    assert kc == reference.full_cmac(K3, bytes.fromhex("C55C00010080") + UID + bytes(3))
    mac = charge.charge_mac(AES, kc, UID, request, 0x01020304)
    assert mac == reference.short_cmac(kc, b"\x01" + UID + request + b"\x04\x03\x02\x01")


def test_every_input_of_the_mac_counts() -> None:
    request = charge.pack_request(1250, "EUR", "BAR-2", NONCE)
    kc = charge.charge_key(AES, K3, UID)
    mac = charge.charge_mac(AES, kc, UID, request, 5)
    assert charge.verify(AES, kc, UID, request, 5, mac)
    assert not charge.verify(AES, kc, UID, request, 6, mac)
    assert not charge.verify(AES, kc, UID[::-1], request, 5, mac)
    assert not charge.verify(AES, charge.charge_key(AES, K3, UID[::-1]), UID, request, 5, mac)
    assert not charge.verify(AES, kc, UID, request, 5, mac[:7])
    for at in range(len(request)):
        other = bytearray(request)
        other[at] ^= 1
        assert not charge.verify(AES, kc, UID, bytes(other), 5, mac)


def test_response() -> None:
    mac = counting(1, 8)
    raw = charge.pack_response(0x01020304, mac)
    assert raw == b"\x04\x03\x02\x01" + mac
    assert charge.unpack_response(raw) == (0x01020304, mac)
    for size in (0, 11, 13):
        with pytest.raises(BadFrame):
            charge.unpack_response(bytes(size))
    with pytest.raises(BadArgument):
        charge.pack_response(1 << 32, mac)
    with pytest.raises(BadArgument):
        charge.pack_response(1, mac[:7])
