"""Keys and signatures of updates written in ways that are not theirs."""

from __future__ import annotations

import pytest

from bandtool.signing import ReleaseKey
from bandwire import ed25519

P = (1 << 255) - 19
KEY = ReleaseKey(bytes(range(32)))
MESSAGE = b"steward"
SIGN = 1 << 255


def written(y: int, sign: int = 0) -> bytes:
    return (y | sign).to_bytes(32, "little")


def test_a_key_has_one_way_to_be_written() -> None:
    """y = 1 is the neutral point, for which any s with R = s B would hold; x = 0 has no sign."""
    base = written(4 * pow(5, P - 2, P) % P)
    free = base + (1).to_bytes(32, "little")
    for public in (written(P + 1), written(P + 1, SIGN), written(1, SIGN)):
        assert not ed25519.verify(public, MESSAGE, free)
    for y in range(P, 1 << 255):
        assert not ed25519.verify(written(y), MESSAGE, KEY.sign(MESSAGE))


@pytest.mark.parametrize("bit", [0, 7, 255, 256, 257, 503, 511])
def test_a_signature_with_one_bit_turned_does_not_hold(bit: int) -> None:
    good = KEY.sign(MESSAGE)
    assert ed25519.verify(KEY.public, MESSAGE, good)
    turned = (int.from_bytes(good, "little") ^ 1 << bit).to_bytes(64, "little")
    assert not ed25519.verify(KEY.public, MESSAGE, turned)
