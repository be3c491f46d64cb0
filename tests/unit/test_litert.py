"""The model on the gateway: real files through a real runtime, and every file that must not get there."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.modelkit import FOLDER, INVERTED, TINY, catalogue, model, past, request

from steward.adapters import litert, modelfolder
from steward.adapters.litert import BUCKETS, COMPARING_MAX, WAITING_MAX, LitertModel
from steward.adapters.modelfolder import FolderModels, hash_file, open_model
from steward.domain.catalogue import Item, ItemId
from steward.domain.features import FEATURES_ID, MOMENT_SLICES, PAST_NAMES, Deed, Signal, item_vector
from steward.domain.modelfile import INPUTS, MARK, pack, unpack
from steward.errors import Busy, ModelRefused, RankerFailed
from steward.ports.service import RankRequest


@pytest.fixture(scope="module")
def tiny() -> Iterator[LitertModel]:
    made = model()
    yield made
    made.close()


def test_the_order_is_the_one_of_the_files_own_numbers(tiny: LitertModel) -> None:
    """Beside the same products in floats, item by item, through an interpreter of the test's own."""
    ranked = tiny.rank_now(request())
    assert {one.item for one in ranked.scored} == {item.id for item in catalogue()}
    assert [(-one.score, one.item) for one in ranked.scored] == sorted((-one.score, one.item) for one in ranked.scored)
    manifest, network = unpack(TINY.read_bytes())
    run: Any = litert.find_runtime()
    bare = run.Interpreter(
        model_content=network,
        num_threads=1,
        experimental_op_resolver_type=run.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    out = bare.get_signature_runner()(**tiny.inputs(request()))
    query = (out["query"][0].astype(float) - manifest.query.zero) * manifest.query.scale
    vectors = (out["vectors"].astype(float) - manifest.vectors.zero) * manifest.vectors.scale
    logit = (out["take"][:, 0].astype(float) - manifest.take.zero) * manifest.take.scale
    scores = {one.item: one.score for one in ranked.scored}
    for place, item in enumerate(catalogue()):
        assert scores[item.id] == pytest.approx(vectors[place] @ query / manifest.shape.members)
        assert ranked.chances[item.id] == pytest.approx(1 / (1 + np.exp(-logit[place])))
    assert ranked.ranker == "preference-tiny-1"


def test_the_same_request_gives_the_same_bits_whatever_ran_before(tiny: LitertModel) -> None:
    first = tiny.rank_now(request())
    tiny.rank_now(request(history=(), items=catalogue()[:40]))
    assert tiny.rank_now(request()) == first
    again = model()
    assert again.rank_now(request(items=catalogue()[::-1])) == first
    again.close()


def test_the_inverted_file_is_the_worst_there_can_be(tiny: LitertModel) -> None:
    bad = model(INVERTED)
    here, there = tiny.rank_now(request()), bad.rank_now(request())
    bad.close()
    tops = [one.item for one in here.scored[:10]]
    assert set(tops) == {one.item for one in there.scored[-10:]}


@pytest.mark.parametrize("count", [0, 1, 2, BUCKETS[0], BUCKETS[0] + 1, 500, 3000, 10_000])
def test_any_number_of_items(tiny: LitertModel, count: int) -> None:
    items = many(count)
    ranked = tiny.rank_now(
        request(items=items, catalogue={item.id: item for item in (*items, *catalogue())}, version=9)
    )
    assert [one.item for one in ranked.scored] != [] or count == 0
    assert sorted(one.item for one in ranked.scored) == sorted(item.id for item in items)
    alone = {one.item: one.score for one in tiny.rank_now(request()).scored}
    for one in ranked.scored:
        if one.item.startswith("copy0."):  # padding and neighbours change nothing: a known item scores as ever
            continue
        if one.item in alone:
            assert one.score == alone[one.item]


def many(count: int) -> list[Item]:
    """The catalogue's items first, then copies that no model has seen."""
    known = catalogue()
    return [
        known[n] if n < len(known) else replace(known[n % len(known)], id=ItemId(f"copy{n // len(known)}.{n}"))
        for n in range(count)
    ]


def test_more_than_the_largest_bucket_is_refused(tiny: LitertModel) -> None:
    with pytest.raises(RankerFailed, match="10241 items"):
        tiny.rank_now(request(items=many(BUCKETS[-1] + 1)))


def test_an_item_that_was_never_trained_on_is_ranked_by_its_features(tiny: LitertModel) -> None:
    new = replace(catalogue()[0], id=ItemId("opened-today"))
    given = tiny.inputs(request(items=[new], catalogue={new.id: new}, version=77, history=()))
    assert given["item_index"].tolist() == [0]
    assert given["items"][0].tolist() == np.rint(np.array(item_vector(new)) * 127).tolist()


def test_ten_thousand_deeds_are_the_last_two_dozen(tiny: LitertModel) -> None:
    long = [past(n % 60, 10_000 - n) for n in range(9_999)]
    for name, values in tiny.inputs(request(history=long)).items():
        assert (values == tiny.inputs(request(history=long[-24:]))[name]).all()
    assert tiny.rank_now(request(history=long)) == tiny.rank_now(request(history=long[-24:]))


# what a guest switched off


@pytest.mark.parametrize("signal", list(Signal))
def test_a_signal_that_is_off_is_in_none_of_the_tensors(tiny: LitertModel, signal: Signal) -> None:
    asked = request()
    assert asked.moment is not None
    on = tiny.inputs(asked)
    off = tiny.inputs(replace(asked, moment=replace(asked.moment, off=frozenset({signal}))))
    if signal in MOMENT_SLICES:
        where = MOMENT_SLICES[signal]
        assert not off["moment"][0, where].any()
        assert on["moment"][0, where].any() or signal in (Signal.COMPANY, Signal.WEATHER)  # not known in this request
        past_too = {Signal.HOUR: ("hour_sin", "hour_cos"), Signal.PLACE: ("here",)}.get(signal, ())
        for column in (PAST_NAMES.index(name) for name in past_too):
            assert on["past"][0, -4:, column].any()
            assert not off["past"][0, :, column].any()
        kept = [name for name in INPUTS if name not in ("moment", "past")]
        others = [place for place, name in enumerate(PAST_NAMES) if name not in past_too]
        assert (on["past"][..., others] == off["past"][..., others]).all()
    else:
        gone = {Signal.HISTORY: 3, Signal.ANSWERS: 1}[signal]
        assert (on["past"].any(axis=2).sum(), off["past"].any(axis=2).sum()) == (4, 4 - gone)
        assert (off["past_index"] > 0).sum() == 4 - gone == off["past_items"].any(axis=2).sum()
        kept = ["moment", "item_index", "items"]
    for name in kept:
        assert (on[name] == off[name]).all()


def test_with_everything_off_it_is_the_same_for_everybody(tiny: LitertModel) -> None:
    asked = request()
    assert asked.moment is not None
    off = replace(asked.moment, off=frozenset(Signal))
    mine = tiny.rank_now(replace(asked, moment=off))
    other = replace(off, minute=3, weekday=6, shown=20, accepted=0, day_of_stay=9)
    assert tiny.rank_now(replace(asked, moment=other, history=(past(7, 1, Deed.WRONG),))) == mine


# what is asked many times over, to explain one order


@pytest.mark.parametrize("count", [1, 40, 500])
def test_what_is_weighed_again_is_what_would_be_ranked_to_the_last_bit(tiny: LitertModel, count: int) -> None:
    items = many(count)
    asked = request(items=items, catalogue={item.id: item for item in (*items, *catalogue())}, version=100 + count)
    assert asked.moment is not None
    others = [
        asked,
        *(replace(asked, moment=replace(asked.moment, off=frozenset({signal}))) for signal in Signal),
        replace(asked, history=asked.history[1:]),
        replace(asked, history=()),
        replace(asked, moment=replace(asked.moment, minute=90, now_s=asked.moment.now_s + 7 * 3600)),
    ]
    weighed = [tiny.weigh_now(other) for other in others]  # before any of it was ranked
    assert weighed == [tiny.rank_now(other).scored for other in others]
    assert len({tuple(one.item for one in order) for order in weighed}) > 1 or count == 1
    assert tiny.weigh_now(replace(asked, items=[])) == []


async def test_comparisons_run_in_the_models_thread_and_only_so_many_wait() -> None:
    made, go = model(), threading.Event()
    seen = set()

    def work(weigh: Any) -> str:
        seen.add(threading.get_ident())
        assert go.wait(30)
        return str(weigh(request())[0].item)

    waiting = [asyncio.create_task(made.compare(work)) for _ in range(COMPARING_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await made.compare(work)
    go.set()
    first = (await made.rank(request())).scored[0].item
    assert set(await asyncio.gather(*waiting)) == {first}
    assert made._waiting == made._comparing == 0
    assert len(seen) == 1
    assert threading.get_ident() not in seen
    made.close()
    with pytest.raises(RankerFailed, match="closed"):
        await made.compare(work)


async def test_a_ranking_goes_between_two_requests_of_a_comparison() -> None:
    made, begun, go = model(), threading.Event(), threading.Event()
    after = list[bool]()

    def work(weigh: Any) -> None:
        begun.set()
        assert go.wait(30)
        weigh(request(history=()))
        after.append(not made._asked)

    compared = [asyncio.create_task(made.compare(work)) for _ in range(2)]
    await asyncio.to_thread(begun.wait, 30)
    ranked = [asyncio.create_task(made.rank(request())) for _ in range(WAITING_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await made.rank(request())
    go.set()
    assert len({tuple(one.scored) for one in await asyncio.gather(*ranked)}) == 1
    await asyncio.gather(*compared)
    assert after == [True, True]
    assert made._waiting == 0
    made.close()


async def test_a_request_that_cannot_be_ranked_harms_no_other() -> None:
    made = model()
    bad = request(catalogue={})  # the items of its history are not in it
    good = [asyncio.create_task(made.rank(request())) for _ in range(2)]
    with pytest.raises(RankerFailed):
        await made.rank(bad)
    assert len(await asyncio.gather(*good)) == 2
    assert (await made.rank(request())).scored
    made.close()


async def test_what_waits_when_the_model_is_closed_is_told_so() -> None:
    made, begun, go = model(), threading.Event(), threading.Event()

    def work(weigh: Any) -> int:
        begun.set()
        assert go.wait(30)
        return len(weigh(request()))

    running = asyncio.create_task(made.compare(work))
    await asyncio.to_thread(begun.wait, 30)
    compared, ranked = asyncio.create_task(made.compare(work)), asyncio.create_task(made.rank(request()))
    await asyncio.sleep(0)
    made.close()
    go.set()
    assert await running == len(catalogue())
    for waits in (compared, ranked):
        with pytest.raises(RankerFailed, match="closed"):
            await waits


# the thread


async def test_it_runs_in_one_thread_of_its_own() -> None:
    made = model()
    seen: set[int] = set()
    plain = made.rank_now

    def watched(asked: RankRequest) -> Any:
        seen.add(threading.get_ident())
        return plain(asked)

    made.rank_now = watched  # type: ignore[method-assign]
    await asyncio.gather(*(made.rank(request()) for _ in range(WAITING_MAX)))
    assert len(seen) == 1
    assert threading.get_ident() not in seen
    made.close()


async def test_a_queue_of_large_catalogues_is_full_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    made, begun, go = model(), threading.Event(), threading.Event()
    count = len(request().items)
    monkeypatch.setattr(litert, "WAITING_ITEMS_MAX", 3 * count - 1)

    def work(_: Any) -> None:
        begun.set()
        assert go.wait(30)

    compared = asyncio.create_task(made.compare(work))
    await asyncio.to_thread(begun.wait, 30)
    ranked = [asyncio.create_task(made.rank(request())) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Busy, match=f"2 requests of {2 * count} items"):
        await made.rank(request())
    go.set()
    await asyncio.gather(compared, *ranked)
    assert made._waiting_items == 0
    assert (await made.rank(request())).scored
    made.close()


async def test_a_full_queue_is_busy_and_drains() -> None:
    made, gate = model(), threading.Event()
    plain = made.rank_now

    def slow(asked: RankRequest) -> Any:
        gate.wait(60)
        return plain(asked)

    made.rank_now = slow  # type: ignore[method-assign]
    waiting = [asyncio.ensure_future(made.rank(request())) for _ in range(WAITING_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await made.rank(request())
    waiting[0].cancel()  # whoever gives up does not free the place before the work is done
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await made.rank(request())
    gate.set()
    done = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(isinstance(one, BaseException) for one in done) == 1
    assert (await made.rank(request())).scored
    made.close()
    with pytest.raises(RankerFailed, match="closed"):
        await made.rank(request())


# files that must not get there


def repacked(**changes: Any) -> bytes:
    manifest, network = unpack(TINY.read_bytes())
    return pack(replace(manifest, **changes), network)


def other_network(edit: Callable[[bytes], bytes]) -> bytes:
    manifest, network = unpack(TINY.read_bytes())
    changed = edit(network)
    return pack(replace(manifest, network_sha256=hashlib.sha256(changed).hexdigest()), changed)


def with_form(form: int) -> bytes:
    raw = TINY.read_bytes()
    start = len(MARK) + 4
    end = start + int.from_bytes(raw[len(MARK) : start], "big")
    body = json.dumps({**json.loads(raw[start:end]), "form": form}).encode()
    return MARK + len(body).to_bytes(4, "big") + body + raw[end:]


def _shape(**changes: int) -> Any:
    return replace(unpack(TINY.read_bytes())[0].shape, **changes)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: b"", "no mark"),
        (lambda: b"TFL3" * 100, "no mark"),
        (lambda: TINY.read_bytes()[:40], "within the manifest"),
        (lambda: TINY.read_bytes()[:-1], "hash is not the manifest's"),
        (lambda: TINY.read_bytes() + b"\x00", "hash is not the manifest's"),
        (lambda: TINY.read_bytes().replace(b"tiny-1", b'ti"y-1'), "no JSON"),
        (lambda: with_form(2), "not of form 1"),
        (lambda: repacked(features_id="0" * 64), "trained with features 000000000000"),
        (lambda: repacked(portable=False), "for measuring, not for a gateway"),
        (lambda: repacked(shape=_shape(history=23)), "sizes"),
        (lambda: repacked(shape=_shape(item=9)), "sizes"),
        (lambda: repacked(shape=_shape(query=32)), "query is of another shape"),
        (lambda: repacked(query=replace(unpack(TINY.read_bytes())[0].query, zero=1)), "query is of another scale"),
        (lambda: repacked(take=replace(unpack(TINY.read_bytes())[0].take, scale=0.5)), "take is of another scale"),
        (lambda: repacked(items=(*unpack(TINY.read_bytes())[0].items, "one-more")), "does not run"),
        (lambda: other_network(lambda raw: b"\x00" * len(raw)), "does not run"),
        (lambda: other_network(lambda raw: raw[:200]), "does not run"),
        (lambda: other_network(lambda raw: raw.replace(b"past_index", b"pass_index")), "inputs and outputs"),
    ],
)
def test_a_file_that_is_not_right_is_refused_with_its_reason(
    make: Callable[[], bytes], why: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.model"
    path.write_bytes(make())
    before = threading.active_count()
    with pytest.raises(ModelRefused, match=why):
        open_model(path, hash_file(path), None)
    assert threading.active_count() == before


@pytest.mark.parametrize(("sha256", "size"), [("0" * 64, None), (None, 5), (None, 0)])
def test_what_was_not_signed_is_not_even_unpacked(
    sha256: str | None, size: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked: list[bytes] = []
    monkeypatch.setattr(modelfolder, "unpack", unpacked.append)
    with pytest.raises(ModelRefused, match="that were signed"):
        open_model(TINY, sha256 or hash_file(TINY), size)
    assert unpacked == []


async def test_files_are_known_by_their_hash_whatever_their_name(tmp_path: Path) -> None:
    models, sha256 = FolderModels(tmp_path), hash_file(TINY)
    assert not await models.here(sha256)
    with pytest.raises(ModelRefused, match="put that one there"):
        await models.load(sha256, None)
    file = tmp_path / "from a stick.model"
    file.write_bytes(TINY.read_bytes()[:-9])  # half copied
    assert not await models.here(sha256)
    file.write_bytes(TINY.read_bytes())
    assert await models.here(sha256)
    made = await models.load(sha256, TINY.stat().st_size)
    assert made.version == "preference-tiny-1"
    made.close()
    file.unlink()
    assert not await models.here(sha256)
    assert not await FolderModels(tmp_path / "gone").here(sha256)
    assert await FolderModels(None, TINY).here(sha256)


async def test_without_a_runtime_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litert, "_RUNTIMES", ("steward.no_such_runtime",))
    with pytest.raises(ModelRefused, match="pip install"):
        FolderModels(tmp_path)


def test_the_test_files_fit_this_program() -> None:
    """If not: run tests/models/make_tiny_model.py."""
    for path in (TINY, INVERTED):
        manifest, _ = unpack(path.read_bytes())
        assert manifest.features_id == FEATURES_ID
        assert manifest.items == tuple(item.id for item in catalogue())
        assert "made up" in manifest.licence
    assert {path.name for path in FOLDER.iterdir()} == {"tiny.model", "inverted.model", "catalogue.json"}
