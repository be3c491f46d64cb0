import zlib
from typing import Any

import pytest
from tests.unit.bandwire.reference import counting

from bandwire import token
from bandwire.errors import BadArgument, BadToken


def example(**changes: Any) -> token.TokenBody:
    values: dict[str, Any] = {
        "flags": token.FLAG_ACTIVE | token.FLAG_CREW,
        "site": 0x1234,
        "uid": bytes.fromhex("04112233445566"),
        "key_version": 7,
        "guest_ref": counting(0x30, 8),
        "cabins": [(0x0102, 0x0304), (0x0506, 0x0708)],
        "zones": 0x81020304,
        "serial": 0x0A0B,
        "deny_epoch": 0x11121314,
        "not_before": 0x60000000,
        "not_after": 0x60000001,
    }
    return token.TokenBody(**(values | changes))


def test_layout() -> None:
    raw = example().pack()
    assert len(raw) == token.BODY_SIZE
    assert raw.hex() == (
        "0105" + "3412" + "04112233445566" + "07" + "3031323334353637"
        "02010403" + "06050807" + "04030281" + "0b0a" + "14131211" + "00000060" + "01000060" + "0000"
    )


@pytest.mark.parametrize("cabins", [[], [(4012, 0)], [(4012, 65535), (1, 0)]])
def test_round_trip(cabins: list[tuple[int, int]]) -> None:
    body = token.TokenBody.unpack(example(cabins=cabins).pack())
    assert body.cabins == cabins
    for name in token.TokenBody.__slots__:
        assert getattr(body, name) == getattr(example(cabins=cabins), name)


@pytest.mark.parametrize(
    "changes",
    [
        {"flags": 8},
        {"flags": -1},
        {"site": 65536},
        {"uid": bytes(6)},
        {"key_version": 0},
        {"key_version": 256},
        {"guest_ref": bytes(9)},
        {"cabins": [(1, 1), (2, 1), (3, 1)]},
        {"cabins": [(0, 1)]},
        {"cabins": [(7, 1), (7, 2)]},
        {"cabins": [(65536, 1)]},
        {"cabins": [(1, 65536)]},
        {"zones": 1 << 32},
        {"serial": 65536},
        {"deny_epoch": -1},
        {"not_after": 0x5FFFFFFF},
        {"not_after": 1 << 32},
    ],
)
def test_pack_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(BadArgument):
        example(**changes).pack()


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, "00"),
        (0, "02"),
        (1, "08"),
        (1, "80"),
        (11, "00"),
        (20, "0000"),  # a stay without its cabin
        (20, "00000000"),  # a second cabin without a first
        (24, "0201"),  # the same cabin twice
        (42, "FFFFFF5F"),  # ends before it begins
        (46, "01"),
        (47, "01"),
    ],
)
def test_unpack_refuses(at: int, value: str) -> None:
    raw = bytearray(example().pack())
    raw[at : at + len(value) // 2] = bytes.fromhex(value)
    with pytest.raises(BadToken):
        token.TokenBody.unpack(bytes(raw))


@pytest.mark.parametrize("size", [0, 47, 49])
def test_unpack_refuses_sizes(size: int) -> None:
    with pytest.raises(BadToken):
        token.TokenBody.unpack(bytes(size))


def test_status_layout() -> None:
    raw = token.Status(token.STATE_RETURNED, 0x0102, 0x03040506, 0x0708).pack()
    assert raw[:12].hex() == "0102" + "0201" + "06050403" + "0807" + "0000"
    assert raw[12:] == zlib.crc32(raw[:12]).to_bytes(4, "little")
    status = token.Status.unpack(raw)
    assert (status.state, status.writes, status.written_at, status.writer) == (2, 0x0102, 0x03040506, 0x0708)


def test_status_refuses_any_flipped_bit_and_a_blank_card() -> None:
    raw = token.Status(1, 2, 3, 4).pack()
    for bit in range(len(raw) * 8):
        other = bytearray(raw)
        other[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadToken):
            token.Status.unpack(bytes(other))
    for junk in (bytes(16), raw[:15], raw + b"\x00"):
        with pytest.raises(BadToken):
            token.Status.unpack(junk)


@pytest.mark.parametrize("head", ["020100000000000000000000", "010300000000000000000000", "010000000000000000000100"])
def test_status_refuses_unknown_values_under_a_right_checksum(head: str) -> None:
    raw = bytes.fromhex(head)
    with pytest.raises(BadToken):
        token.Status.unpack(raw + zlib.crc32(raw).to_bytes(4, "little"))


@pytest.mark.parametrize("status", [(3, 0, 0, 0), (-1, 0, 0, 0), (1, 65536, 0, 0), (1, 0, 1 << 32, 0), (1, 0, 0, -1)])
def test_status_pack_refuses(status: tuple[int, int, int, int]) -> None:
    with pytest.raises(BadArgument):
        token.Status(*status).pack()


def test_file_assembly() -> None:
    body, signature, status = example().pack(), counting(0, 64), token.Status(1, 1, 1, 1).pack()
    raw = token.assemble(body, signature, status)
    assert len(raw) == token.TOKEN_SIZE == 128
    assert token.split_token(raw) == (body, signature, status)
    assert token.signing_input(body) == b"steward-token-v1\x00" + body


def test_file_assembly_refuses_sizes() -> None:
    body, signature, status = example().pack(), bytes(64), bytes(16)
    for call in (
        lambda: token.assemble(body[1:], signature, status),
        lambda: token.assemble(body, signature[1:], status),
        lambda: token.assemble(body, signature, status[1:]),
        lambda: token.signing_input(body[1:]),
    ):
        with pytest.raises(BadArgument):
            call()
    for size in (0, 127, 129):
        with pytest.raises(BadToken):
            token.split_token(bytes(size))
