"""What the demo saw with its own eyes: at the doors' controllers, at the tills, at the purser's desk.

Written down as it happened and never corrected from the gateway's log; checks.py judges it afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Signal:
    """One line that a door controller received."""

    door: str
    open: bool
    code: str
    light: str


@dataclass(frozen=True, slots=True)
class DoorTry:
    """A band held at a door, and what the door's controller heard while it was there.

    may_open: what the demo knows ought to happen. frozen, retired: what had become of the band by then.
    would_suit: the door is one of this guest's, so that only the band's state can refuse it.
    """

    door: str
    cabin: int | None
    band: str
    person: str
    passive: bool
    may_open: bool
    expect: str | None  # the code the plan expects; None: any refusal
    signals: tuple[Signal, ...]
    frozen: bool = False
    retired: bool = False
    would_suit: bool = True

    @property
    def opened(self) -> bool:
        return any(signal.open for signal in self.signals)

    @property
    def code(self) -> str:
        return self.signals[0].code if len(self.signals) == 1 else f"{len(self.signals)} signals"


@dataclass(frozen=True, slots=True)
class TillTry:
    """One tap id at a till, and what the till was told of it in the end."""

    tap_id: str
    till: str
    band: str
    person: str
    passive: bool
    child: bool
    age_restricted: bool
    amount_minor: int
    expect: str
    told: str  # "posted" or the last refusal code the till was told
    purchase: int  # tries of one purchase share a number: together they may charge once
    torn: str = ""  # how the band was torn away, on the tries where it was
    held: bool = False  # waited for a PIN or the photo
    wrong_pins: int = 0  # refused while it waited

    @property
    def posted(self) -> bool:
        return self.told == "posted"


@dataclass(frozen=True, slots=True)
class Correction:
    """A void, refund or dispute, as the purser asked for it and was answered."""

    kind: str  # "void" | "refund" | "dispute"
    tap_id: str
    back_minor: int  # what must be back on the folio because of it: 0 for a rejected dispute
    ok: bool
    detail: str = ""
    evidence: bool | None = None  # of a dispute: the tap's signature; None if a passive band gave none to check
    waited: bool = False  # for a second person
    approved: int = 0  # questions that the second person agreed to


@dataclass(frozen=True, slots=True)
class FolioLine:
    kind: str
    tap_id: str | None
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Folio:
    """A guest's statement after settlement."""

    person: str
    settled: bool
    balance_minor: int
    lines: tuple[FolioLine, ...]


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """What the ledger says of itself. charges: those that ever were on a folio. left_minor: less what went back."""

    ok: bool
    sum_minor: int
    charges: int
    left_minor: int


@dataclass(frozen=True, slots=True)
class EventSeen:
    epoch: int
    seq: int
    type: str
    payload: Mapping[str, object]
    at_s: int = 0


@dataclass(frozen=True, slots=True)
class BandFacts:
    """A band's process as the operating system knows it."""

    band: str
    pid: int
    passive: bool
    interpreter: str  # of the process, as it told itself
    person: str = ""  # who wore it; empty for a blank one


@dataclass(frozen=True, slots=True)
class Served:
    """A guest at a handheld's reader. ms: from the band in the field to the card. title: of what was suggested."""

    crew: str
    person: str
    ms: float
    named: bool  # the card has the preferred name
    discreet: bool  # and not the full one
    photo_bytes: int
    title: str
    says: str
    allergies: tuple[str, ...] = field(default=(), repr=False)
    diet: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class FlipSeen:
    """A change, such as signals of a guest switched off: what was told that would come of it, and what did.

    told, found: (what is offered first then, the place of what had been suggested; 0: not at all).
    """

    change: str
    told: tuple[str, int]
    found: tuple[str, int]

    @property
    def holds(self) -> bool:
        return self.told == self.found


@dataclass(frozen=True, slots=True)
class SuggestionSeen:
    """A suggestion, and its reasons. means: how it came to be, or the code by which no reason is given.

    claims: all that was told, and what the gateway finds by deciding anew. flips: what the demo found by switches.
    crowded: something else happened in that second, so that nobody can say any more what was known; not tried.
    """

    person: str
    item: str
    ranker: str
    answer: str
    means: str = ""
    claims: tuple[FlipSeen, ...] = ()
    flips: tuple[FlipSeen, ...] = ()
    crowded: bool = False


@dataclass(frozen=True, slots=True)
class ArmSeen:
    """What `steward lift report` says of an arm: share accepted, with its 95 % interval; None: no offer yet."""

    arm: str
    guests: int
    offers: int
    accepted: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class CareSeen:
    """What crew did for a guest besides serving: "note", "recovery", "put right", "search" or "emergency"."""

    kind: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class FreezeSeen:
    """A band reported lost, and what doors made of it. Seconds since the decision was taken.

    where: "desk" or "shore". opened_s: door openings after it. refused_s: the first refusal; None if there was none.
    """

    where: str
    band: str
    opened_s: tuple[float, ...]
    refused_s: float | None


@dataclass(frozen=True, slots=True)
class LooksSeen:
    """Look-ups, by who made them: counted by the callers, and in the log's events; then as /metrics and the privacy
    officer's page count the log itself. by_hand: who was also used by whoever watches the demo.
    """

    made: Mapping[str, int]
    logged: Mapping[str, int]
    counted: int
    listed: int
    emergencies: int
    by_hand: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class EpochAshore:
    """Rows of one gateway's log in the shore's event table."""

    gateway: str
    epoch: int
    events: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class AshoreSeen:
    """The end of the day as shore tells it. again: events that came more than once and were stored once.

    catalogue: (version issued, version the ship says it applied). waiting: events the gateway still has to send.
    """

    logs: tuple[EpochAshore, ...]
    again: int
    alarms: tuple[str, ...]
    catalogue: tuple[int, int]
    waiting: int


@dataclass(frozen=True, slots=True)
class LinkSeen:
    """Bytes between gateway and broker: as the relay passed them on, and as the gateway counted at its socket."""

    up_bytes: int
    down_bytes: int
    sent_bytes: int
    received_bytes: int
    events: int
    json_bytes: int  # what the same events are as JSON

    @property
    def per_event(self) -> float:
        return self.up_bytes / self.events if self.events else 0.0


@dataclass(frozen=True, slots=True)
class OutageSeen:
    """The link cut on purpose. before, most, after: events waiting; passed_bytes: what came through meanwhile."""

    asked_s: float
    cut_s: float
    before: int
    most: int
    after: int
    passed_bytes: int
    caught_up_s: float | None  # after the line was whole again; None: never


@dataclass(frozen=True, slots=True)
class ErasedSeen:
    """Who was forgotten. found: what still holds something of theirs, as "file: what". whole: the stay was over."""

    person: str
    whole: bool
    verified: bool  # the certificate, by `steward verify`
    ashore: str  # as the certificate says
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UntrackedSeen:
    """A day without tracking. guests: who should have asked for it. kept: optional things that were found of them."""

    guests: int
    missing: tuple[str, ...]  # of them, who did not get to ask
    kept: tuple[str, ...]


@dataclass(slots=True)
class TrustSeen:
    """pages: those that were shown. links: (the band's link opened, the same link opened again)."""

    pages: list[str] = field(default_factory=list)
    links: tuple[bool, bool] = (False, True)
    verified: dict[str, str] = field(default_factory=dict)  # what was taken home -> what `steward verify` said of it
    bent: dict[str, bool] = field(default_factory=dict)  # the same with one letter changed -> whether it was refused
    log: str = ""  # what `steward verify log` said
    undeclared: tuple[str, ...] = ()  # columns and events' keys that no use case names
    erased: list[ErasedSeen] = field(default_factory=list)
    searched: int = 0  # bytes
    drill: tuple[str, ...] = ()  # files of the breach drill
    drill_s: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkshopSeen:
    """What a station made before the voyage. done: as its own lines say. stocked, left_out: as the import said."""

    uids: tuple[str, ...]
    done: int
    seconds: float
    stocked: int = 0
    left_out: int = 0
    taken: int = 0  # out of the stock by the end of the day


@dataclass(frozen=True, slots=True)
class FoundSeen:
    """A guest looked for their band. silent: nothing could be heard of it before the guest switched it on."""

    silent: bool
    found: bool
    buzzed: bool
    took_s: float


@dataclass(slots=True)
class Observed:
    """Everything that was seen. `doors` is every door of the ship: a check may ask for each of them."""

    doors: tuple[str, ...] = ()
    door_tries: list[DoorTry] = field(default_factory=list)
    stray_signals: list[Signal] = field(default_factory=list)  # heard while no band was at that door
    till_tries: list[TillTry] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    child_limits: dict[str, int] = field(default_factory=dict)  # child -> day limit, minor units
    folios: list[Folio] = field(default_factory=list)
    ledger: LedgerFacts | None = None
    events: list[EventSeen] = field(default_factory=list)
    bands: list[BandFacts] = field(default_factory=list)
    workshop: WorkshopSeen | None = None
    served: list[Served] = field(default_factory=list)
    care: list[CareSeen] = field(default_factory=list)
    suggestions: list[SuggestionSeen] = field(default_factory=list)
    arms: tuple[ArmSeen, ...] = ()
    trust: TrustSeen | None = None
    found: FoundSeen | None = None
    untracked: UntrackedSeen | None = None
    untracked_asked: bool = False
    freezes: list[FreezeSeen] = field(default_factory=list)
    looks: LooksSeen | None = None
    ashore: AshoreSeen | None = None
    link: LinkSeen | None = None
    outage_asked: bool = False
    outage: OutageSeen | None = None
    steps_failed: list[str] = field(default_factory=list)  # steps that could not be carried out at all
    steps_done: int = 0
    steps_planned: int = 0
