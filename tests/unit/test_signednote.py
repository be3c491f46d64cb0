"""Signed notes and checkpoints: against published notes, against bytes put together by hand, and bent."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from steward.domain.merkle import EMPTY_ROOT
from steward.domain.signednote import (
    NOTE_BYTES_MAX,
    SIGNATURES_MAX,
    BadNote,
    Checkpoint,
    Note,
    cosignature_line,
    cosigned,
    cosigned_s,
    is_signed,
    log_line,
    read_checkpoint,
    read_note,
    verifies,
)

# Notes that others signed and published: the key's name, its id, the key, the note.
PUBLISHED = [
    (
        "PeterNeumann",
        "c74f20a3",
        "GlzZBxQ8OExB6DDFvOEqqIF+xWSaqr8sMTiLNbLXRNY=",
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n",
    ),
    (
        "example.com/foo",
        "530d903a",
        "6TJ5GubnqECkYWTJBHhkJtXngh3YspoA1hyucq/dTaQ=",
        "This is an example message.\n\n"
        "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72"
        "IneyaQM=\n",
    ),
]
# A checkpoint with a witness's line, as the specifications show one.
EXAMPLE = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+"
    "zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+"
    "mbIUBkBIfZ+qnA==\n"
)
LOG = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
LOG_KEY, WITNESS_KEY = LOG.public_key().public_bytes_raw(), WITNESS.public_key().public_bytes_raw()
ORIGIN = "steward/aurora/main/look-ups/1"
POINT = Checkpoint(ORIGIN, 42, bytes(range(32)))


def signed(point: Checkpoint = POINT) -> Note:
    return Note(point.text, (log_line(ORIGIN, LOG_KEY, LOG.sign(point.text.encode())),))


def witnessed(at_s: int = 1_800_000_000) -> Note:
    note = signed()
    return note.with_line(cosignature_line("w", WITNESS_KEY, at_s, WITNESS.sign(cosigned(note.text, at_s))))


def test_a_published_note_is_signed_by_its_key() -> None:
    for name, key_id, key, text in PUBLISHED:
        public, note = base64.b64decode(key), read_note(text)
        assert note.lines[0].key_id.hex() == key_id
        assert is_signed(note, name, public)
        assert str(note) == text
        assert not is_signed(read_note(text.replace("is", "was")), name, public)
        assert not is_signed(note, name, LOG_KEY)
        assert not is_signed(note, "Somebody", public)


def test_the_example_of_the_specifications_is_read() -> None:
    note = read_note(EXAMPLE)
    point = read_checkpoint(note.text)
    assert (point.origin, point.size, len(point.root)) == ("example.com/behind-the-sofa", 20_852_163, 32)
    assert [line.name for line in note.lines] == ["example.com/behind-the-sofa", "witness.example.com/w1"]
    assert note.lines[0].key_id == base64.b64decode("Az3grg==")
    assert int.from_bytes(note.lines[1].signature[:8], "big") == 1_679_315_147
    assert len(note.lines[1].signature) == 72
    assert (str(note), point.text) == (EXAMPLE, note.text)


def test_every_byte_of_a_note_as_the_specifications_say() -> None:
    """Put together by hand, without the module."""
    text = b"steward/aurora/main/look-ups/1\n42\n" + base64.b64encode(bytes(range(32))) + b"\n"
    key_id = hashlib.sha256(ORIGIN.encode() + b"\n\x01" + LOG_KEY).digest()[:4]
    line = b"\xe2\x80\x94 " + ORIGIN.encode() + b" " + base64.b64encode(key_id + LOG.sign(text)) + b"\n"
    at_s = 1_800_000_000
    message = b"cosignature/v1\ntime 1800000000\n" + text
    witness_id = hashlib.sha256(b"w\n\x04" + WITNESS_KEY).digest()[:4]
    packed = base64.b64encode(witness_id + at_s.to_bytes(8, "big") + WITNESS.sign(message))
    assert str(witnessed(at_s)).encode() == text + b"\n" + line + b"\xe2\x80\x94 w " + packed + b"\n"


def test_a_witness_says_when() -> None:
    note = read_note(str(witnessed(1_800_000_123)))
    assert is_signed(note, ORIGIN, LOG_KEY)
    assert cosigned_s(note, "w", WITNESS_KEY) == 1_800_000_123
    assert cosigned_s(note, "x", WITNESS_KEY) is None
    assert cosigned_s(note, "w", LOG_KEY) is None
    assert cosigned_s(signed(), "w", WITNESS_KEY) is None
    again = cosignature_line("w", WITNESS_KEY, 5, WITNESS.sign(cosigned(note.text, 5)))
    assert cosigned_s(note.with_line(again), "w", WITNESS_KEY) == 5  # the first time counts, wherever its line stands


def test_neither_kind_of_signature_passes_for_the_other() -> None:
    note = signed()
    as_witness = note.with_line(cosignature_line("w", WITNESS_KEY, 5, WITNESS.sign(note.text.encode())))
    assert cosigned_s(as_witness, "w", WITNESS_KEY) is None
    as_log = Note(note.text, (log_line("w", WITNESS_KEY, WITNESS.sign(cosigned(note.text, 5))),))
    assert not is_signed(as_log, "w", WITNESS_KEY)


def test_one_wrong_line_of_a_known_key_spoils_the_note() -> None:
    note = witnessed()
    bad = note.with_line(log_line(ORIGIN, LOG_KEY, bytes(64)))
    assert not is_signed(bad, ORIGIN, LOG_KEY)
    late = note.with_line(cosignature_line("w", WITNESS_KEY, 9, bytes(64)))
    assert cosigned_s(late, "w", WITNESS_KEY) is None
    assert not verifies(b"short", bytes(64), b"")


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_any_other_byte_makes_another_note_or_none(at: int, flip: int) -> None:
    raw = bytearray(str(witnessed()).encode())
    raw[at % len(raw)] ^= flip
    try:
        note = read_note(raw.decode())
    except (BadNote, UnicodeDecodeError):
        return
    assert not (is_signed(note, ORIGIN, LOG_KEY) and cosigned_s(note, "w", WITNESS_KEY) == 1_800_000_000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\n— a",
        "text\n\n- a QUJDREVG\n",
        "text\n\n— a+b QUJDREVG\n",
        "text\n\n— a QUJD\n",
        "text\n\n— a ????\n",
        "text\n\n— a QUJDREV=\n",
        "te\x07xt\n\n— a QUJDREVG\n",
        "text\r\n\n— a QUJDREVG\n",
        "text\n\n" + "— a QUJDREVG\n" * (SIGNATURES_MAX + 1),
        "x" * NOTE_BYTES_MAX + "\n\n— a QUJDREVG\n",
    ],
)
def test_what_is_no_signed_note(text: str) -> None:
    with pytest.raises(BadNote):
        read_note(text)


@pytest.mark.parametrize(
    "text",
    [
        "a\n1\n",
        "a\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "a\n-1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "a b\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jx\n",
        "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\nmore\n",
        "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
        "a\n9223372036854775807\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
    ],
)
def test_what_is_no_checkpoint(text: str) -> None:
    with pytest.raises(BadNote):
        read_checkpoint(text)


def test_an_empty_log_has_a_checkpoint_too() -> None:
    point = Checkpoint("a", 0, EMPTY_ROOT)
    assert read_checkpoint(point.text) == point


def test_a_key_has_no_blank_in_its_name() -> None:
    with pytest.raises(ValueError, match="no name of a key"):
        log_line("two words", LOG_KEY, bytes(64))
