import pytest

from bandwire import apdu
from bandwire.errors import BadArgument, BadFrame


def fields(command: apdu.Command) -> tuple[int, int, int, int, bytes, int | None]:
    return command.cla, command.ins, command.p1, command.p2, command.data, command.le


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        ("00A40300", (0, 0xA4, 3, 0, b"", None)),
        ("00B0000000", (0, 0xB0, 0, 0, b"", 256)),
        ("00B0010210", (0, 0xB0, 1, 2, b"", 16)),
        ("00A4000C02E104", (0, 0xA4, 0, 12, b"\xe1\x04", None)),
        ("00A4000C02E10400", (0, 0xA4, 0, 12, b"\xe1\x04", 256)),
        ("9064000001" + "0100", (0x90, 0x64, 0, 0, b"\x01", 256)),
        ("00D60000FF" + "AB" * 255, (0, 0xD6, 0, 0, b"\xab" * 255, None)),
        ("00D60000FF" + "AB" * 255 + "01", (0, 0xD6, 0, 0, b"\xab" * 255, 1)),
    ],
)
def test_parse_the_four_cases(raw: str, want: tuple[int, int, int, int, bytes, int | None]) -> None:
    command = apdu.parse(bytes.fromhex(raw))
    assert fields(command) == want
    assert apdu.build(*want).hex().upper() == raw


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "00",
        "00A404",
        "00A4000C02E1",  # Lc too large
        "00A4000C01E10400",  # Lc too small
        "00A4000C000000",  # extended Le
        "00A4000C000002E104",  # extended Lc
        "00B000000000",  # Lc 0 with something after it
        "00D60000FF" + "AB" * 255 + "0000",  # extended-looking Le after short data
    ],
)
def test_parse_refuses_the_rest(raw: str) -> None:
    with pytest.raises(BadFrame):
        apdu.parse(bytes.fromhex(raw))


def test_build_refuses_what_does_not_fit() -> None:
    with pytest.raises(BadArgument, match="255"):
        apdu.build(0, 0xD6, 0, 0, bytes(256))
    for le in (-1, 257):
        with pytest.raises(BadArgument, match="Le"):
            apdu.build(0, 0xB0, 0, 0, b"", le)


def test_native_always_ends_in_le_00() -> None:
    assert apdu.native(0x60).hex() == "9060000000"
    assert apdu.native(0x64, b"\x01").hex() == "90640000010100"
    assert apdu.native(0x71, b"\x03\x00").hex() == "9071000002030000"
    with pytest.raises(BadArgument):
        apdu.native(0x8D, bytes(256))


def test_split() -> None:
    assert apdu.split(b"\x91\x00") == (b"", apdu.SW_OK)
    assert apdu.split(b"\x01\x02\x91\xaf") == (b"\x01\x02", apdu.SW_MORE)
    assert apdu.split(bytes(256) + b"\x90\x00") == (bytes(256), apdu.ISO_OK)
    for size in (0, 1, 259):
        with pytest.raises(BadFrame):
            apdu.split(bytes(size))


def test_ready_builders() -> None:
    assert apdu.select_df().hex().upper() == "00A4040007D276000085010100"
    assert apdu.select_ef(apdu.FID_NDEF).hex().upper() == "00A4000C02E104"
    assert apdu.read_binary(0x0102, 256).hex().upper() == "00B0010200"
    assert apdu.read_binary(0, 2).hex().upper() == "00B0000002"
    assert apdu.update_binary(0x7FFF, b"\xaa").hex().upper() == "00D67FFF01AA"


def test_ready_builders_refuse() -> None:
    for call in (
        lambda: apdu.read_binary(0x8000, 1),
        lambda: apdu.read_binary(-1, 1),
        lambda: apdu.read_binary(0, 0),
        lambda: apdu.update_binary(0, b""),
        lambda: apdu.update_binary(0x8000, b"\x00"),
        lambda: apdu.file_range(256, 0, 0),
        lambda: apdu.file_range(3, 1 << 24, 0),
    ):
        with pytest.raises(BadArgument):
            call()


def test_file_range_is_little_endian() -> None:
    header = apdu.file_range(3, 0x010203, 128)
    assert header.hex() == "03030201800000"
    assert apdu.parse_file_range(header) == (3, 0x010203, 128)
    for size in (0, 6, 8):
        with pytest.raises(BadFrame):
            apdu.parse_file_range(bytes(size))
