"""Model files: signed releases that come, bad ones, files that go, and a bad release found out with real files."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tests.unit.modelkit import INVERTED, TINY, HandModel, HandModels, catalogue, model
from tests.unit.moneykit import NOON_S
from tests.unit.servicekit import BARKEEPER, KIRA, Deck, item
from tests.unit.test_ranking import BOUNDS, NEW, NEXT, OLD, Draws, deck_with, guests, ranking_with, trial_of

from steward.adapters.modelfolder import FolderModels, hash_file
from steward.adapters.popularity import PopularityRanker
from steward.domain.ids import GuestRef
from steward.domain.offers import Answer
from steward.domain.shorebodies import ModelRelease, encode_releases
from steward.domain.trial import POPULARITY, Phase, Trial
from steward.errors import ModelRefused
from steward.ports.sync import DownRecord
from steward.services.modelwatch import ModelWatch
from steward.services.ranking import Ranking, RankingSettings


async def released(deck: Deck, *releases: ModelRelease, version: int = 1) -> None:
    body = encode_releases(releases)
    await deck.store.write(lambda tx: tx.put_down(DownRecord("release", version, NOON_S, NOON_S, b"x" * 32, body)))


def release(sha256: str = NEW, name: str = "preference", size: int = 7) -> ModelRelease:
    return ModelRelease(name, "1.0", sha256, size, "")


async def test_a_signed_release_is_tried_once_its_file_has_come() -> None:
    deck, models = await deck_with(Trial(), ranking_with()), HandModels()
    watch = ModelWatch(deck.store, deck.ranking, models)
    models.files = {NEW: HandModel("m-2"), NEXT: HandModel("m-3")}
    await watch.look()
    assert (await trial_of(deck), models.sizes) == (Trial(), [])  # a file that nobody signed for is not even opened
    await released(deck, release(NEXT, "another-model"))
    await watch.look()
    assert (await trial_of(deck), models.sizes) == (Trial(), [])
    del models.files[NEW]
    await released(deck, release(), version=2)
    await watch.look()
    assert await trial_of(deck) == Trial()
    models.files[NEW] = HandModel("m-2")
    await watch.look()
    trial = await trial_of(deck)
    assert (trial.phase, trial.other, models.sizes, set(deck.ranking.loaded())) == (Phase.SHADOW, NEW, [7], {NEW})
    await watch.look()
    assert models.sizes == [7]


async def test_a_bad_file_is_refused_and_the_gateway_goes_on_with_what_it_had() -> None:
    models = HandModels()
    models.files = {OLD: HandModel("m-1", first="i4"), NEW: ModelRefused("other features")}
    deck = await deck_with(Trial(), ranking_with())
    watch = ModelWatch(deck.store, deck.ranking, models, base=OLD)
    await released(deck, release())
    await watch.look()
    trial = await trial_of(deck)
    assert (trial.shown, trial.phase, trial.refused, trial.why) == (OLD, Phase.NONE, (NEW,), "bad_file")
    await watch.look()
    assert models.sizes == [7, None]
    (one,) = await deck.offers.suggest(BARKEEPER, KIRA)
    assert one.item.id == "i4"


async def test_files_that_go_away() -> None:
    """After a restart: the shown one is waited for, one on trial is not."""
    files = {OLD: HandModel("m-1"), NEW: HandModel("m-2")}
    for trial, gone, shown, refused in [
        (Trial(OLD, OLD), OLD, OLD, ()),
        (Trial(OLD, OLD, NEW, Phase.SHADOW), NEW, OLD, (NEW,)),
        (Trial(OLD, NEW, OLD, Phase.WATCH), NEW, OLD, (NEW,)),
        (Trial(OLD, NEW, OLD, Phase.WATCH), OLD, NEW, ()),
    ]:
        models = HandModels()
        models.files = {sha256: one for sha256, one in files.items() if sha256 != gone}
        deck = await deck_with(trial, ranking_with())
        watch = ModelWatch(deck.store, deck.ranking, models, base=OLD)
        await watch.look()
        await watch.look()
        after = await trial_of(deck)
        assert (after.shown, after.refused) == (shown, refused)
        assert set(deck.ranking.loaded()) == set(after.wants()) - {gone}


async def test_what_is_not_wanted_any_more_is_closed() -> None:
    old, new = HandModel("m-1"), HandModel("m-2")
    deck = await deck_with(Trial(OLD, OLD, NEW, Phase.SHADOW), ranking_with(**{OLD: old, NEW: new}))
    await deck.store.write(lambda tx: deck.ranking.write(tx, Trial(OLD, NEW)))
    await ModelWatch(deck.store, deck.ranking, HandModels(), base=OLD).look()
    assert (old.closed, new.closed) == (True, False)
    deck.ranking.close()
    assert new.closed


async def test_settings_that_name_another_file_are_obeyed_at_once() -> None:
    models = HandModels()
    models.files = {OLD: HandModel("m-1"), NEXT: HandModel("m-3", first="i3")}
    deck = await deck_with(Trial(OLD, OLD, NEW, Phase.SHADOW), ranking_with())
    await ModelWatch(deck.store, deck.ranking, models, base=NEXT).look()
    (one,) = await deck.offers.suggest(BARKEEPER, KIRA)
    assert one.item.id == "i3"


async def test_a_newer_program_s_model_takes_the_place_of_the_older_one_and_of_no_release() -> None:
    for trial, shown, phase in [
        (Trial(), NEXT, Phase.WATCH),  # from before any model shipped
        (Trial(OLD, OLD), NEXT, Phase.WATCH),
        (Trial(OLD, OLD, "", Phase.WATCH), NEXT, Phase.WATCH),
        (Trial(OLD, refused=(OLD,)), NEXT, Phase.WATCH),  # the older one did worse than popularity
        (Trial(OLD, OLD, NEW, Phase.SHADOW), NEXT, Phase.SHADOW),  # it is tried anew, beside what is shown now
        (Trial(OLD, NEW), NEW, Phase.NONE),
        (Trial("", NEW), NEW, Phase.NONE),
        (Trial(OLD, NEW, OLD, Phase.WATCH), NEW, Phase.NONE),  # what it was compared with is gone
    ]:
        models = HandModels()
        models.files = {NEW: HandModel("m-2"), NEXT: HandModel("m-3")}
        deck = await deck_with(trial, ranking_with())
        if trial.phase is Phase.SHADOW:
            await released(deck, release())
        await ModelWatch(deck.store, deck.ranking, models, base=NEXT, ships=True).look()
        after = await trial_of(deck)
        assert (after.base, after.shown, after.phase) == (NEXT, shown, phase)
        assert after.phase is not Phase.WATCH or after.other == POPULARITY


async def test_the_model_that_ships_goes_by_itself_where_popularity_does_better() -> None:
    """Guests take what popularity puts first, and the model says otherwise: on a ship with other words, perhaps."""
    models = HandModels()
    models.files = {OLD: HandModel("m-1", first="i4", chance=0.9)}
    deck = await deck_with(Trial(), ranking_with())
    watch = ModelWatch(deck.store, deck.ranking, models, base=OLD, ships=True)
    await watch.look()
    deck.offers._entropy = Draws(3)
    for ref in await guests(deck, 250):
        for one in await deck.offers.suggest(BARKEEPER, ref):
            answer = Answer.NOT_NOW if one.item.id == "i4" else Answer.ACCEPT
            await deck.offers.answer(BARKEEPER, one.offer, answer)
        if (await trial_of(deck)).phase is Phase.NONE:
            break
    after = await trial_of(deck)
    assert (after.base, after.shown, after.phase, after.refused) == (OLD, POPULARITY, Phase.NONE, (OLD,))
    await watch.look()
    await watch.look()
    assert (await trial_of(deck), set(deck.ranking.loaded())) == (after, set())


async def test_a_damaged_model_that_ships_may_be_put_right() -> None:
    models = HandModels()
    models.files = {OLD: ModelRefused("damaged")}
    deck = await deck_with(Trial(), ranking_with())
    watch = ModelWatch(deck.store, deck.ranking, models, base=OLD, ships=True)
    await watch.look()
    assert set(deck.ranking.loaded()) == set()
    models.files[OLD] = HandModel("m-1")
    await watch.look()
    assert (set(deck.ranking.loaded()), (await trial_of(deck)).refused) == ({OLD}, ())


async def test_a_release_that_this_program_cannot_use_gives_way_to_the_model_that_ships() -> None:
    for trial in (Trial(OLD, NEW), Trial(OLD, NEW, NEXT, Phase.SHADOW)):
        models = HandModels()
        models.files = {OLD: HandModel("m-1", first="i2"), NEW: ModelRefused("other features")}
        deck = await deck_with(trial, ranking_with())
        await released(deck, release())
        watch = ModelWatch(deck.store, deck.ranking, models, base=OLD, ships=True)
        await watch.look()
        await watch.look()
        after = await trial_of(deck)
        assert (after.shown, after.phase, after.why) == (OLD, Phase.NONE, "bad_file")
        assert NEW in after.refused
        assert set(deck.ranking.loaded()) == {OLD}
    models.files[OLD] = ModelRefused("damaged")
    deck = await deck_with(Trial(OLD, OLD), ranking_with())
    await ModelWatch(deck.store, deck.ranking, models, base=OLD, ships=True).look()
    assert (await trial_of(deck)) == Trial(OLD, OLD)  # there is nothing to fall back to but popularity


# with real files


async def test_the_inverted_release_is_found_out_and_goes(tmp_path: Path) -> None:
    """The tiny model is shown, the same one backwards is released. Guests like what the tiny model ranks first."""
    ranking = Ranking(PopularityRanker(), RankingSettings(60, BOUNDS))
    deck = await Deck(ranking=ranking).aboard()
    bar = [one for one in catalogue() if one.outlet == "bar"][:8] or list(catalogue()[:8])
    await deck.stock(*(item(one.id, tags=one.tags, category=one.category) for one in bar))
    for path in (TINY, INVERTED):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tiny, inverted = hash_file(TINY), hash_file(INVERTED)
    watch = ModelWatch(deck.store, ranking, FolderModels(tmp_path), base=tiny)
    await released(deck, ModelRelease("preference", "2", inverted, INVERTED.stat().st_size, ""))
    await watch.look()
    assert set(ranking.loaded()) == {tiny, inverted}
    deck.offers._entropy = Draws(3)
    taste = model()
    draw = random.Random(4)
    for ref in await guests(deck, 250):
        for one in await deck.offers.suggest(BARKEEPER, ref):
            wanted = (await watched(taste, deck, ref))[:3]
            takes = one.item.id in wanted and draw.random() < 0.8
            await deck.offers.answer(BARKEEPER, one.offer, Answer.ACCEPT if takes else Answer.NOT_NOW)
        if (await trial_of(deck)).phase is Phase.NONE:
            break
    taste.close()
    trial = await trial_of(deck)
    assert (trial.shown, trial.phase, trial.refused) == (tiny, Phase.NONE, (inverted,))
    await watch.look()
    assert set(ranking.loaded()) == {tiny}
    ranking.close()


async def watched(taste: Any, deck: Deck, ref: GuestRef) -> list[str]:
    orders = await deck.offers.orders(BARKEEPER, GuestRef("f" * 16), deck.clock.unix_s)
    assert orders.shown is None  # nobody: popularity
    request, _ = await deck.offers._requests.make(BARKEEPER, ref, deck.clock.unix_s)
    return [one.item for one in taste.rank_now(request).scored]
