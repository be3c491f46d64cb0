"""One decision explained: the same as was made, as things were then; a look-up, and nothing else changes."""

from __future__ import annotations

import pytest
from tests.consentkit import word
from tests.unit.modelkit import HandModel, HandModels
from tests.unit.ruleskit import RULES
from tests.unit.servicekit import ASE, BARKEEPER, CASHIER, CLEANER, HOST, KIRA, Deck, item
from tests.unit.test_offers import CAP, sell

from steward.domain.consent import ConsentPurpose
from steward.domain.events import EventType
from steward.domain.ids import GuestRef
from steward.domain.offers import SHOW_AGAIN_WITHIN_S, Answer, OfferState
from steward.domain.rulekinds import Trouble
from steward.domain.rules import Effect, Help
from steward.domain.trial import Trial
from steward.domain.viewing import Field, Viewer
from steward.errors import NotFound, Refused
from steward.services import explain as explaining
from steward.services.explain import ExplainService, Explanation
from steward.services.modelwatch import ModelWatch

TEA, CAKE, WATER = item("tea"), item("cake", category="food"), item("water", category="soft")


@pytest.fixture
async def deck() -> Deck:
    made = await Deck().aboard()
    await made.stock(TEA, CAKE, WATER, CAP)
    return made


async def explained(deck: Deck, ref: GuestRef = ASE, at_s: int | None = None, who: Viewer = BARKEEPER) -> Explanation:
    return await ExplainService(deck.store, deck.clock, deck.offers).explain(who, ref, at_s)


async def say(deck: Deck, given: bool, version: int) -> None:
    said = word(ASE, ConsentPurpose.SUGGESTIONS, given, deck.clock.unix_s, version)
    await deck.store.write(lambda tx: tx.put_consent(said))


def steps(found: Explanation) -> list[str]:
    return [f"{step.item or 'everything'} {step.rule}" for step in found.decision.trace]


def order(found: Explanation) -> list[str]:
    return [one.item for one in found.decision.ordered]


async def test_it_is_a_look_up_and_nothing_else_changes(deck: Deck) -> None:
    before = await deck.events()
    found = await explained(deck)
    assert order(found) == ["cake", "tea", "water"]
    assert (found.ranker, found.personal, found.titles["tea"]) == ("popularity-1", True, "Tea")
    (look,) = await deck.looks()
    assert (look.guest, look.actor) == (ASE, BARKEEPER.actor)
    assert look.fields == {Field.SUGGESTIONS, Field.ALLERGIES, Field.DIET}
    after = (await deck.events())[len(before) :]
    assert [event.type for event in after] == [EventType.LOOKED_UP]
    assert await deck.store.read(lambda tx: tx.offers_of(ASE, 0)) == []


async def test_what_was_decided_is_explained_as_it_was(deck: Deck) -> None:
    await sell(deck, "Tea", 3, deck.clock.unix_s - 60)
    then_s = deck.clock.unix_s
    now = await explained(deck)
    (shown,) = await deck.offers.suggest(BARKEEPER, ASE)
    deck.clock.tick(5)
    await deck.offers.answer(BARKEEPER, shown.offer, Answer.WRONG)
    deck.clock.tick(SHOW_AGAIN_WITHIN_S)
    then = await explained(deck, at_s=then_s)
    assert (then.decision, then.pending, then.personal) == (now.decision, None, True)
    assert steps(await explained(deck)) == ["tea never"]
    waiting = await explained(deck, at_s=then_s + 5)
    assert waiting.pending is not None
    assert (waiting.pending.id, waiting.pending.state) == (shown.offer, OfferState.SHOWN)
    assert steps(waiting) == ["tea not-so-soon"]


async def test_service_recovery_is_explained_while_it_is_open_and_afterwards(deck: Deck) -> None:
    before_s = deck.clock.unix_s
    deck.clock.tick(60)
    case = await deck.recovery.open(HOST, ASE, "Suitcase has not come")
    deck.clock.tick(600)
    found = await explained(deck)
    assert (found.decision.help, order(found)) == (Help(Trouble.LOST_LUGGAGE, 10), [])
    assert Field.RECOVERY in (await deck.looks())[-1].fields
    deck.clock.tick(60)
    await deck.recovery.close(HOST, case.id, "brought to the cabin")
    deck.clock.tick(60)
    assert (await explained(deck)).decision.help is None
    assert Field.RECOVERY not in (await deck.looks())[-1].fields
    then = await explained(deck, at_s=before_s + 300)
    assert (then.decision.help, order(then)) == (Help(Trouble.OPEN_CASE, 0), [])  # its words are read no more
    assert (await explained(deck, at_s=before_s + 30)).decision.help is None
    assert (await explained(deck, KIRA, at_s=before_s + 300)).decision.help is None


async def test_the_log_is_searched_from_the_right_place(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explaining, "PAGE", 3)
    monkeypatch.setattr(explaining, "EVENTS_MAX", 30)
    for _ in range(40):
        deck.clock.tick(10)
        await deck.lookups.card(BARKEEPER, KIRA, tapped=False)
    case = await deck.recovery.open(HOST, ASE, "Cold soup")
    opened_s = deck.clock.unix_s
    deck.clock.tick(10)
    await deck.recovery.close(HOST, case.id, "hot soup")
    for _ in range(10):
        deck.clock.tick(10)
        await deck.lookups.card(BARKEEPER, KIRA, tapped=False)
    assert steps(await explained(deck, at_s=opened_s + 5)) == ["everything recovery"]
    assert order(await explained(deck, at_s=opened_s - 5)) != []
    with pytest.raises(Refused, match="too_long_ago"):
        await explained(deck, at_s=opened_s - 300)


async def test_the_model_that_is_shown_ranks_and_its_trial_stays_as_it_is(deck: Deck) -> None:
    models = HandModels()
    models.files = {"a" * 64: HandModel("m-1", first="water")}
    trial = Trial("a" * 64, "a" * 64)
    await deck.store.write(lambda tx: deck.ranking.write(tx, trial))
    await ModelWatch(deck.store, deck.ranking, models).take_shown()  # whatever the settings' own file is
    found = await explained(deck)
    assert (found.ranker, order(found)) == ("m-1", ["water", "cake", "tea"])
    assert await deck.store.read(deck.ranking.read) == trial
    deck.ranking.close()
    models.files = {}
    await ModelWatch(deck.store, deck.ranking, models).take_shown()
    assert (await explained(deck)).ranker == "popularity-1"
    assert await deck.store.read(deck.ranking.read) == trial


async def test_who_objects_is_not_explained_and_nothing_is_read(deck: Deck) -> None:
    then_s = deck.clock.unix_s
    deck.clock.tick(60)
    await say(deck, False, 2)
    for at_s in (None, then_s):
        with pytest.raises(Refused, match="no_consent"):
            await explained(deck, at_s=at_s)
    assert await deck.looks() == []


async def test_a_word_on_consent_counts_from_when_it_was_said(deck: Deck) -> None:
    deck.clock.tick(60)
    no_s = deck.clock.unix_s
    await say(deck, False, 2)
    deck.clock.tick(60)
    yes_s = deck.clock.unix_s
    await say(deck, True, 3)
    deck.clock.tick(60)
    assert steps(await explained(deck, at_s=no_s + 30)) == ["everything consent"]
    assert order(await explained(deck, at_s=yes_s + 30)) == ["cake", "tea", "water"]


@pytest.mark.parametrize("who", [CASHIER, CLEANER])
async def test_who_does_not_sell_is_explained_nothing(deck: Deck, who: Viewer) -> None:
    with pytest.raises(Refused, match="not_permitted"):
        await explained(deck, who=who)
    assert await deck.looks() == []


async def test_nobody_and_tomorrow_are_not_explained(deck: Deck) -> None:
    with pytest.raises(NotFound):
        await explained(deck, GuestRef("f" * 16))
    with pytest.raises(Refused, match="in_the_future"):
        await explained(deck, at_s=deck.clock.unix_s + 1)
    assert await deck.looks() == []


async def test_allergies_stop_it_with_a_step_of_their_own(deck: Deck) -> None:
    found = await explained(deck, KIRA)
    assert found.decision.trace == ()
    await deck.stock(item("latte", allergens=("milk",)), version=2)
    deck.clock.tick(60)
    assert steps(await explained(deck, KIRA)) == ["latte allergens"]


async def test_a_never_at_one_outlet_holds_for_its_twin_at_another(deck: Deck) -> None:
    await deck.stock(
        item("lager", tags=("beer",)), item("pils", HOST.outlet, tags=("beer",), edible=False, suits=()), version=2
    )
    (shown,) = await deck.offers.suggest(BARKEEPER, ASE)
    await deck.offers.answer(BARKEEPER, shown.offer, Answer.WRONG)
    assert steps(await explained(deck, who=HOST)) == ["pils twin_of_never"]
    assert await deck.offers.suggest(HOST, ASE) == []


async def test_a_rush_at_the_till_and_open_cases_stop_offers_there(deck: Deck) -> None:
    await sell(deck, "soup of the day", 121, deck.clock.unix_s - 599)
    found = await explained(deck)
    (step,) = found.decision.trace
    assert (step.rule, step.effect, step.numbers) == ("crew-first", Effect.STOPPED, (("sales", 121), ("most", 120)))
    assert step.rule in {rule.name for rule in RULES}
    deck.clock.tick(2)
    assert order(await explained(deck)) != []
