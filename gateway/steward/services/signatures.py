"""Checks what a band signed, at a gateway that holds K3. A till or a door never does, and says so with None."""

from __future__ import annotations

from dataclasses import replace

from bandwire import charge, sdm
from bandwire.aes import Aes
from bandwire.keys import K_FILE
from steward.domain.charges import TapEvidence
from steward.domain.evidence import MAC_SIZE
from steward.domain.ids import uid_bytes
from steward.errors import KeyNotHeld
from steward.ports import KeyRing


def verify_evidence(keyring: KeyRing, aes: Aes, evidence: TapEvidence) -> TapEvidence:
    """The evidence with `verified` as far as this gateway can tell. None: K3 not held, or a passive band was silent."""
    return replace(evidence, verified=_verified(keyring, aes, evidence))


def _verified(keyring: KeyRing, aes: Aes, evidence: TapEvidence) -> bool | None:
    if not keyring.holds(K_FILE):
        return None
    if evidence.counter is None or not evidence.mac:
        return False if evidence.active else None
    if len(evidence.mac) != MAC_SIZE or evidence.key_version == 0:
        return False  # version 0 is the factory key, which anyone has
    counter_max = charge.COUNTER_MAX if evidence.active else sdm.COUNTER_MAX
    if not 0 <= evidence.counter <= counter_max:
        return False
    uid = uid_bytes(evidence.uid)
    try:
        key = keyring.card_key(uid, K_FILE, evidence.key_version)
    except KeyNotHeld:
        return False  # a version nobody here knows: fail closed
    if not evidence.active:
        return sdm.verify_sun(aes, key, uid, evidence.counter, evidence.mac)
    if len(evidence.signed) != charge.REQUEST_SIZE:
        return False
    kc = charge.charge_key(aes, key, uid)
    return charge.verify(aes, kc, uid, evidence.signed, evidence.counter, evidence.mac)
