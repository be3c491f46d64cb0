"""What is decided ashore: whole lists, signed, versions that only grow, the same thing twice is one decision."""

from __future__ import annotations

import random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tests.shore.kit import NOW_S, table

from steward.domain.batches import BadDown, DownMessage, open_down, sign_down
from steward.domain.catalogue import Hours, Item, ItemId
from steward.domain.consent import ConsentPurpose
from steward.domain.downs import ENTRIES_MAX, decode_deny, decode_freeze
from steward.domain.ids import GuestRef, OutletId, Uid
from steward.domain.profiles import AgeGroup, Allergen, Diet
from steward.domain.shorebodies import (
    CONSENTS_MAX,
    ConsentChange,
    ModelRelease,
    decode_catalogue,
    decode_consents,
    decode_releases,
    encode_catalogue,
    encode_consents,
    encode_releases,
    read_item,
)
from steward.domain.topics import CONSENT_KINDS, consent_kind
from steward.errors import NotFound, Refused
from steward.shore.decisions import (
    SAME_WORD_S,
    Signer,
    change_consent,
    deny,
    freeze,
    release_model,
    set_catalogue,
)
from steward.shore.downs import KEPT_PER_KIND, KEPT_PER_SHARD, issue, message_of, newest
from steward.shore.store import ShoreStore

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
ONE, TWO, THREE = (Uid(f"04{number:012X}") for number in (1, 2, 3))
ANNA = GuestRef("00000000000000aa")
MODEL = ModelRelease("preference", "2.1.0", "ab" * 32, 123_456, "https://models.example/p.tflite")


def signer(now_s: int = NOW_S) -> Signer:
    return Signer(KEY, "token office", now_s)


async def opened(store: ShoreStore, ship: str, kind: str) -> DownMessage:
    """The newest message of a kind, as a gateway opens it."""
    (issued,) = [line for line in await store.read(newest()) if (line.ship, line.kind) == (ship, kind)]
    message = open_down(await store.read(message_of(issued)), [PUBLIC])
    assert (message.ship, message.kind, message.version) == (ship, kind, issued.version)
    return message


async def test_a_list_grows_and_is_always_whole(store: ShoreStore) -> None:
    first = await store.write(deny(signer(), "aurora", [ONE], "stolen"))
    second = await store.write(deny(signer(), "aurora", [TWO, ONE], "lost"))
    assert first.new
    assert second.new
    assert second.issued.version > first.issued.version
    message = await opened(store, "aurora", "deny")
    assert decode_deny(message.body) == ((ONE, "stolen"), (TWO, "lost"))


async def test_a_full_list_still_takes_the_next_band(store: ShoreStore) -> None:
    many = [Uid(f"04{number:012X}") for number in range(ENTRIES_MAX)]
    await store.write(deny(signer(), "aurora", many, "stolen"))
    await store.write(freeze(signer(), "aurora", many, [], "lost"))
    late = Uid("04FFFFFFFFFFFF")
    assert (await store.write(deny(signer(), "aurora", [late], "stolen"))).new
    assert (await store.write(freeze(signer(), "aurora", [late], [ANNA], "lost"))).new
    denied = decode_deny((await opened(store, "aurora", "deny")).body)
    frozen = decode_freeze((await opened(store, "aurora", "freeze")).body)
    assert (denied[0], denied[-1], len(denied)) == ((many[1], "stolen"), (late, "stolen"), ENTRIES_MAX)
    assert (frozen.bands[-1], frozen.guests) == ((late, "lost"), ((ANNA, "lost"),))


async def test_the_same_decision_twice_is_one(store: ShoreStore) -> None:
    first = await store.write(freeze(signer(), "aurora", [ONE], [ANNA], "lost"))
    again = await store.write(freeze(signer(NOW_S + 99), "aurora", [ONE], [ANNA], "stolen"))
    assert (again.issued, again.new) == (first.issued, False)
    body = decode_freeze((await opened(store, "aurora", "freeze")).body)
    assert (body.bands, body.guests) == (((ONE, "lost"),), ((ANNA, "lost"),))


async def test_versions_grow_whatever_the_clock_does(store: ShoreStore) -> None:
    versions = []
    for number, now_s in enumerate((NOW_S, NOW_S, NOW_S - 5000, NOW_S + 5000)):
        decided = await store.write(deny(signer(now_s), "aurora", [Uid(f"04{number:012X}")], "stolen"))
        versions.append(decided.issued.version)
    assert versions == [NOW_S, NOW_S + 1, NOW_S + 2, NOW_S + 5000]


async def test_a_store_that_forgot_goes_on_above_what_ships_have(store: ShoreStore) -> None:
    before = await store.write(deny(signer(), "aurora", [ONE], "stolen"))
    await store.write(table("DELETE FROM down RETURNING version"))
    after = await store.write(deny(signer(NOW_S + 60), "aurora", [TWO], "stolen"))
    assert after.issued.version > before.issued.version


async def test_ships_and_kinds_have_versions_of_their_own(store: ShoreStore) -> None:
    await store.write(deny(signer(), "aurora", [ONE], "stolen"))
    await store.write(release_model(signer(), "aurora", MODEL))
    assert [(line.kind, line.version) for line in await store.read(newest())] == [("deny", NOW_S), ("release", NOW_S)]


async def test_a_model_takes_the_place_of_the_one_of_its_name(store: ShoreStore) -> None:
    other = ModelRelease("ranking", "1.0", "cd" * 32, 1, "")
    newer = ModelRelease("preference", "2.2.0", "ef" * 32, 2, "")
    for release in (MODEL, other, newer):
        await store.write(release_model(signer(), "aurora", release))
    assert decode_releases((await opened(store, "aurora", "release")).body) == (newer, other)


def said(given: bool, at_s: int = NOW_S, guest: GuestRef = ANNA, purpose: str = "suggestions") -> ConsentChange:
    return ConsentChange(guest, purpose, given, at_s)


async def heard(store: ShoreStore, kind: str) -> tuple[ConsentChange, ...]:
    return decode_consents((await opened(store, "aurora", kind)).body)


async def test_the_newest_word_on_a_purpose_counts(store: ShoreStore) -> None:
    for change in (said(True), said(True), said(False, NOW_S + 1), said(True, purpose="photo")):
        await store.write(change_consent(signer(), "aurora", change))
    assert set(await heard(store, consent_kind(ANNA))) == {said(False, NOW_S + 1), said(True, purpose="photo")}


async def test_the_same_word_sent_twice_is_one_and_said_again_later_it_counts_anew(store: ShoreStore) -> None:
    first = await store.write(change_consent(signer(), "aurora", said(False)))
    twice = await store.write(change_consent(signer(), "aurora", said(False, NOW_S + SAME_WORD_S - 1)))
    later = await store.write(change_consent(signer(), "aurora", said(False, NOW_S + SAME_WORD_S)))
    assert (twice.new, twice.issued, later.new) == (False, first.issued, True)
    assert await heard(store, consent_kind(ANNA)) == (said(False, NOW_S + SAME_WORD_S),)


async def test_a_clock_put_back_makes_no_word_older_than_the_one_before(store: ShoreStore) -> None:
    await store.write(change_consent(signer(), "aurora", said(True)))
    await store.write(change_consent(signer(), "aurora", said(False, NOW_S - 9_000)))
    assert await heard(store, consent_kind(ANNA)) == (said(False, NOW_S + 1),)


async def test_a_change_sends_one_shard_and_a_full_one_lets_the_oldest_word_go(store: ShoreStore) -> None:
    elsewhere = GuestRef("f" * 16)
    await store.write(change_consent(signer(), "aurora", said(True, guest=elsewhere)))
    crowd = [said(True, NOW_S - n, GuestRef(f"{n << 8:016x}")) for n in range(1, CONSENTS_MAX + 1)]
    kind = consent_kind(ANNA)
    assert {consent_kind(change.guest) for change in crowd} == {kind}
    await store.write(issue(KEY, "aurora", kind, encode_consents(crowd), NOW_S, "test"))
    assert (await store.write(change_consent(signer(), "aurora", said(False)))).issued.kind == kind
    now = await heard(store, kind)
    assert (len(now), now[-1], crowd[-1] in now, crowd[-2] in now) == (CONSENTS_MAX, said(False), False, True)
    assert await heard(store, consent_kind(elsewhere)) == (said(True, guest=elsewhere),)


def test_ten_thousand_guests_with_every_purpose_fit_with_room() -> None:
    rng = random.Random(5)
    shards: dict[str, list[ConsentChange]] = {}
    for _ in range(10_000):
        ref = GuestRef(rng.randbytes(8).hex())
        words = [said(rng.random() < 0.5, NOW_S + n, ref, purpose) for n, purpose in enumerate(ConsentPurpose)]
        shards.setdefault(consent_kind(ref), []).extend(words)
    assert set(shards) == set(CONSENT_KINDS)
    for kind, words in shards.items():
        message = sign_down(DownMessage("aurora", kind, 1, NOW_S, encode_consents(words)), KEY)
        assert decode_consents(open_down(message, [PUBLIC]).body) == tuple(words)
        assert len(message) < 48_000


def test_a_shard_that_is_full_is_still_a_message() -> None:
    words = [said(True, 2**39, GuestRef(f"{n:016x}")) for n in range(CONSENTS_MAX)]
    assert sign_down(DownMessage("aurora", "consent-00", 1, NOW_S, encode_consents(words)), KEY)
    with pytest.raises(ValueError, match="4096"):
        encode_consents([*words, said(True, guest=GuestRef("e" * 16))])


async def test_few_versions_of_a_shard_are_kept(store: ShoreStore) -> None:
    for number in range(KEPT_PER_SHARD + 3):
        await store.write(change_consent(signer(NOW_S + number), "aurora", said(number % 2 == 0, NOW_S + number)))
    assert await store.read(table("SELECT count(*) FROM down")) == [(KEPT_PER_SHARD,)]


async def test_what_no_ship_would_take_is_refused_and_leaves_nothing(store: ShoreStore) -> None:
    with pytest.raises(NotFound):
        await store.write(deny(signer(), "boreal", [ONE], "stolen"))
    with pytest.raises(Refused):
        await store.write(deny(signer(), "aurora", [Uid("nonsense")], "stolen"))
    with pytest.raises(Refused):
        await store.write(deny(signer(), "aurora", [Uid(f"04{n:012X}") for n in range(4001)], "stolen"))
    with pytest.raises(Refused):
        await store.write(freeze(signer(), "aurora", [ONE], [], "Not A Code"))
    with pytest.raises(Refused):
        await store.write(issue(KEY, "aurora", "gossip", b"", NOW_S, "test"))
    with pytest.raises(Refused):
        await store.write(issue(KEY, "aurora", "release", bytes(300_000), NOW_S, "test"))
    assert await store.read(newest()) == []


async def test_old_versions_are_forgotten(store: ShoreStore) -> None:
    for number in range(KEPT_PER_KIND + 5):
        await store.write(issue(KEY, "aurora", "release", b"%d" % number, NOW_S, "test"))
    rows = await store.read(table("SELECT count(*), min(version), max(version) FROM down"))
    assert rows == [(KEPT_PER_KIND, NOW_S + 5, NOW_S + KEPT_PER_KIND + 4)]


ITEM = Item(
    id=ItemId("cider"),
    outlet=OutletId("pool-bar"),
    titles={"en": "Cider", "nb": "Sider"},
    category="drink",
    tags=("cold",),
    allergens=(Allergen.SULPHITES,),
    suits=(Diet.VEGAN,),
    price_minor=650,
    currency="EUR",
    min_age_group=AgeGroup.ADULT,
    hours=(Hours(600, 60),),
    edible=True,
)


async def test_a_catalogue_arrives_as_it_was_written(store: ShoreStore) -> None:
    await store.write(set_catalogue(signer(), "aurora", [ITEM]))
    assert decode_catalogue((await opened(store, "aurora", "catalogue")).body) == (ITEM,)
    assert not (await store.write(set_catalogue(signer(), "aurora", [ITEM]))).new


@pytest.mark.parametrize(
    "change",
    [
        {"id": "Not Code"},
        {"titles": {"nb": "Sider"}},
        {"titles": {"en": 5}},
        {"titles": []},
        {"price_minor": -1},
        {"price_minor": 1.5},
        {"price_minor": True},
        {"currency": "eur"},
        {"allergens": ["asbestos"]},
        {"suits": "vegan"},
        {"hours": [[1, 2, 3]]},
        {"hours": [["a", "b"]]},
        {"edible": False},
        {"edible": "yes"},
        {"min_age_group": "elder"},
        {"outlet": "../x"},
        {"surprise": 1},
        {"category": None},
    ],
)
def test_an_item_that_cannot_be_is_named(change: dict[str, object]) -> None:
    fields: dict[str, object] = {
        **{"id": "cider", "outlet": "pool-bar", "titles": {"en": "Cider"}, "category": "drink", "tags": []},
        **{"allergens": ["sulphites"], "suits": [], "price_minor": 650, "currency": "EUR", "edible": True},
    }
    assert read_item(fields).price_minor == 650
    with pytest.raises(BadDown, match="item"):
        read_item(fields | change)


def test_an_item_twice_is_refused() -> None:
    with pytest.raises(BadDown, match="twice"):
        encode_catalogue([ITEM, ITEM])


@given(st.binary(max_size=200))
def test_junk_is_refused_and_nothing_else(junk: bytes) -> None:
    for decode in (decode_catalogue, decode_consents, decode_releases):
        try:
            decoded = decode(junk)
        except BadDown:
            continue
        assert decoded == ()


def test_what_would_not_be_read_is_not_written() -> None:
    with pytest.raises(ValueError, match="release"):
        encode_releases([ModelRelease("preference", "1", "ab" * 32, 1, "http://plain.example")])
    with pytest.raises(ValueError, match="consent"):
        encode_consents([ConsentChange(ANNA, "Not A Code", True, NOW_S)])
    with pytest.raises(ValueError):
        encode_releases([ModelRelease("preference", "1", "zz", 1, "")])
