import pytest
from tests.unit.bandwire import reference
from tests.unit.bandwire.reference import counting

from bandwire import cmac
from bandwire.aes import ZERO16
from bandwire.errors import BadArgument
from steward.adapters.aes import HostAes

AES = HostAes()
KEY = counting(1, 16)


def test_host_aes_knows_fips_197_and_undoes_itself() -> None:
    block = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    assert AES.ecb(counting(0, 16), block).hex() == "69c4e0d86a7b0430d8cdb78070b4c55a"
    data, iv = counting(7, 48), counting(3, 16)
    assert AES.cbc_encrypt(KEY, iv, data) == reference.cbc(KEY, iv, data)
    assert AES.cbc_decrypt(KEY, iv, AES.cbc_encrypt(KEY, iv, data)) == data


@pytest.mark.parametrize("key", [b"", bytes(15), bytes(24), bytes(32)])
def test_only_aes_128_keys_are_taken(key: bytes) -> None:
    for call in (
        lambda: AES.ecb(key, ZERO16),
        lambda: AES.cbc_encrypt(key, ZERO16, ZERO16),
        lambda: AES.cbc_decrypt(key, ZERO16, ZERO16),
    ):
        with pytest.raises(BadArgument):
            call()


@pytest.mark.parametrize(("iv", "data"), [(bytes(15), ZERO16), (ZERO16, bytes(15)), (b"", b"")])
def test_only_whole_blocks_are_taken(iv: bytes, data: bytes) -> None:
    with pytest.raises(BadArgument):
        AES.cbc_encrypt(KEY, iv, data)
    with pytest.raises(BadArgument):
        AES.cbc_decrypt(KEY, iv, data)
    with pytest.raises(BadArgument):
        AES.ecb(KEY, bytes(32))


@pytest.mark.parametrize("size", [*range(34), 47, 48, 49, 255, 256])
def test_cmac_agrees_with_an_independent_one(size: int) -> None:
    message = counting(size, size)
    full = reference.full_cmac(KEY, message)
    assert cmac.cmac(AES, KEY, message) == full
    assert cmac.cmac_t(AES, KEY, message) == cmac.mact(full) == full[1::2]


@pytest.mark.parametrize("key", [bytes([i]) * 16 for i in range(16)])
def test_subkeys_with_and_without_a_carry(key: bytes) -> None:
    # About half of these double with a carry in each step; CMAC of "" and of a block use K2 and K1.
    assert cmac.cmac(AES, key, b"") == reference.full_cmac(key, b"")
    assert cmac.cmac(AES, key, ZERO16) == reference.full_cmac(key, ZERO16)


def test_diversify_is_cmac_only_from_16_bytes_on() -> None:
    for size in range(1, 32):
        m = counting(size, size)
        same = cmac.diversify(AES, KEY, m) == reference.full_cmac(KEY, b"\x01" + m)
        assert same == (size >= 16), size


def test_diversify_of_a_short_input_pads_to_two_blocks() -> None:
    m = counting(4, 7)
    _, k2 = cmac.subkeys(AES, KEY)
    block = b"\x01" + m + b"\x80" + bytes(23)
    mixed = block[:16] + bytes(a ^ b for a, b in zip(block[16:], k2, strict=True))
    assert cmac.diversify(AES, KEY, m) == reference.cbc(KEY, ZERO16, mixed)[16:]


@pytest.mark.parametrize("size", [0, 32])
def test_diversify_refuses_other_sizes(size: int) -> None:
    with pytest.raises(BadArgument, match="1 to 31"):
        cmac.diversify(AES, KEY, bytes(size))


def test_equal() -> None:
    assert cmac.equal(b"", b"")
    assert cmac.equal(KEY, bytes(KEY))
    assert not cmac.equal(KEY, KEY[:15])
    for bit in range(128):
        other = bytearray(KEY)
        other[bit // 8] ^= 1 << bit % 8
        assert not cmac.equal(KEY, bytes(other))


def test_pad_always_adds() -> None:
    assert cmac.pad(b"") == b"\x80" + bytes(15)
    assert cmac.pad(bytes(15)) == bytes(15) + b"\x80"
    assert cmac.pad(ZERO16) == ZERO16 + b"\x80" + bytes(15)
