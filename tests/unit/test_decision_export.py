"""The log of decisions as a file: of whom, with what, and enough to value a policy that is yet to be."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from tests.contract.makers import AT_S
from tests.contract.serviceparts import offer
from tests.unit.moneykit import CountingEntropy
from tests.unit.servicekit import ASE, KIRA, guest

from steward.adapters.deedfiles import write_lines
from steward.adapters.memory import MemoryStore
from steward.domain.catalogue import ItemId
from steward.domain.consent import ConsentPurpose, said_aboard
from steward.domain.exploring import chances
from steward.domain.holdout import Arm
from steward.domain.ids import GuestRef
from steward.domain.lift import Round, ips, snips
from steward.domain.offers import PPM, OfferId, OfferState, Scored
from steward.errors import ConfigError
from steward.ports import Tx
from steward.services.decisionexport import decision_lines
from steward.services.decisions import DecisionLog, HoldoutSettings

LOG = DecisionLog(b"k" * 16, HoldoutSettings("north", 0))
ORDER = [Scored(ItemId(f"i{place:02}"), -float(place), ()) for place in range(12)]


def say(tx: Tx, ref: GuestRef, given: bool) -> None:
    said = said_aboard(tx.consent(ref, ConsentPurpose.SUGGESTIONS), ref, ConsentPurpose.SUGGESTIONS, given, AT_S)
    assert said is not None
    tx.put_consent(said)


def decide(tx: Tx, number: int, ref: GuestRef, item: ItemId, state: OfferState, *, agreed: bool = True) -> None:
    """As the service logs what it has drawn."""
    drawn = chances(ORDER, shares=False)
    made = offer(
        OfferId(f"{number:032x}"), guest=ref, item=item, propensity_ppm=drawn.of(item), state=state, answered_s=None
    )
    tx.put_offer(made)
    LOG.note(tx, made, agreed=agreed, chances=drawn, popular_ppm=7, features="f", clock_trusted=False)


async def lines_of(store: MemoryStore, entropy: CountingEntropy) -> list[dict[str, object]]:
    return [json.loads(line) for line in await store.read(lambda tx: list(decision_lines(tx, entropy, "Aurora")))]


async def test_only_who_agrees_is_in_it_and_under_another_name_in_every_file() -> None:
    store, entropy = MemoryStore(), CountingEntropy()
    never, gone = GuestRef("d" * 16), GuestRef("e" * 16)

    def fill(tx: Tx) -> None:
        for number, ref in enumerate((KIRA, ASE, never, gone)):
            tx.put_guest(guest(ref))
            if ref is not never:
                say(tx, ref, True)
            decide(tx, number, ref, ItemId("i00"), OfferState.ACCEPTED, agreed=ref is not never)
        decide(tx, 9, KIRA, ItemId("i11"), OfferState.DEFERRED)
        said = tx.consent(gone, ConsentPurpose.SUGGESTIONS)
        assert said is not None
        tx.put_consent(replace(said, given=False, at_s=AT_S + 1, version=said.version + 1))

    await store.write(fill)
    header, *rows = await lines_of(store, entropy)
    assert header == {"format": "steward-decisions", "version": 1, "ship": "Aurora"}
    assert len(rows) == 3
    assert rows[0]["guest"] == rows[2]["guest"] != rows[1]["guest"]
    _, *again = await lines_of(store, entropy)
    assert not {row["guest"] for row in rows} & {row["guest"] for row in again}
    assert not any(ref in json.dumps(rows) for ref in (KIRA, ASE, never, gone))
    drawn = chances(ORDER, shares=False)
    assert rows[0] == {
        "guest": rows[0]["guest"],
        "voyage": "north",
        "arm": Arm.PERSONAL,
        "at_s": AT_S,
        "ranker": "popularity-1",
        "features": "f",
        "candidates": 12,
        "item": "i00",
        "propensity_ppm": drawn.of(ItemId("i00")),
        "popular_ppm": 7,
        "named": [[item, ppm] for item, ppm in drawn.named],
        "state": "accepted",
    }
    assert rows[2]["propensity_ppm"] == drawn.each_ppm


async def test_a_policy_that_is_yet_to_be_is_valued_from_the_file_alone() -> None:
    """One that always offers the third of the list, and one that draws from the named the other way round."""
    liked = {one.item: 0.1 + 0.5 * (place == 2) + 0.05 * (place % 3) for place, one in enumerate(ORDER)}
    store, draw, drawn = MemoryStore(), random.Random(5), chances(ORDER, shares=False)

    def fill(tx: Tx) -> None:
        for number in range(6000):
            ref = GuestRef(f"{number % 300:016x}")
            if number < 300:
                tx.put_guest(guest(ref))
                say(tx, ref, True)
            item = drawn.drawn(draw.randrange(PPM))
            state = OfferState.ACCEPTED if draw.random() < liked[item] else OfferState.DEFERRED
            decide(tx, number, ref, item, state)

    await store.write(fill)
    _, *rows = await lines_of(store, CountingEntropy())
    third, backwards = list[Round](), list[Round]()
    for row in rows:
        named = [(ItemId(item), ppm) for item, ppm in row["named"]]  # type: ignore[attr-defined]
        unit, reward = str(row["guest"]), float(row["state"] == "accepted")
        propensity = int(str(row["propensity_ppm"])) / PPM
        mirrored = dict(zip([item for item, _ in named], [ppm for _, ppm in reversed(named)], strict=True))
        rest = PPM - sum(mirrored.values())
        target = mirrored.get(ItemId(str(row["item"])), rest // (12 - len(named)))
        third.append(Round(unit, reward, propensity, float(row["item"] == named[2][0])))
        backwards.append(Round(unit, reward, propensity, target / PPM))
    last = [ppm for _, ppm in reversed(drawn.named)]
    truth = sum(liked[one.item] * ppm for one, ppm in zip(ORDER, last, strict=False)) / PPM
    truth += drawn.each_ppm * sum(liked[one.item] for one in ORDER[5:]) / PPM
    for rounds, value in ((third, liked[ORDER[2].item]), (backwards, truth)):
        for found in (ips(rounds), snips(rounds)):
            assert found.low < value < found.high
            assert found.weight_max <= 100


def test_lines_are_written_whole_and_never_over_a_file(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    assert write_lines(path, [b"1\n", b"2\n"]) == 2
    assert path.read_bytes() == b"1\n2\n"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="never overwritten"):
        write_lines(path, [b"3\n"])

    def torn() -> object:
        yield b"1\n"
        raise KeyError

    with pytest.raises(KeyError):
        write_lines(tmp_path / "other.jsonl", torn())  # type: ignore[arg-type]
    assert [each.name for each in tmp_path.iterdir()] == ["decisions.jsonl"]
