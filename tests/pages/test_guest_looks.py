"""Who looked me up: every row, never a crew member, each with a proof that holds; and nobody else's rows."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from tests.pages.guestkit import Wearer, phone, wearer
from tests.pages.pagekit import BAR, DESK, PageShip

from steward.domain.lookproof import check_proof, read_proof
from steward.domain.outlets import OutletKind
from steward.domain.viewing import CrewRole, Field, LookUp, Purpose, Way
from steward.web.bundle import GatewayStatus, ShipStatus
from steward.web.pages.guest_looks import ROWS

CREW = "c0ffee00c0ffee00"
PROOF = re.compile(r'href="(/me/looks/[0-9]+\.json)"')


async def looked(ship: PageShip, who: Wearer, n: int = 1, **changes: object) -> None:
    now_s = ship.services.clock.now().unix_s
    look = LookUp(
        now_s,
        CREW,
        CrewRole.SERVICE,
        BAR,
        OutletKind.FOOD_AND_DRINK,
        Purpose.FOOD_AND_DRINK,
        who.ref,
        frozenset({Field.PREFERRED_NAME, Field.ALLERGIES}),
    )
    made = replace(look, **changes)  # type: ignore[arg-type]
    await ship.services.store.write(lambda tx: [tx.log_look_up(made) for _ in range(n)])


async def test_a_row_says_role_place_purpose_and_fields_and_not_who(ship: PageShip) -> None:
    who = await wearer(ship)
    await looked(ship, who)
    async with phone(ship, who) as browser:
        page = (await browser.get("/me/looks")).text
    for words in ("Service", "Lagoon Bar", "Food and drink", "name, allergies", "From a list or a link"):
        assert words in page, words
    assert CREW not in page


async def test_an_emergency_stands_out_and_a_program_is_called_one(ship: PageShip) -> None:
    who = await wearer(ship)
    safety = {"role": CrewRole.SAFETY, "purpose": Purpose.SAFETY, "way": Way.BROKE_GLASS, "reason": "A man overboard"}
    await looked(ship, who, **safety)
    desk = {"actor": "token:desk-1", "role": "desk", "outlet": DESK, "outlet_kind": OutletKind.SERVICE}
    await looked(ship, who, **desk, purpose=Purpose.CHECK_IN, fields=frozenset({Field.CABIN}))
    async with phone(ship, who) as browser:
        page = (await browser.get("/me/looks")).text
    assert "Emergency" in page
    assert "glass-row" in page
    assert "overboard" not in page
    assert "(a program)" in page
    assert "desk-1" not in page


async def test_a_look_at_another_gateway_is_in_the_list_with_its_proof(ship: PageShip) -> None:
    who = await wearer(ship)
    await looked(ship, who)
    (own,) = await ship.services.store.read(lambda tx: tx.look_ups(0, 9))
    told = replace(own, gateway="spa-2", seq=0)
    await ship.services.store.write(lambda tx: tx.enter_peer_look(told, own.at_s + 4000))
    async with phone(ship, who) as browser:
        page = (await browser.get("/me/looks")).text
        proof = (await browser.get(PROOF.findall(page)[0])).content
    assert page.count("On the ship&#39;s machine spa-2") == 1
    row = check_proof(read_proof(proof)).row
    assert (row.gateway, row.logged_s - row.at_s) == ("spa-2", 4000)


NEAR = GatewayStatus("bar-2", "till", True, 2, 0)


@pytest.mark.parametrize(
    ("others", "said", "not_said"),
    [
        ((), (), ("other machines", "may be missing")),
        ((NEAR, GatewayStatus("deck", "door", False, None, None)), ("within seconds",), ("may be missing", "deck")),
        (
            (NEAR, replace(NEAR, name="spa", here=False, heard_ago_s=3600)),
            ("may be missing", "machine spa are shown up to", "out of reach"),
            ("within seconds", "bar-2"),
        ),
        ((replace(NEAR, here=False, heard_ago_s=None, queue_events=None),), ("bar-2 has not been heard",), ("up to",)),
        ((replace(NEAR, queue_events=7),), ("bar-2 has not told of all its looks",), ("out of reach",)),
    ],
)
async def test_looks_that_were_not_told_yet_are_said_to_be_missing(
    ship: PageShip, others: tuple[GatewayStatus, ...], said: tuple[str, ...], not_said: tuple[str, ...]
) -> None:
    who = await wearer(ship)

    async def status() -> ShipStatus | None:
        return ShipStatus(others)

    object.__setattr__(ship.services, "ship", status)
    async with phone(ship, who) as browser:
        page = (await browser.get("/me/looks")).text
    assert [words for words in said if words not in page] == []
    assert [words for words in not_said if words in page] == []


async def test_pages_go_back_to_the_first_row(ship: PageShip) -> None:
    who, other = await wearer(ship), await wearer(ship, "Bo Other", cabin=6001)
    await looked(ship, who, ROWS + 5)
    await looked(ship, other, 3)
    async with phone(ship, who) as browser:
        first = PROOF.findall((await browser.get("/me/looks")).text)
        older = re.search(r'href="(/me/looks\?before=[0-9]+)"', browser.text)
        assert older is not None
        rest = PROOF.findall((await browser.get(older[1])).text)
        assert "before=" not in browser.text
        assert (len(first), len(rest)) == (ROWS, 5)
        assert not set(first) & set(rest)
        for odd in ("x", "-1", "9" * 40, "0"):
            assert (await browser.get(f"/me/looks?before={odd}")).status_code == 200, odd


async def test_who_was_never_looked_up_is_told_so(ship: PageShip) -> None:
    who = await wearer(ship)
    async with phone(ship, who) as browser:
        assert "Nobody has looked you up" in (await browser.get("/me/looks")).text


async def test_a_rows_proof_holds_and_bent_it_does_not(ship: PageShip) -> None:
    who = await wearer(ship)
    await looked(ship, who, 3)
    async with phone(ship, who) as browser:
        (path, *_) = PROOF.findall((await browser.get("/me/looks")).text)
        answer = await browser.get(path)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    proven = check_proof(read_proof(answer.content))
    assert (proven.row.guest, proven.row.role) == (who.ref, "service")
    assert CREW.encode() not in answer.content
    bent = json.loads(answer.content)
    bent["row"]["role"] = "housekeeping"
    with pytest.raises(ValueError, match="does not hold"):
        check_proof(read_proof(json.dumps(bent).encode()))


async def test_the_proof_of_anothers_row_is_not_there(ship: PageShip) -> None:
    who, other = await wearer(ship), await wearer(ship, "Bo Other", cabin=6001)
    await looked(ship, who, 2)
    async with phone(ship, other) as browser:
        for seq in ("1", "2", "3", "0", "999999999999999", "x", "-1"):
            assert (await browser.get(f"/me/looks/{seq}.json")).status_code == 404, seq
