"""The published vectors on both interpreters, the two transcripts held side by side, and what only the host can run."""

import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA224
from tests.micropython import transcript, vector_suite

from steward.adapters.aes import HostAes

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "tests/data/ntag424_public.json"
ENTRIES: list[dict[str, Any]] = json.loads(VECTORS.read_text())["vectors"]
BY_ID = {entry["id"]: entry for entry in ENTRIES}
VECTOR_COUNT = 28
HOST_ONLY = {"an10922-aes192", "an10922-aes256", "an12196-t30-originality"}


def on_micropython(script: str, *arguments: str) -> Any:
    """Run a script beside this file on the real interpreter; its one line of JSON."""
    path = os.pathsep.join([".frozen", str(ROOT / "firmware/shared"), str(ROOT / "firmware/device")])
    done = subprocess.run(
        [Path(sysconfig.get_path("scripts")) / "micropython", ROOT / "tests/micropython" / script, *arguments],
        env={**os.environ, "MICROPYPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_the_file_is_whole() -> None:
    assert len(ENTRIES) == len(BY_ID) == VECTOR_COUNT
    assert {entry["id"] for entry in ENTRIES if entry["kind"] in vector_suite.OUT_OF_SCOPE} == HOST_ONLY


def test_every_vector_on_cpython() -> None:
    ran, left = vector_suite.run_all(HostAes(), ENTRIES)
    assert set(left) == HOST_ONLY
    assert len(ran) == VECTOR_COUNT - len(HOST_ONLY)
    assert min(ran.values()) >= 2


def test_every_vector_on_micropython() -> None:
    got = on_micropython("vector_suite.py", str(VECTORS))
    ran, left = vector_suite.run_all(HostAes(), ENTRIES)
    assert set(got["out_of_scope"]) == set(left) == HOST_ONLY
    assert len(got["ran"]) == VECTOR_COUNT - len(HOST_ONLY)
    assert got["ran"] == ran


def test_both_interpreters_write_the_same_transcript() -> None:
    assert on_micropython("transcript.py") == transcript.transcript(HostAes())


@pytest.mark.parametrize(
    ("identifier", "field", "value"),
    [
        ("rfc4493-subkeys", "K2", "F7DDAC306AE266CCF90BC11EE46D513C"),
        ("an12196-t9-write-full", "mact", "B97CBB2A236F876D"),
        ("an12196-t14-authEV2First-k0", "e_resp", "00" * 32),
        ("an12196-t24-authEV2NonFirst-k0", "enc", "00" * 16),
        ("an12196-t26-changekey-case1", "crc", "789DFADD"),
        ("an12196-t3-piccdata", "ctr", 62),
        ("an12196-t29-getcarduid", "resp_cmac_full", "00" * 16),
        ("an12196-t5-sdmmac-empty", "unheard_of", "00"),
    ],
)
def test_the_suite_notices_a_wrong_or_unread_value(identifier: str, field: str, value: str | int) -> None:
    entry = BY_ID[identifier]
    wrong = {**entry, "expect": {**entry["expect"], field: value}}
    with pytest.raises((AssertionError, ValueError)):
        vector_suite.run_all(HostAes(), [wrong])


def test_the_suite_refuses_an_unknown_kind() -> None:
    with pytest.raises(KeyError):
        vector_suite.run_all(HostAes(), [{**ENTRIES[0], "kind": "new"}])


def wide_cmac(master: bytes, message: bytes) -> bytes:
    mac = CMAC(algorithms.AES(master))
    mac.update(message)
    return mac.finalize()


@pytest.mark.parametrize(("identifier", "first"), [("an10922-aes192", 0x11), ("an10922-aes256", 0x41)])
def test_wide_diversification_is_only_ever_run_here(identifier: str, first: int) -> None:
    entry = BY_ID[identifier]
    master, m = bytes.fromhex(entry["in"]["master"]), bytes.fromhex(entry["in"]["m"])
    a, b = (wide_cmac(master, bytes((first + i,)) + m) for i in range(2))
    assert a.hex().upper() == entry["expect"]["A"]
    assert b.hex().upper() == entry["expect"]["B"]
    middle = bytes(x ^ y for x, y in zip(a[8:], b[:8], strict=True))
    key = a + b if len(master) == 32 else a[:8] + middle + b[8:]
    assert key.hex().upper() == entry["expect"]["key"]


def test_the_originality_signature_is_only_ever_checked_here() -> None:
    entry = BY_ID["an12196-t30-originality"]
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP224R1(), bytes.fromhex(entry["in"]["pub"]))
    r, s = entry["expect"]["r"], entry["expect"]["s"]
    assert entry["in"]["sig"] == r + s
    signature = encode_dss_signature(int(r, 16), int(s, 16))
    # The chip signs the UID as a number, without a hash: as a "digest" it is that number in 28 bytes.
    message = bytes.fromhex(entry["in"]["uid"]).rjust(28, b"\x00")
    public.verify(signature, message, ec.ECDSA(Prehashed(SHA224())))
    with pytest.raises(InvalidSignature):
        public.verify(signature, message[:-1] + b"\x81", ec.ECDSA(Prehashed(SHA224())))
    assert entry["expect"]["valid"] is True
