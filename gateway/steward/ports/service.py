"""What guest service keeps: profiles behind their look-up log, notes, recovery cases, crew, catalogue, offers.

Whatever crew may read of a guest is read by `disclose` and `search`, which write the look-up log in the same
transaction; `log_look_up` does the same for what is read elsewhere in the transaction (folio, charges, bands). A look
that the policy does not permit (domain/viewing.py), or that the guest has not agreed to (domain/consent.py), raises
ValueError: services ask first, the store makes sure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from steward.domain.care import Case, CaseId, Note, NoteId
from steward.domain.catalogue import Catalogue, Item, ItemId
from steward.domain.consent import Consent, ConsentPurpose
from steward.domain.crew import CrewMember, CrewSession, SessionId
from steward.domain.features import Moment, Past
from steward.domain.ids import GuestRef, OutletId
from steward.domain.offers import Offer, OfferId, Scored
from steward.domain.profiles import Disclosed, Photo, Profile
from steward.domain.viewing import LookUp, Viewer
from steward.ports.looktree import LookTreeTx

Counts = Mapping[ItemId, int]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RankRequest:
    """What may be offered, and what a ranker may know. items: of the catalogue, in any order.

    moment and history are personal: None and empty for a guest who has not agreed to personal suggestions. Everything
    in history is an item of the catalogue; a catalogue of the same version has the same items.
    """

    items: Sequence[Item]
    taken_now: Counts  # how often each was taken around this hour
    taken_ever: Counts  # at any hour
    catalogue: Mapping[ItemId, Item] = field(default_factory=dict)
    version: int = 0  # of the catalogue
    moment: Moment | None = None
    history: Sequence[Past] = ()  # oldest first


@dataclass(frozen=True, slots=True)
class Ranked:
    """All items of a request, best first. chances: of being taken if offered now; empty from who does not say.

    shares: the scores are shares of a whole; else they are logarithms of odds.
    """

    ranker: str  # name and version, for the log of decisions
    scored: Sequence[Scored]
    chances: Mapping[ItemId, float] = field(default_factory=dict)
    shares: bool = False


Weigh = Callable[[RankRequest], Sequence[Scored]]  # best first


class Ranker(Protocol):
    """Orders what may be offered. Deterministic: the same request gives the same order."""

    @property
    def version(self) -> str:
        """Name and version, for the log of decisions."""
        ...

    async def rank(self, request: RankRequest) -> Ranked:
        """Raises Busy if too many wait already, RankerFailed if it cannot say."""
        ...

    async def compare(self, work: Callable[[Weigh], T]) -> T:
        """What `work` makes of many requests, one after the other, away from the event loop.

        It is handed what orders the items of a request as `rank` does, without reasons. Raises Busy, RankerFailed.
        """
        ...


class Model(Ranker, Protocol):
    """A ranker made of a file. `close` frees what it holds; it ranks no more."""

    def close(self) -> None: ...


class Models(Protocol):
    """Where model files are. A file is named by its SHA-256 in hex."""

    async def here(self, sha256: str) -> bool:
        """Whether a file of that name has come; it may still be refused."""
        ...

    async def load(self, sha256: str, size: int | None) -> Model:
        """Check the whole file and make it ready. Raises ModelRefused, leaving nothing behind."""
        ...


class LookUpTx(Protocol):
    """Profiles, photos, notes and cases: written freely, read only with a row in the log."""

    def put_profile(self, profile: Profile) -> None:
        """Insert or replace by ref. Raises ValueError for one that cannot be kept."""
        ...

    def put_photo(self, photo: Photo) -> None:
        """Insert or replace by ref. Raises ValueError if it is too large, or neither JPEG nor PNG."""
        ...

    def has_profile(self, ref: GuestRef) -> bool: ...
    def photo_hash(self, ref: GuestRef) -> str | None:
        """SHA-256 of the photo in hex, for an import that wants to know whether it changes; None if there is none."""
        ...

    def drop_health(self, ref: GuestRef) -> None:
        """What the profile says of allergies and diet."""
        ...

    def drop_profile(self, ref: GuestRef) -> None:
        """Remove profile and photo."""
        ...

    def drop_photo(self, ref: GuestRef) -> None:
        """Remove the photo alone."""
        ...

    def put_note(self, note: Note) -> None: ...
    def drop_note(self, note: NoteId) -> None: ...
    def note_place(self, note: NoteId) -> Note | None:
        """The note without its text: whose it is, and for which purpose."""
        ...

    def note_count(self, ref: GuestRef) -> int: ...
    def sweep_notes(self, now_s: int) -> int:
        """Delete the notes that have expired; how many."""
        ...

    def open_case(self, case: Case) -> None:
        """Record a new case. Raises Conflict if its id is known."""
        ...

    def close_case(self, case: CaseId, by: str, at_s: int, outcome: str) -> None:
        """Close an open case; one that is closed stays as it is."""
        ...

    def case_place(self, case: CaseId) -> Case | None:
        """The case without its texts."""
        ...

    def open_case_count(self, ref: GuestRef) -> int:
        """How many cases of this guest are open."""
        ...

    def open_cases(self, outlet: OutletId | None) -> Sequence[Case]:
        """Open cases without their texts, oldest first; None: of all outlets."""
        ...

    def disclose(self, look: LookUp) -> Disclosed:
        """Log this look with its event, and read exactly its fields. Notes: of its purpose, not expired at `at_s`.

        A broken glass shows the notes of every purpose; so does a guest's own look, and cases that are closed.
        Raises ValueError if the policy forbids the look.
        """
        ...

    def search(self, viewer: Viewer, query: str, at_s: int, limit: int) -> Sequence[Disclosed]:
        """Guests aboard at `at_s` of whom a word of a name begins so, or whose cabin is this number; by name.

        Each hit is a look-up of its own, of the names and the cabin as far as the viewer may see them; how the guest
        was found is in its `way`.
        """
        ...

    def log_look_up(self, look: LookUp) -> LookUp:
        """Log a look whose fields this transaction reads elsewhere. Returns it with its seq.

        A guest's look at their own data is checked as any other, and leaves no row: it is nobody else's look.
        """
        ...

    def enter_peer_look(self, look: LookUp, now_s: int) -> LookUp:
        """Enter a look that was made at `look.gateway`, which has asked policy and consent, in this log as well.

        No event is written: that is in the other gateway's log. Returns it with its seq here.
        """
        ...

    def look_ups(self, after_seq: int, limit: int) -> Sequence[LookUp]:
        """The log in order, for the privacy officer."""
        ...

    def look_ups_of(self, ref: GuestRef, limit: int) -> Sequence[LookUp]:
        """Who looked at this guest, newest first."""
        ...


class ConsentTx(Protocol):
    """Consent per guest and purpose; every word of it stays in the history for as long as the guest does."""

    def put_consent(self, consent: Consent) -> None:
        """Insert or replace by guest and purpose. Raises Conflict if a later word is known."""
        ...

    def consent(self, ref: GuestRef, purpose: ConsentPurpose) -> Consent | None:
        """None: nothing was said, which is no consent."""
        ...

    def consents_of(self, ref: GuestRef) -> Sequence[Consent]:
        """By purpose."""
        ...

    def consent_history(self, ref: GuestRef, limit: int) -> Sequence[Consent]:
        """Newest first."""
        ...

    def drop_consents(self, ref: GuestRef) -> None:
        """Forget all of it, with its history: the guest is forgotten."""
        ...


class CrewTx(Protocol):
    def put_crew(self, member: CrewMember) -> None:
        """Insert or replace by ref."""
        ...

    def crew(self, ref: GuestRef) -> CrewMember | None: ...
    def crew_members(self) -> Sequence[CrewMember]:
        """By ref."""
        ...

    def drop_crew(self, ref: GuestRef) -> None: ...
    def put_session(self, session: CrewSession) -> None:
        """Insert or replace by id."""
        ...

    def session(self, session: SessionId) -> CrewSession | None: ...
    def drop_session(self, session: SessionId) -> None: ...
    def sessions_of(self, ref: GuestRef) -> Sequence[CrewSession]:
        """Oldest first."""
        ...

    def sweep_sessions(self, seen_before_s: int, created_before_s: int) -> int:
        """Delete the sessions last seen, or made, before these times; how many."""
        ...


class OfferTx(Protocol):
    def put_catalogue(self, catalogue: Catalogue) -> None:
        """Replace the whole catalogue. Raises ValueError if it cannot be, Conflict if its version is lower."""
        ...

    def catalogue(self) -> Catalogue: ...
    def catalogue_version(self) -> int: ...
    def items_at(self, outlet: OutletId) -> Sequence[Item]:
        """The catalogue's items of one outlet, in its order. Quick however large the catalogue is."""
        ...

    def put_offer(self, offer: Offer) -> None:
        """Insert or replace by id. Raises ValueError for one that is liked and was not accepted."""
        ...

    def offer(self, offer: OfferId) -> Offer | None: ...
    def offers_of(self, ref: GuestRef, since_s: int) -> Sequence[Offer]:
        """Shown at or after `since_s`, oldest first."""
        ...

    def last_offers_of(self, ref: GuestRef, limit: int) -> Sequence[Offer]:
        """The last `limit`, and older ones that are never wanted again, oldest first. Quick however many there are."""
        ...

    def drop_offers(self, ref: GuestRef) -> None:
        """Forget what was offered and answered: the guest is forgotten."""
        ...

    def taken(self, outlet: OutletId, since_s: int) -> Sequence[tuple[ItemId, int, int]]:
        """(item, hour of the ship's day, how often): accepted offers of this outlet since then."""
        ...

    def sold(self, outlet: OutletId, since_s: int, utc_offset_s: int) -> Sequence[tuple[str, int, int]]:
        """(description, hour of the ship's day, how often): posted charges of this outlet since then."""
        ...

    def sales(self, outlet: OutletId, since_s: int) -> int:
        """How many charges were posted at this outlet since then, whatever for. Quick: nothing is unsealed."""
        ...


class ServiceTx(LookUpTx, LookTreeTx, ConsentTx, CrewTx, OfferTx, Protocol):
    """Part of ports.Tx."""
