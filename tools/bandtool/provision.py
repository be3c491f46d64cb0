"""Key one band at the bench, on a cable or on a PC/SC reader; from any point at which it was cut off.

The keys are derived on this machine from the station's sealed files and the band's UID. They are written once and never
read: what is on the band is proven by authenticating with each. The journal knows before the band does. The first
authentication is with a key that only the band and the station that enrolled it know: it proves each to the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from bandtool.journal import BandStage, BenchBand, BenchJournal
from bandtool.serialcard import SerialCard
from bandtool.stationkeys import Enrolment, StationKey
from bandwire.about import PRODUCTION, USED, About
from bandwire.aes import Aes
from bandwire.keys import FACTORY_VERSION, K_MASTER
from steward.domain.access import Refusal
from steward.domain.ids import Uid, uid_from
from steward.errors import CardRefused
from steward.ports import Card, Clock, Entropy, KeyRing
from steward.services.personalise import STEPS, CardState, Personaliser

KEYING_STEPS = STEPS  # the token's step is the proof's here
USED_UID = "uid_used"
BAND_USED = "band_used"
KEYED_ELSEWHERE = "keyed_elsewhere"
CONSOLE_OPEN = "console_open"
NOT_ENROLLED = "not_enrolled"
_UNKNOWN_FIRMWARE = ""


@dataclass(frozen=True, slots=True)
class Bench:
    """What provisioning needs beside the band.

    enrolled, factory: the key ring for bands that this station enrolled, and for chips as their maker sells them.
    open_console: key development boards too.
    """

    journal: BenchJournal
    enrolled: KeyRing
    factory: KeyRing
    enrolment: Enrolment
    signer: StationKey
    aes: Aes
    entropy: Entropy
    clock: Clock
    sun_template: str
    random_id: bool
    open_console: bool


async def provision(
    bench: Bench, card: Card, keys: KeyRing, progress: Callable[[int], None], meet: Callable[[Uid], None] | None = None
) -> BenchBand:
    """The band, keyed, locked and proven. progress: steps done, of KEYING_STEPS.

    meet: told the UID before anything is written; what it raises ends this. Raises CardRemoved: ask again with the same
    band. CardRefused: set the band aside; its code says why.
    """
    work = Personaliser(card, bench.journal, keys, bench.aes, bench.entropy, bench.sun_template, progress)
    about = await card.about() if isinstance(card, SerialCard) else None
    state = await work.inspect()
    uid = uid_from(state.uid)
    if meet is not None:
        meet(uid)
    known = await bench.journal.band(uid)
    _check(bench, uid, known, state, about)
    begun = await _begin(bench, uid, known, state, about)
    try:
        await _key(bench, work, state, begun)
    except CardRefused as error:
        refusal = error if about is None else _in_other_words(error, uid, state)
        await bench.journal.put(_ended(bench, begun, BandStage.FAULTY, refusal.code))
        raise refusal from None
    done = replace(_ended(bench, begun, BandStage.DONE), finished=True)
    await bench.journal.put(done)
    progress(KEYING_STEPS)
    return done


def _check(bench: Bench, uid: Uid, known: BenchBand | None, state: CardState, about: About | None) -> None:
    """Refuse what must not be keyed, before a word of it is written anywhere."""
    finished = known is not None and known.finished
    if finished and FACTORY_VERSION in state.versions:
        raise CardRefused(
            USED_UID, f"{uid} was finished here before and this one has first keys: a copy, or a band that was reset"
        )
    if known is None and set(state.versions) != {FACTORY_VERSION}:
        raise CardRefused(
            KEYED_ELSEWHERE,
            f"{uid} has a voyage's keys, and not from this bench: it may be a guest's. Make it ready at "
            "check-in, or bring this bench's own journal back",
        )
    if about is not None and not about.flags & PRODUCTION and not bench.open_console:
        raise CardRefused(
            CONSOLE_OPEN,
            f"{uid} runs a development image: anybody can read its keys. Flash a production image, or set "
            "development = true in station.toml for boards that never leave the workshop",
        )
    if about is not None and about.flags & USED and not finished:
        raise CardRefused(BAND_USED, f"{uid} has signed charges before it was ever finished: set it aside")


async def _begin(bench: Bench, uid: Uid, known: BenchBand | None, state: CardState, about: About | None) -> BenchBand:
    version = bench.factory.versions()[0]
    band = known or BenchBand(uid, BandStage.BEGUN, state.active, version, bench.clock.now().unix_s)
    firmware = about.version if about is not None else _UNKNOWN_FIRMWARE
    band = replace(band, active=state.active, key_version=version, firmware=firmware)
    if band.stage is not BandStage.DONE:
        band = replace(band, stage=BandStage.BEGUN, what="")
        await bench.journal.put(band)
    return band


async def _key(bench: Bench, work: Personaliser, state: CardState, band: BenchBand) -> None:
    """A finished band only has to prove itself again."""
    if not band.finished or set(state.versions) != {band.key_version}:
        await work.key(state, band.key_version, bench.random_id)
    reads = await work.prove(band.key_version)
    if not band.finished and reads != work.readings:
        raise CardRefused(BAND_USED, f"its link was read {reads} times before it was ever finished: set it aside")


def _in_other_words(error: CardRefused, uid: Uid, state: CardState) -> CardRefused:
    """What a wrong first key means on a cable."""
    if error.code != Refusal.FOREIGN_CARD.value or state.versions[K_MASTER] != FACTORY_VERSION:
        return error
    return CardRefused(
        NOT_ENROLLED,
        f"{uid} does not have the first key that this station gave it: it was flashed at another one, or without one, "
        "or is no band. Flash it here, or key it where it was flashed",
        error.sw,
    )


def _ended(bench: Bench, band: BenchBand, stage: BandStage, what: str = "") -> BenchBand:
    """A clock that was set back does not end a band before it was begun."""
    return replace(band, stage=stage, ended_s=max(bench.clock.now().unix_s, band.begun_s), what=what)
