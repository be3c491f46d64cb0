import pytest

from bandwire import ndef
from bandwire.errors import BadArgument, BadFrame

TEMPLATE = "ship.example/t?e={picc}&c={mac}"


def test_the_worked_example() -> None:
    content, picc, mac = ndef.url_file(TEMPLATE)
    assert (len(content), picc, mac) == (0x4B, 0x18, 0x3B)
    assert content[:7].hex().upper() == "0049D101455504"
    assert content[7:] == b"ship.example/t?e=" + b"0" * 32 + b"&c=" + b"0" * 16
    assert ndef.read_url(content) == "https://ship.example/t?e=" + "0" * 32 + "&c=" + "0" * 16


def test_text_may_follow_the_mac() -> None:
    content, picc, mac = ndef.url_file("a.example/{picc}/{mac}#x")
    assert content[picc : picc + 32] == b"0" * 32
    assert content[mac : mac + 16] == b"0" * 16
    assert content.endswith(b"0#x")


@pytest.mark.parametrize(
    "template",
    [
        "ship.example/t",
        "ship.example/t?e={picc}",
        "ship.example/t?c={mac}",
        "ship.example/{mac}/{picc}",
        "ship.example/{picc}/{picc}/{mac}",
        "https://ship.example/{picc}/{mac}",
        "ship.example/a b/{picc}/{mac}",
        "ship.example/\u00e5/{picc}/{mac}",
        "x" * 202 + "{picc}{mac}",
    ],
)
def test_url_file_refuses(template: str) -> None:
    with pytest.raises(BadArgument):
        ndef.url_file(template)


def test_the_longest_url_fills_the_file() -> None:
    content, _, mac = ndef.url_file("x" * 201 + "{picc}{mac}")
    assert len(content) == 256
    assert mac + 16 == 256
    assert content[4] == 250
    assert len(ndef.read_url(content)) == 257


def test_capability_container() -> None:
    used = "0017200100 00FF 0406E10401000000 0506E10500808283".replace(" ", "")
    assert ndef.cc_file() == bytes.fromhex(used) + bytes(9)
    locked = ndef.cc_file(0xFF)
    assert len(locked) == 32
    assert locked[ndef.CC_WRITE_OFFSET] == 0xFF
    assert [i for i in range(32) if locked[i] != ndef.cc_file()[i]] == [ndef.CC_WRITE_OFFSET]


@pytest.mark.parametrize(
    ("at", "value"), [(0, 1), (1, 0x48), (2, 0xD2), (3, 2), (4, 0x44), (5, 0x54), (6, 3), (20, 0x20), (20, 0x80)]
)
def test_read_url_refuses_other_records(at: int, value: int) -> None:
    content = bytearray(ndef.url_file(TEMPLATE)[0])
    content[at] = value
    with pytest.raises(BadFrame):
        ndef.read_url(bytes(content))


def test_read_url_refuses_short_files() -> None:
    content = ndef.url_file(TEMPLATE)[0]
    for size in range(len(content)):
        with pytest.raises(BadFrame):
            ndef.read_url(content[:size])
    assert ndef.read_url(content + bytes(100)) == ndef.read_url(content)
