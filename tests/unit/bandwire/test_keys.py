import pytest
from tests.unit.bandwire import reference
from tests.unit.bandwire.reference import counting

from bandwire import keys
from bandwire.errors import BadArgument, BadFrame, BadMac
from steward.adapters.aes import HostAes

AES = HostAes()
UID = bytes.fromhex("04112233445566")
OLD, NEW = counting(0x10, 16), counting(0x70, 16)


def test_diversification_input_layout() -> None:
    m = keys.diversification_input(UID, 3, 0x1234, 7)
    assert m.hex() == "04112233445566" + "d2760000850101" + "03" + "3412" + "07"


def test_card_key_is_an10922_of_that_input() -> None:
    m = keys.diversification_input(UID, 4, 9, 255)
    assert keys.card_key(AES, OLD, UID, 4, 9, 255) == reference.full_cmac(OLD, b"\x01" + m)


def test_each_part_of_the_input_changes_the_key() -> None:
    other = bytes.fromhex("04112233445567")
    found = {
        keys.card_key(AES, OLD, UID, 1, 1, 1),
        keys.card_key(AES, OLD, other, 1, 1, 1),
        keys.card_key(AES, OLD, UID, 3, 1, 1),
        keys.card_key(AES, OLD, UID, 1, 2, 1),
        keys.card_key(AES, OLD, UID, 1, 1, 2),
        keys.card_key(AES, NEW, UID, 1, 1, 1),
    }
    assert len(found) == 6


def test_meta_key_needs_no_uid() -> None:
    m = bytes(7) + keys.APPLICATION_ID + b"\x02\x34\x12\x07"
    assert keys.meta_key(AES, OLD, 0x1234, 7) == reference.full_cmac(OLD, b"\x01" + m)
    with pytest.raises(BadArgument, match="meta_key"):
        keys.card_key(AES, OLD, UID, 2, 1, 1)


@pytest.mark.parametrize(
    ("uid", "key_no", "site", "version"),
    [(UID[:6], 1, 1, 1), (UID, 5, 1, 1), (UID, -1, 1, 1), (UID, 1, 65536, 1), (UID, 1, 1, 0), (UID, 1, 1, 256)],
)
def test_diversification_input_refuses(uid: bytes, key_no: int, site: int, version: int) -> None:
    with pytest.raises(BadArgument):
        keys.diversification_input(uid, key_no, site, version)


def test_session_keys_under_a_key_that_is_not_zero() -> None:
    a, b = counting(0x40, 16), counting(0x80, 16)
    got = keys.session_keys(AES, NEW, a, b)
    assert got == reference.session_keys(NEW, a, b)
    assert got != keys.session_keys(AES, bytes(16), a, b)
    assert got != keys.session_keys(AES, NEW, b, a)


@pytest.mark.parametrize("key_no", range(5))
def test_change_key_round_trip(key_no: int) -> None:
    plain = keys.change_key_data(key_no, NEW, 9, OLD)
    if key_no == 0:
        assert plain == NEW + b"\x09"
    else:
        mixed = bytes(a ^ b for a, b in zip(NEW, OLD, strict=True))
        assert plain == mixed + b"\x09" + reference.jamcrc(NEW)
    assert keys.open_change_key(plain, key_no, OLD) == (NEW, 9)


def test_change_key_with_the_wrong_old_key_is_refused() -> None:
    plain = keys.change_key_data(1, NEW, 9, OLD)
    with pytest.raises(BadMac) as caught:
        keys.open_change_key(plain, 1, counting(0x11, 16))
    assert NEW.hex() not in str(caught.value).lower()


@pytest.mark.parametrize(("key_no", "size"), [(0, 16), (0, 18), (0, 21), (1, 17), (1, 20), (1, 22), (1, 0)])
def test_change_key_of_the_wrong_size_is_refused(key_no: int, size: int) -> None:
    with pytest.raises(BadFrame):
        keys.open_change_key(bytes(size), key_no, OLD)


def test_change_key_data_refuses_our_own_mistakes() -> None:
    with pytest.raises(BadArgument, match="old key"):
        keys.change_key_data(1, NEW, 1)
    with pytest.raises(BadArgument):
        keys.change_key_data(5, NEW, 1, OLD)
    with pytest.raises(BadArgument):
        keys.change_key_data(0, NEW[:15], 1)
    with pytest.raises(BadArgument):
        keys.change_key_data(1, NEW, 1, OLD[:15])
    with pytest.raises(BadArgument):
        keys.change_key_data(1, NEW, 256, OLD)
