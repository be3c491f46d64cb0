"""A preference model on this machine: one file, checked whole, run as int8 in a thread of its own.

Runs with ai-edge-litert, or with tflite-runtime where that is what there is (`find_runtime` is the only seam). Without
the default delegate both give the same bits (domain/modelfile.py says which operators that holds for), so a decision
can be computed again elsewhere. Interest in an item is an exact whole number: sum of (query - zero) * (vector - zero).
"""

from __future__ import annotations

import asyncio
import importlib
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from steward.domain.catalogue import Item, ItemId
from steward.domain.features import (
    HISTORY_LEN,
    ITEM_NAMES,
    MOMENT_NAMES,
    PAST_NAMES,
    item_vector,
    moment_vector,
    past_vector,
    visible_past,
)
from steward.domain.modelfile import (
    INPUT_SCALE,
    INPUTS,
    OUTPUTS,
    UNKNOWN,
    Manifest,
    Scale,
    fits_gateway,
)
from steward.domain.offers import Reason, Scored
from steward.errors import Busy, ModelRefused, RankerFailed
from steward.ports.service import Model, Ranked, RankRequest, Weigh

BUCKETS = (1, 32, 128, 512, 2048, 10_240)  # candidates in one invoke: each size is laid out in memory once
WAITING_MAX = 64  # requests, the one that runs among them
WAITING_ITEMS_MAX = 8 * BUCKETS[-1]  # in all of them: none waits longer than a guest does, whatever the catalogue
COMPARING_MAX = 32  # whatever is asked of many requests, likewise
_SHELVES_MAX = 64  # a ship's outlets
_REASONS = (Reason("model"),)
_RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")

Int8s = NDArray[np.int8]
Wholes = NDArray[np.int32]
T = TypeVar("T")


class LitertModel:
    """One model. `rank` may be called from any task of one loop; the network runs in this model's own thread."""

    def __init__(self, manifest: Manifest, network: bytes, threads: int = 1) -> None:
        """Lays out the smallest bucket and runs it once. Raises ModelRefused."""
        _check_fit(manifest)
        self.version = f"preference-{manifest.version}"
        self._manifest = manifest
        self._rows = manifest.rows()
        self._chances = {stored: _chance(manifest.take, stored) for stored in range(-128, 128)}
        self._network, self._threads = network, threads
        self._plans: dict[int, _Plan] = {}
        self._vectors: dict[ItemId, Int8s] = {}
        self._shelves: list[_Shelf] = []
        self._vectors_of = -1  # the catalogue's version, for both
        self._asked: deque[tuple[RankRequest, Future[Ranked]]] = deque()
        self._waiting = self._waiting_items = 0
        self._comparing = 0
        self._closed = threading.Event()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="preference")
        try:
            self._warm()
        except ModelRefused:
            self.close()
            raise

    async def rank(self, request: RankRequest) -> Ranked:
        """Raises Busy if WAITING_MAX wait already, or requests with so many items as are WAITING_ITEMS_MAX with these.

        Raises RankerFailed if the network fails or the model is closed.
        """
        items = len(request.items)
        if self._waiting >= WAITING_MAX or self._waiting_items + items > WAITING_ITEMS_MAX:
            raise Busy(f"{self.version} has {self._waiting} requests of {self._waiting_items} items already")
        asked: Future[Ranked] = Future()
        self._begin(self._serve, (request, asked))
        self._waiting += 1
        self._waiting_items += items
        job = asyncio.wrap_future(asked)
        job.add_done_callback(partial(self._ranked, items))
        return await self._result(job)

    async def compare(self, work: Callable[[Weigh], T]) -> T:
        """Whoever is to be ranked meanwhile does not wait for it to end, but for one request of it at most.

        Raises Busy if COMPARING_MAX wait already, RankerFailed if the network fails or the model is closed.
        """
        if self._comparing >= COMPARING_MAX:
            raise Busy(f"{self.version} has {COMPARING_MAX} comparisons already")
        job = self._begin(partial(work, self._weigh_between))
        self._comparing += 1
        job.add_done_callback(self._compared)
        return await self._result(job)

    def rank_now(self, request: RankRequest) -> Ranked:
        """The same in this thread, one call at a time. Raises RankerFailed."""
        if not request.items:
            return Ranked(self.version, ())
        if len(request.items) > BUCKETS[-1]:
            raise RankerFailed(f"{len(request.items)} items, and {self.version} ranks {BUCKETS[-1]} at once")
        try:
            return self._rank(request)
        except (ValueError, RuntimeError) as error:
            raise RankerFailed(f"{self.version} failed: {error}") from error

    def weigh_now(self, request: RankRequest) -> list[Scored]:
        """The order of `rank_now` and its scores, in this thread. Raises RankerFailed.

        What a guest did and the moment change the query alone: items that were ranked before are not asked for again.
        """
        if not request.items:
            return []
        try:
            shelf = self._shelf(request)
            if shelf.found is None:
                self.rank_now(request)
            given = self.inputs(request)
            few = {name: given[name][:1] for name in ("item_index", "items")}
            query, _, _ = self._plan(1).run({**given, **few})
            return self._ordered(shelf, query)
        except (ValueError, RuntimeError) as error:
            raise RankerFailed(f"{self.version} failed: {error}") from error

    def close(self) -> None:
        """What runs is finished; what waits is let go."""
        self._closed.set()
        self._worker.shutdown(wait=False, cancel_futures=True)
        for _, waits in tuple(self._asked):
            waits.cancel()

    def inputs(self, request: RankRequest) -> dict[str, NDArray[Any]]:
        """The six tensors, as the network is given them but for the padding to a bucket."""
        shape, moment = self._manifest.shape, request.moment
        past_index = np.zeros((1, shape.history), np.int32)
        past_items = np.zeros((1, shape.history, shape.item), np.int8)
        past = np.zeros((1, shape.history, shape.past), np.int8)
        shelf = self._shelf(request)
        seen = () if moment is None else visible_past(request.history, moment.off)
        for back, deed in enumerate(reversed(seen), 1):
            past_index[0, -back] = self._rows.get(deed.item, UNKNOWN)
            past_items[0, -back] = self._vector(request.catalogue[deed.item])
            past[0, -back] = _int8(past_vector(deed, 0 if moment is None else moment.now_s))
        now = np.zeros((1, shape.moment), np.int8) if moment is None else _int8(moment_vector(moment))[None]
        return {
            "past_index": past_index,
            "past_items": past_items,
            "past": past,
            "moment": now,
            "item_index": shelf.index,
            "items": shelf.vectors,
        }

    def _rank(self, request: RankRequest) -> Ranked:
        given, shelf = self.inputs(request), self._shelf(request)
        query, shelf.found, take = self._plan(len(request.items)).run(given)
        chances = [self._chances[stored] for stored in take.tolist()]
        return Ranked(self.version, self._ordered(shelf, query), dict(zip(shelf.ids, chances, strict=True)))

    def _ordered(self, shelf: _Shelf, query: Int8s) -> list[Scored]:
        """The shelf's items by how well the query fits what the network has found of each."""
        assert shelf.found is not None
        of, ids = self._manifest, shelf.ids
        interest = self._interest(query, shelf.found)
        scores = (interest * (of.query.scale * of.vectors.scale / of.shape.members)).tolist()
        places = np.lexsort((shelf.alphabetical, -interest)).tolist()
        return [Scored(ids[place], scores[place], _REASONS) for place in places]

    def _interest(self, query: Int8s, vectors: Int8s) -> Wholes:
        of = self._manifest
        found: Wholes = (vectors.astype(np.int32) - of.vectors.zero) @ (query.astype(np.int32) - of.query.zero)
        return found

    def _shelf(self, request: RankRequest) -> _Shelf:
        """These items' inputs: made once for each list of items, as long as the catalogue is of one version."""
        if request.version != self._vectors_of:
            self._vectors, self._shelves, self._vectors_of = {}, [], request.version
        found = next((shelf for shelf in self._shelves if shelf.items is request.items), None)
        if found is None:
            found = _Shelf(
                items=request.items,
                ids=tuple(item.id for item in request.items),
                index=np.array([self._rows.get(item.id, UNKNOWN) for item in request.items], np.int32),
                vectors=np.stack([self._vector(item) for item in request.items]),
            )
            self._shelves = [*self._shelves[1 - _SHELVES_MAX :], found]
        return found

    def _vector(self, item: Item) -> Int8s:
        found = self._vectors.get(item.id)
        if found is None:
            found = self._vectors[item.id] = _int8(item_vector(item))
        return found

    def _plan(self, count: int) -> _Plan:
        bucket = next(size for size in BUCKETS if size >= count)
        if bucket not in self._plans:
            self._plans[bucket] = _Plan(self._manifest, self._network, bucket, self._threads)
        return self._plans[bucket]

    def _warm(self) -> None:
        """Run it once, with the highest row that the manifest names. Raises ModelRefused."""
        shape = self._manifest.shape
        try:
            self._plan(1).run({
                "past_index": np.full((1, shape.history), len(self._rows), np.int32),
                "past_items": np.zeros((1, shape.history, shape.item), np.int8),
                "past": np.zeros((1, shape.history, shape.past), np.int8),
                "moment": np.zeros((1, shape.moment), np.int8),
                "item_index": np.array([len(self._rows)], np.int32),
                "items": np.zeros((1, shape.item), np.int8),
            })  # fmt: skip
        except (ValueError, RuntimeError) as error:
            raise ModelRefused(f"{self.version}: the network does not run: {error}") from error

    def _begin(self, work: Callable[[], T], *asked: tuple[RankRequest, Future[Ranked]]) -> asyncio.Future[T]:
        """Raises RankerFailed."""
        if self._closed.is_set():
            raise RankerFailed(f"{self.version} is closed")
        self._asked.extend(asked)
        return asyncio.get_running_loop().run_in_executor(self._worker, work)

    def _serve(self) -> None:
        """Rank whatever waits. Of so many calls as there were requests, the last ones may find nothing left."""
        while self._asked:
            request, waits = self._asked.popleft()
            if not waits.set_running_or_notify_cancel():
                continue
            try:
                waits.set_result(self.rank_now(request))
            except RankerFailed as error:
                waits.set_exception(error)
            finally:
                if not waits.done():
                    waits.set_exception(RankerFailed(f"{self.version} failed on a request that cannot be ranked"))

    def _weigh_between(self, request: RankRequest) -> list[Scored]:
        self._serve()
        return self.weigh_now(request)

    async def _result(self, job: asyncio.Future[T]) -> T:
        """Whoever waits no more leaves the job to its end. Raises RankerFailed if it was let go."""
        job.add_done_callback(lambda one: one.cancelled() or one.exception())  # looked at, whoever is gone by then
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            if job.cancelled():
                raise RankerFailed(f"{self.version} was closed") from None
            raise

    def _ranked(self, items: int, job: asyncio.Future[Ranked]) -> None:
        self._waiting -= 1
        self._waiting_items -= items

    def _compared(self, job: asyncio.Future[Any]) -> None:
        self._comparing -= 1


@dataclass(eq=False)
class _Shelf:
    """A list of items as the network is given them. vectors (n, item). found (n, query): what it makes of each."""

    items: Sequence[Item]
    ids: tuple[ItemId, ...]
    index: Wholes
    vectors: Int8s
    found: Int8s | None = None

    @cached_property
    def alphabetical(self) -> NDArray[np.int64]:
        """Each one's place by id, for those of equal interest."""
        return np.argsort(np.argsort(np.array(self.ids), kind="stable"), kind="stable")


class _Plan:
    """The network laid out for one number of candidates; what is asked of fewer is padded with nothing."""

    def __init__(self, manifest: Manifest, network: bytes, bucket: int, threads: int) -> None:
        """Raises ModelRefused, ValueError, RuntimeError."""
        runtime = find_runtime()
        self._interpreter: Any = runtime.Interpreter(
            model_content=network,
            num_threads=threads,
            experimental_op_resolver_type=runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        self._at = _check_tensors(self._interpreter, manifest)
        self._index = np.zeros(bucket, np.int32)
        self._items = np.zeros((bucket, manifest.shape.item), np.int8)
        self._interpreter.resize_tensor_input(self._at["item_index"], self._index.shape)
        self._interpreter.resize_tensor_input(self._at["items"], self._items.shape)
        self._interpreter.allocate_tensors()

    def run(self, given: Mapping[str, NDArray[Any]]) -> tuple[Int8s, Int8s, Int8s]:
        """query (query,), vectors (n, query), take (n,). Raises ValueError, RuntimeError."""
        count, network = len(given["item_index"]), self._interpreter
        self._index[:count], self._index[count:] = given["item_index"], UNKNOWN
        self._items[:count], self._items[count:] = given["items"], 0
        for name in INPUTS[:4]:
            network.set_tensor(self._at[name], given[name])
        network.set_tensor(self._at["item_index"], self._index)
        network.set_tensor(self._at["items"], self._items)
        network.invoke()
        query, vectors, take = (network.get_tensor(self._at[name]) for name in OUTPUTS)
        return query[0], vectors[:count], take[:count, 0]


def find_runtime() -> Any:
    """Raises ModelRefused."""
    for name in _RUNTIMES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ModelRefused(
        "nothing here runs models: pip install steward-edge[models], or steward-edge[tflite-runtime] on an older board"
    )


def _check_fit(manifest: Manifest) -> None:
    """Raises ModelRefused."""
    if not fits_gateway(manifest):
        raise ModelRefused("a model for measuring, not for a gateway: its operators or its catalogue do not fit")
    shape = manifest.shape
    found = (shape.history, shape.item, shape.past, shape.moment)
    wanted = (HISTORY_LEN, len(ITEM_NAMES), len(PAST_NAMES), len(MOMENT_NAMES))
    if found != wanted:
        raise ModelRefused(f"the manifest's inputs are of sizes {found}, and this program's of {wanted}")


def _check_tensors(interpreter: Any, manifest: Manifest) -> dict[str, int]:
    """Where each input and output is. Raises ModelRefused: other names, shapes, types or scales than the manifest's."""
    signatures = interpreter.get_signature_list()
    if len(signatures) != 1:
        raise ModelRefused("the network has not the one signature that it should")
    run = interpreter.get_signature_runner(next(iter(signatures)))
    details = {**run.get_input_details(), **run.get_output_details()}
    if set(run.get_input_details()) != set(INPUTS) or set(run.get_output_details()) != set(OUTPUTS):
        raise ModelRefused(f"the network has other inputs and outputs than {', '.join((*INPUTS, *OUTPUTS))}")
    for name, (shape, dtype, scale) in _tensors(manifest).items():
        found = details[name]
        if tuple(found["shape_signature"]) != shape or found["dtype"] is not dtype:
            raise ModelRefused(f"the network's {name} is of another shape or type than the manifest says")
        if scale is not None and (np.float32(found["quantization"][0]), found["quantization"][1]) != scale:
            raise ModelRefused(f"the network's {name} is of another scale than the manifest says")
    return {name: int(found["index"]) for name, found in details.items()}


def _tensors(manifest: Manifest) -> dict[str, tuple[tuple[int, ...], type, tuple[np.float32, int] | None]]:
    """Shape (-1: any number of candidates), type and scale of each."""
    shape, given = manifest.shape, _told(Scale(INPUT_SCALE, 0))
    return {
        "past_index": ((1, shape.history), np.int32, None),
        "past_items": ((1, shape.history, shape.item), np.int8, given),
        "past": ((1, shape.history, shape.past), np.int8, given),
        "moment": ((1, shape.moment), np.int8, given),
        "item_index": ((-1,), np.int32, None),
        "items": ((-1, shape.item), np.int8, given),
        "query": ((1, shape.query), np.int8, _told(manifest.query)),
        "vectors": ((-1, shape.query), np.int8, _told(manifest.vectors)),
        "take": ((-1, 1), np.int8, _told(manifest.take)),
    }


def _chance(take: Scale, stored: int) -> float:
    """From the logit as it is stored; by tanh, which cannot overflow."""
    return 0.5 + 0.5 * math.tanh(take.scale * (stored - take.zero) / 2)


def _told(scale: Scale) -> tuple[np.float32, int]:
    return np.float32(scale.scale), scale.zero


def _int8(values: Sequence[float]) -> Int8s:
    """Values in [-1, 1] at INPUT_SCALE, zero point 0."""
    whole: Int8s = np.clip(np.rint(np.asarray(values, np.float32) / INPUT_SCALE), -128, 127).astype(np.int8)
    return whole


if TYPE_CHECKING:

    def _is_a_model(model: LitertModel) -> Model:
        return model
