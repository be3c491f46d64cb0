"""The privacy officer's console: requests to the end, the log searched, emergencies reviewed; nobody else's."""

from __future__ import annotations

import html
from dataclasses import dataclass, replace

import pytest
from tests.pages.pagekit import DESK, Browser, PageShip
from tests.pages.purserkit import PRIVACY, Desk

from steward.domain.consent import ConsentPurpose
from steward.domain.ids import GuestRef
from steward.domain.incident import DeviceKind, Incident, IncidentId, IncidentStep, StepState
from steward.domain.requests import Right
from steward.domain.retention import DAY_S, RetentionRun
from steward.domain.viewing import CrewRole, Field, OutletKind, Purpose, Viewer, look_at
from steward.errors import Refused
from steward.ports import Tx
from steward.ports.privacy import Finding
from steward.web.api import create_app
from steward.web.pages.base import PAGES_TABLE
from steward.web.pages.privacy import OFFICERS

WORDS = 'my <b>file</b> & "notes"'


@dataclass
class Office:
    """A privacy officer signed in, and a guest."""

    ship: PageShip
    browser: Browser
    officer: GuestRef
    guest: GuestRef

    async def looks(self) -> list[tuple[str, list[str]]]:
        """At the guest, by role."""
        found = await self.ship.services.store.read(lambda tx: tx.look_ups_of(self.guest, 99))
        return [(look.role, sorted(look.fields)) for look in found]

    async def glass(self, actor: str | None = None) -> int:
        medic = actor or await self.ship.crew(CrewRole.SAFETY, [DESK])
        viewer = Viewer(medic, CrewRole.SAFETY, DESK, OutletKind.SERVICE, Purpose.SAFETY)
        card = await self.ship.services.lookups.break_glass(viewer, self.guest, "fainted at the pool")
        return card.look.seq


@pytest.fixture
async def office(ship: PageShip, browser: Browser) -> Office:
    officer = await Desk(ship).purser("D-001", CrewRole.PRIVACY_OFFICER)
    guest = await ship.guest("Alma Example")
    await ship.sign_in(browser, officer, shift=PRIVACY)
    return Office(ship, browser, officer, guest)


async def test_a_request_from_the_list_to_its_answer(office: Office) -> None:
    web, services = office.browser, office.ship.services
    await services.requests.open(office.guest, Right.ACCESS, WORDS, office.guest)
    page = await web.get("/privacy/requests")
    assert page.status_code == 200
    assert WORDS not in html.unescape(page.text)  # the list shows no words
    assert await office.looks() == []
    request = (await services.requests.waiting())[0]
    await web.get(f"/privacy/requests/{request.id}")
    assert WORDS in html.unescape(web.text)
    assert "<b>file</b>" not in web.text
    assert await office.looks() == [("privacy_officer", ["requests"])]
    await web.follow(await web.post(f"/privacy/requests/{request.id}/extend", words="many files"))
    assert "many files" in web.text
    answer = await web.post(
        f"/privacy/requests/{request.id}/answer", state="done", words="at the desk", linked="export:7"
    )
    await web.follow(answer)
    assert "export:7" in web.text
    assert f'action="/privacy/requests/{request.id}/answer"' not in web.text
    assert (await services.requests.due()).waiting == 0


async def test_a_request_that_came_by_letter_is_written_down(office: Office) -> None:
    web = office.browser
    await web.get("/privacy/requests")
    await web.follow(await web.post("/privacy/requests", guest=office.guest, right="erasure", words="forget me"))
    assert "forget me" in web.text
    (request,) = await office.ship.services.requests.waiting()
    assert (request.guest, request.opened_by) == (office.guest, office.officer)


@pytest.mark.parametrize(
    ("path", "fields", "code"),
    [
        ("", {"guest": "nobody", "right": "access"}, "search_invalid"),
        ("", {"guest": "f" * 16, "right": "access"}, "not_found"),
        ("", {"guest": "f" * 16, "right": "everything"}, "search_invalid"),
        ("/" + "f" * 16 + "/answer", {"state": "done", "words": "x"}, "not_found"),
        ("/" + "f" * 16 + "/answer", {"state": "open", "words": "x"}, "answer_missing"),
        ("/" + "f" * 16 + "/answer", {"state": "done", "words": "x", "linked": "x" * 81}, "answer_missing"),
        ("/" + "f" * 16 + "/extend", {"words": ""}, "request_text_invalid"),
    ],
)
async def test_bad_input_is_refused_in_words(office: Office, path: str, fields: dict[str, str], code: str) -> None:
    await office.browser.get("/privacy/requests")
    answer = await office.browser.post("/privacy/requests" + path, **fields)
    assert answer.status_code in (404, 409, 422), answer.text
    assert code in answer.text


async def test_the_log_is_searched_by_what_the_form_asks(office: Office) -> None:
    waiter = Viewer("c" * 16, CrewRole.SERVICE, DESK, OutletKind.SERVICE, Purpose.GUEST_SERVICES)
    now_s = office.ship.services.clock.now().unix_s

    def fill(tx: Tx) -> None:
        tx.log_look_up(look_at(waiter, office.guest, {Field.LANGUAGE}, now_s))
        tx.log_look_up(look_at(waiter, office.guest, {Field.LANGUAGE}, now_s - 400 * DAY_S))

    await office.ship.services.store.write(fill)

    async def rows(query: str) -> int:
        page = await office.browser.get(f"/privacy/log{query}")
        assert page.status_code == 200, page.text
        return page.text.count('<td class="when">')

    assert await rows("") == 2
    assert await rows(f"?guest={office.guest}&actor={'c' * 16}&role=service&purpose=guest_services") == 2
    assert await rows("?from=2020-01-01&to=2020-01-02") == 0
    assert await rows("?role=purser") == 0
    assert await rows("?only=emergencies") == 0
    assert await rows(f"/{office.guest}") == 2
    for wrong in ("?guest=x", "?from=2026-02-30", "?to=9999-12-31", "?purpose=gossip", "?actor=%00"):
        answer = await office.browser.get(f"/privacy/log{wrong}")
        assert (answer.status_code, "search_invalid" in answer.text) == (409, True), wrong


async def test_a_bad_pattern_is_shown_in_table_and_plot(office: Office) -> None:
    waiter = Viewer("c" * 16, CrewRole.SERVICE, DESK, OutletKind.SERVICE, Purpose.GUEST_SERVICES)
    now_s = office.ship.services.clock.now().unix_s

    def fill(tx: Tx) -> None:
        for n in range(30):
            tx.log_look_up(look_at(waiter, GuestRef(f"{n:016x}"), {Field.LANGUAGE}, now_s))

    await office.browser.get("/privacy/patterns")
    assert "mark wait" not in office.browser.text
    await office.ship.services.store.write(fill)
    await office.browser.get("/privacy/patterns")
    assert '<rect x="200" y="5" width="460" height="18" rx="4" class="odd">' in office.browser.text
    assert "mark wait" in office.browser.text
    await office.browser.get("/privacy/desk")
    assert '<a href="/privacy/patterns" class="due">' in office.browser.text


async def test_an_emergency_is_reviewed_and_its_finding_stays(office: Office) -> None:
    web, seq = office.browser, await office.glass()
    await web.get("/privacy/desk")
    assert '<a href="/privacy/log?only=emergencies" class="due">' in web.text
    await web.get(f"/privacy/glass/{seq}")
    assert "fainted at the pool" in web.text
    await web.follow(await web.post(f"/privacy/glass/{seq}", finding="unclear", words="the doctor is asked"))
    assert "the doctor is asked" in web.text
    await web.follow(await web.post(f"/privacy/glass/{seq}", finding="justified", words="she had fainted"))
    assert "she had fainted" in web.text
    assert '<form method="post" action="/privacy/glass' not in web.text
    answer = await web.post(f"/privacy/glass/{seq}", finding="not_justified", words="no")
    assert "glass_reviewed" in answer.text
    await web.get("/privacy/desk")
    assert '<a href="/privacy/log?only=emergencies" class="">' in web.text


async def test_nobody_reviews_their_own_emergency(office: Office) -> None:
    seq, services = await office.glass(), office.ship.services
    (made,) = await services.store.read(lambda tx: tx.look_ups(seq - 1, 1))
    with pytest.raises(Refused, match="glass_own"):
        await services.officer.review(seq, Finding.JUSTIFIED, "I had to", made.actor)
    assert await services.store.read(lambda tx: dict(tx.reviews([seq]))) == {}


async def test_a_finding_is_shown_when_its_guest_was_forgotten_and_not_a_word_more(office: Office) -> None:
    web, seq, store = office.browser, await office.glass(), office.ship.services.store
    await web.post(f"/privacy/glass/{seq}", finding="not_justified", words="nothing was wrong with her")
    (made,) = await store.read(lambda tx: tx.look_ups(seq - 1, 1))
    await web.get("/privacy/log?only=emergencies")
    assert "Findings whose guests were forgotten" not in web.text
    await store.write(lambda tx: (tx.drop_request_words(made.guest), tx.drop_look_contents(made.guest)))
    await web.get("/privacy/log?only=emergencies")
    assert "Findings whose guests were forgotten" in web.text
    assert "Not justified" in web.text
    for gone in (made.guest, made.guest[:6], "nothing was wrong", "fainted", f"/privacy/glass/{seq}"):
        assert gone not in web.text
    await web.get("/privacy/log?only=emergencies&role=safety")
    assert "Findings whose guests were forgotten" not in web.text


async def test_an_emergency_at_another_gateway_is_in_the_log_and_reviewed_here(office: Office) -> None:
    web, store = office.browser, office.ship.services.store
    own = await office.glass()
    (made,) = await store.read(lambda tx: tx.look_ups(own - 1, 1))
    there = replace(made, gateway="spa-2", reason="")
    seq = (await store.write(lambda tx: tx.enter_peer_look(there, made.at_s))).seq
    await web.get("/privacy/log?only=emergencies")
    assert "· spa-2" in web.text
    await web.get(f"/privacy/glass/{seq}")
    assert "The reason is in the log of the gateway spa-2" in web.text
    await web.follow(await web.post(f"/privacy/glass/{seq}", finding="justified", words="she had fainted there"))
    assert "she had fainted there" in web.text


async def test_what_is_no_emergency_is_not_reviewed(office: Office) -> None:
    await office.browser.get(f"/privacy/consents/{office.guest}")
    for look in ("1", "999", "x"):
        assert (await office.browser.get(f"/privacy/glass/{look}")).status_code == 404
    seq = await office.glass()
    await office.browser.get(f"/privacy/glass/{seq}")
    for fields, code in (({"finding": "fine"}, "finding_missing"), ({"finding": "justified"}, "request_text_invalid")):
        assert code in (await office.browser.post(f"/privacy/glass/{seq}", **fields)).text


async def test_consent_of_a_guest_is_shown_with_its_history_and_logged(office: Office) -> None:
    web = office.browser
    await office.ship.services.consents.say(office.guest, {ConsentPurpose.PHOTO: False}, "desk")
    await web.get("/privacy/desk")
    await web.follow(await web.post("/privacy/consents", guest=office.guest))
    assert web.text.count("<tr>") >= 3
    assert await office.looks() == [("privacy_officer", ["consents"])]
    assert (await web.get("/privacy/consents/" + "f" * 16)).status_code == 404


async def test_the_other_records_are_there(office: Office) -> None:
    incident = Incident(
        IncidentId("ab" * 6), DeviceKind.GATEWAY, "gw9", 1_800_000_000, 1_800_000_900, 1_800_001_000, "x", 7
    )

    def fill(tx: Tx) -> None:
        tx.put_run(RetentionRun(1_800_000_000, "event:door_opened", 3, 1_799_000_000, held=True))
        tx.put_incident(incident)
        tx.put_incident_step(IncidentStep(incident.id, "rotate_keys", StepState.BY_HAND, 1_800_000_000, "version 2"))

    assert (await office.browser.get("/privacy/incidents")).status_code == 200
    await office.ship.services.store.write(fill)
    await office.browser.get("/privacy/retention")
    assert "event:door_opened" in office.browser.text
    await office.browser.get("/privacy/incidents")
    await office.browser.get(f"/privacy/incidents/{incident.id}")
    assert "version 2" in office.browser.text
    for wrong in ("ff" * 6, "x"):
        assert (await office.browser.get(f"/privacy/incidents/{wrong}")).status_code == 404
    page = await office.browser.get("/privacy/register")
    assert page.text.count("<details>") >= 9


async def test_a_clock_that_jumped_waits_for_the_officer(office: Office) -> None:
    retention, web = office.ship.services.retention, office.browser
    await retention.sweep()

    def put_back(tx: Tx) -> None:
        now_s = office.ship.services.clock.now().unix_s
        tx.set_meta("retention.passage", f"[{now_s - 400 * DAY_S}, 0, null]")

    await office.ship.services.store.write(put_back)
    await retention.sweep()
    await web.get("/privacy/desk")
    assert 'role="alert"' in web.text
    await web.get("/privacy/retention")
    await web.follow(await web.post("/privacy/retention/confirm"))
    assert 'role="alert"' not in web.text


async def test_every_page_of_the_office_is_the_officers_alone(ship: PageShip) -> None:
    table = getattr(create_app(ship.services).state, PAGES_TABLE)
    routes = {key: route for key, route in table.items() if key[1].startswith("/privacy")}
    assert len(routes) == 18
    assert all(route.roles == OFFICERS and route.shift and not route.public for route in routes.values())
    for role in CrewRole:
        if role is CrewRole.PRIVACY_OFFICER:
            continue
        async with ship.browser() as web:
            await ship.sign_in(web, await ship.crew(role), shift="")
            for method, path in routes:
                address = path.replace("{ref}", "f" * 16).replace("{request}", "f" * 16)
                address = address.replace("{look}", "1").replace("{incident}", "f" * 12)
                await web.get("/crew/shift")
                answer = await (web.get(address) if method == "GET" else web.post(address))
                assert (answer.status_code, "role_not_allowed" in answer.text) == (403, True), (role, method, path)


async def test_a_form_from_elsewhere_changes_nothing(office: Office) -> None:
    await office.browser.get("/privacy/requests")
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        fields = {"csrf": office.browser.csrf, "guest": office.guest, "right": "access", "words": "x"}
        base = {"Origin": office.browser.origin, "Sec-Fetch-Site": "same-origin"}
        answer = await office.browser.raw("/privacy/requests", fields, base | headers)
        assert answer.status_code == 403
    assert list(await office.ship.services.requests.waiting()) == []
