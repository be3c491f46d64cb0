"""Two hundred seeded voyages with faults, and proof that the checkers see what they are there for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.sim.checkers import Broken
from tests.sim.runs import voyage
from tests.sim.world import Size

from steward.domain import allowance, viewing
from steward.domain.access import AccessState, Shown
from steward.domain.charges import Charge
from steward.domain.events import StoredEvent
from steward.domain.guests import Guest
from steward.domain.ids import GuestRef
from steward.domain.peercharge import BadPeerEvent
from steward.domain.viewing import Viewer
from steward.ports import Tx
from steward.services import doors, peerbooks
from steward.services.lookups import LookupService

SEEDS = 200
CHUNK = 5
SHORT = Size(busy_s=120.0, mend_s=900.0)  # ten times what the slowest of them needs


def test_a_late_question_of_an_older_process_deafens_nobody() -> None:
    """The authority and a door are started again; a question of the door's from before comes last of all."""
    assert voyage(50_015).events > 0


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_voyages(first: int) -> None:
    for seed in range(first, first + CHUNK):
        run = voyage(seed)
        assert run.events > 100
        assert run.faults


def test_a_seed_replays_to_the_last_event() -> None:
    assert voyage(77, SHORT) == voyage(77, SHORT)


def no_outstanding(guest: Guest, day_minor: int, stay_minor: int, outstanding_minor: int) -> allowance.Room:
    """An authority that forgets what it has granted already."""
    return ROOM(guest, day_minor, stay_minor, 0)


def deaf_to_freezes(tx: Tx, shown: Shown) -> AccessState:
    return replace(ACCESS_STATE(tx, shown), denied_at=None)


async def unseen(self: LookupService, viewer: Viewer, ref: GuestRef, tapped: bool) -> None:
    """A look that leaves no trace."""
    await self._store.read(lambda tx: tx.guest(ref))


def hard_of_hearing(event: StoredEvent) -> Charge:
    if event.seq % 3 == 0:
        raise BadPeerEvent("not understood")
    return CHARGE_OF(event)


ROOM, ACCESS_STATE, CHARGE_OF = allowance.room, doors.access_state, peerbooks.charge_of
PLANTS = {
    "money granted twice": (allowance, "room", no_outstanding, "has spent"),
    "a door that ignores freezes": (doors, "access_state", deaf_to_freezes, "frozen before the tap"),
    "a look-up that is not logged": (LookupService, "card", unseen, "look-ups are in the log"),
    "consent that governs nothing": (viewing, "is_open", lambda _consents, _given: True, "without consent"),
    "charges lost on the way": (peerbooks, "charge_of", hard_of_hearing, "is not on the folio"),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_bug_is_found_and_its_seed_finds_it_again(plant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name, bug, said = PLANTS[plant]
    monkeypatch.setattr(where, name, bug)
    for seed in range(12):
        try:
            voyage(seed, SHORT)
        except Broken as broken:
            assert any(said in problem for problem in broken.problems), str(broken)
            with pytest.raises(Broken) as again:
                voyage(seed, SHORT)
            assert str(again.value) == str(broken)
            assert f"seed {seed}:" in str(broken)
            return
    raise AssertionError("a dozen voyages did not notice")
