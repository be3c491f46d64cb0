"""What forgetting a guest does to a store, inside the caller's transaction: the same at every gateway of the ship.

The authority decides (services/erasure.py); a gateway that follows is told, and obeys in two steps. What it holds of
the guest goes in the transaction that hears of it. What its own events say goes once the authority has them all, for a
charge that was made while the ship's network was away is known from nowhere else. Then it says that it has obeyed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from steward.domain.allowance import Grant
from steward.domain.charges import Charge
from steward.domain.consent import Consent, ConsentPurpose, Source
from steward.domain.context import StayCompany
from steward.domain.erasure import Done, Erasure, Obeyed, Part, carried_out
from steward.domain.events import EventType, Scalar, fact
from steward.domain.guests import Band, Guest
from steward.domain.ids import GuestRef
from steward.domain.peercharge import BadPeerEvent, number_of, text_of
from steward.domain.replica import Forgotten, Row, Serial
from steward.domain.signals import Switch
from steward.domain.topics import CLASSES
from steward.domain.untracked import Untracked
from steward.ports import Tx
from steward.services.stock import SaidByPeer

AUTHORITY = "authority"  # the peer "ship" of a gateway that follows
_PEER = "ship"
EVENTS, LOOKS = "event", "look_up"


def destroy(tx: Tx, ref: GuestRef, part: Part, at_s: int) -> Done:
    """Take away what this part takes: rows, what events and the look-up log say, and the key it was sealed with."""
    before = tx.rows_of(ref)
    drop_rows(tx, ref, part)
    after = tx.rows_of(ref)
    counts = {table: gone for table, count in before.items() if (gone := count - after.get(table, 0)) > 0}
    return Done(part, at_s, {**counts, **destroy_words(tx, ref, part)})


def drop_rows(tx: Tx, ref: GuestRef, part: Part) -> None:
    """The rows of this part, in every table that names the guest."""
    guest = tx.guest(ref)
    for record in () if guest is None else tx.imported(guest.booking):
        if record.ref == ref:  # what the list said; the entry stays, so that the next list brings nothing back
            stay = record.stay if part is Part.OPTIONAL else bytes(len(record.stay))
            tx.put_imported(replace(record, stay=stay, person=b"", photo=""))
    tx.drop_profile(ref)
    tx.drop_stay_traces(ref)
    tx.drop_offers(ref)
    tx.drop_decisions(ref)
    tx.drop_context(ref)
    tx.drop_consents(ref)
    if part is Part.ALL:
        tx.drop_guest_access(ref)
        tx.drop_guest(ref)
    else:
        for phone in tx.phones_of(ref):
            tx.drop_phone(phone.id)


def destroy_words(tx: Tx, ref: GuestRef, part: Part) -> Mapping[str, int]:
    """What events and the look-up log say of the guest, and the key; how many of each were emptied.

    Whoever goes on with the stay goes on with a new key, under which charges are sealed again. At the end a charge is
    an amount at an outlet under a reference: what was sold is in the sealed papers, if anywhere.
    """
    counts = {EVENTS: tx.redact_events(ref), LOOKS: tx.drop_look_contents(ref)}
    tx.drop_request_words(ref)
    charges = tx.charges_of(ref)
    if part is Part.OPTIONAL:
        tx.renew_key(ref)
    for charge in charges:
        tx.put_charge(charge if part is Part.OPTIONAL else _wordless(charge))
    if part is Part.ALL:
        tx.destroy_key(ref)
    return {what: count for what, count in counts.items() if count}


def _wordless(charge: Charge) -> Charge:
    return replace(charge, request=replace(charge.request, description=""), reason="")


def object_to_all(tx: Tx, ref: GuestRef, before: Mapping[ConsentPurpose, Consent], at_s: int) -> None:
    """From now on the guest has said no to every purpose: nothing is to be collected anew until the stay is over."""
    for purpose in ConsentPurpose:
        known = before.get(purpose)
        said_s, version = (at_s, 1) if known is None else (max(at_s, known.at_s + 1), known.version + 1)
        tx.put_consent(Consent(ref, purpose, False, said_s, Source.ABOARD, version))


def is_forgotten(tx: Tx, ref: GuestRef) -> bool:
    """Whether nothing of this guest may be taken in any more."""
    erasure = tx.erasure(ref)
    if erasure is None:
        return False
    return Part.ALL in (erasure.part, None if erasure.mark is None else erasure.wanted)


# what the authority tells


def forgotten(tx: Tx, ref: GuestRef) -> Forgotten | None:
    """The word to other gateways. None: nothing is done yet."""
    erasure = tx.erasure(ref)
    if erasure is None or not erasure.done:
        return None
    last = erasure.done[-1]
    return Forgotten(ref, erasure.certificate, last.part, last.at_s)


# what a gateway that follows does


def obey(tx: Tx, word: Forgotten, now_s: int) -> None:
    """Take the rows away; note what must reach the authority before events are emptied. Again it changes nothing."""
    known = tx.erasure(word.ref)
    if known is not None and known.mark is not None and known.wanted >= word.part:
        return
    drop_rows(tx, word.ref, word.part)
    epoch = tx.epoch()
    mark = (epoch, tx.newest_seq(epoch))
    done = () if known is None else known.done
    tx.put_erasure(Erasure(word.ref, word.certificate, now_s, AUTHORITY, wanted=word.part, done=done, mark=mark))


def finish_obeying(tx: Tx, erasure: Erasure, gateway: str, now_s: int) -> bool:
    """Empty the events once the authority has all that were there, and say so. False: it has not."""
    assert erasure.mark is not None
    if not has_all(tx, *erasure.mark):
        return False
    counts = destroy_words(tx, erasure.ref, erasure.wanted)
    done = Done(erasure.wanted, now_s, counts)
    tx.put_erasure(carried_out(erasure, done, (), ()))
    append_erased(tx, erasure, erasure.wanted, now_s, gateway)
    return True


def append_erased(
    tx: Tx, erasure: Erasure, part: Part, now_s: int, gateway: str, order: Mapping[str, Scalar] | None = None
) -> None:
    """Shore and the authority read this. It names the guest under no key that is sealed.

    order: what makes it an order that shore obeys; None: the word of a gateway that has done its part.
    """
    payload: dict[str, Scalar] = {
        "ref": erasure.ref,
        "certificate": erasure.certificate,
        "part": int(part),
        "gateway": gateway,
        **(order or {}),
    }
    tx.append_event(fact(EventType.GUEST_ERASED, now_s, **payload))


def has_all(tx: Tx, epoch: int, seq: int) -> bool:
    """Whether the authority has every event up to this one."""
    covered = tx.covered(_PEER)
    lanes = [(older, cls) for older, _ in tx.epochs() if older <= epoch for cls in CLASSES]
    wanted = {lane: tx.newest_of_class(*lane) for lane in lanes}
    return all(
        covered.get(lane, 0) >= min(newest, seq if lane[0] == epoch else newest) for lane, newest in wanted.items()
    )


def names_forgotten(tx: Tx, row: Row) -> bool:
    """Whether a record is of a guest who is forgotten: it comes late, and is not taken in."""
    if isinstance(row, Guest | Serial | Grant):
        return is_forgotten(tx, row.ref)
    if isinstance(row, Band | Consent | Switch | StayCompany | Untracked):
        return is_forgotten(tx, row.guest)
    return False


def take_peer_erasure(_books: object, tx: Tx, said: SaidByPeer) -> Iterable[str]:
    """Another gateway says that it has obeyed. Of a guest who was not to be forgotten it means nothing.

    Raises BadPeerEvent for a part that there is not.
    """
    ref, part = GuestRef(text_of(said.event.payload, "ref")), number_of(said.event.payload, "part")
    if part not in (Part.OPTIONAL, Part.ALL):
        raise BadPeerEvent("a part of an erasure that there is not")
    if tx.erasure(ref) is not None:
        tx.put_obeyed(ref, Obeyed(said.member.name, Part(part), said.event.at_s))
    return ()
