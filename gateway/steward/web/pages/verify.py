"""The page that checks receipts, look-ups' proofs and certificates in the browser itself. Nothing is sent anywhere.

For everybody, signed in or not. What the ship adds is its public keys with their fingerprints, to compare with those
that are printed and posted: a page of a ship that lies could show any.
"""

from __future__ import annotations

from collections.abc import Iterator

from starlette.responses import Response

from steward.domain.consent import ConsentPurpose, Said
from steward.domain.erasure import Kept, Wait
from steward.domain.records import KINDS, LOOK_HEAD, key_fingerprint
from steward.domain.viewing import CrewRole, Field, Purpose
from steward.ports import KeyRing
from steward.web.pages.guestbase import GuestCall, GuestNav, GuestRoute
from steward.web.pages.language import Translator

VERIFY = "/verify"
_FAULTS = (
    *("no_json", "too_large", "unknown", "bent", "unsigned", "not_in_log", "unwitnessed", "stranger"),
    *("no_crypto", "no_ed25519"),
)
_FACTS = (
    *("kind", "who", "said", "what", "when", "how", "uses", "recipients", "controller", "number", "role", "outlet"),
    *("machine", "purpose", "fields", "glass", "witness", "key"),
    *("asked", "issued", "state", "gone", "waits", "kept", "machines", "ashore"),
)
_PLAIN = (
    *("said.yes", "said.no", "none", "witness.none", "key.ours", "key.other", "state.finished", "state.waiting"),
    *("answer.confirmed", "answer.pending", "answer.none", "part.optional", "part.all"),
)
LOOK_UP = "lookup"


class VerifyPages:
    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def routes(self) -> list[GuestRoute]:
        return [GuestRoute("GET", VERIFY, None, self.show)]

    def nav(self) -> list[GuestNav]:
        return []

    async def show(self, call: GuestCall) -> Response:
        keys = [(version, key_fingerprint(key)) for version, key in sorted(self._keys.verify_keys().items())]
        return call.page("guest_verify.html", keys=keys, words=list(_words(call.t)))


def _words(t: Translator) -> Iterator[tuple[str, str]]:
    """What the script says, by the key under which it looks for it."""
    kinds = [*(kind for kind in KINDS if kind != LOOK_HEAD), LOOK_UP]
    own = [f"fault.{code}" for code in _FAULTS] + [f"fact.{name}" for name in _FACTS] + list(_PLAIN)
    own += [f"kind.{kind}" for kind in kinds] + [f"how.{way.value}" for way in Said]
    yield from ((key, t(f"guest_data.verify.{key}")) for key in own)
    yield from ((f"consent.{each.value}", t(f"guest_data.consent.{each.value}")) for each in ConsentPurpose)
    yield from ((f"kept.{each.value}", t(f"guest_erase.kept.{each.value}")) for each in Kept)
    yield from ((f"wait.{each.value}", t(f"guest_erase.wait.{each.value}")) for each in Wait)
    yield from ((f"role.{each.value}", t(f"words.role.{each.value}")) for each in CrewRole)
    yield from ((f"purpose.{each.value}", t(f"words.purpose.{each.value}")) for each in Purpose)
    yield from ((f"field.{each.value}", t(f"words.field.{each.value}")) for each in Field)
