"""The page that checks files, in a real Chromium: good ones, bent ones, another ship's; nothing leaves the phone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import FilePayload
from tests.pages.chromekit import LOOKS, PHONE, Handheld, Look, handheld
from tests.pages.guestkit import phone, wearer
from tests.pages.pagekit import PageShip
from tests.pages.test_guest_consents import RECEIPTS, say
from tests.pages.test_guest_looks import PROOF, looked
from tests.unit.receiptkit import ship_keys

from steward.domain.receipt import KIND
from steward.domain.signedrecord import canonical, envelope, file_of

pytestmark = pytest.mark.chromium


async def files(ship: PageShip) -> tuple[bytes, bytes]:
    """A receipt of consent and a proof of a look, as a guest downloads them."""
    who = await wearer(ship)
    await looked(ship, who, 5)
    async with phone(ship, who) as browser:
        await say(browser, "photo", "no")
        await browser.get("/me/consents")
        newest = RECEIPTS.findall(browser.text.partition('id="history"')[2])[0]
        receipt = (await browser.get(newest)).content
        proof = (await browser.get(PROOF.findall((await browser.get("/me/looks")).text)[2])).content
    return receipt, proof


async def choose(held: Handheld, content: bytes, name: str = "file.json") -> str:
    """What the page makes of it: good, stranger, bad or cannot."""
    await held.page.evaluate("document.getElementById('verify').dataset.state = ''")
    payload: FilePayload = {"name": name, "mimeType": "application/json", "buffer": content}
    await held.page.set_input_files("#verify-file", payload)
    await held.page.wait_for_selector("#verify:not([data-state=''])")
    state = await held.page.get_attribute("#verify", "data-state")
    assert state is not None
    heading = held.page.locator(f"#result h2[data-when='{state}']")
    assert await heading.is_visible()
    assert await held.page.locator("#result h2:visible").count() == 1
    return state


async def facts(held: Handheld) -> dict[str, str]:
    names = await held.page.locator("#verify-facts dt").all_inner_texts()
    values = await held.page.locator("#verify-facts dd").all_inner_texts()
    return dict(zip(names, values, strict=True))


def bent(content: bytes, change: Callable[[Any], object]) -> bytes:
    record = json.loads(content)
    change(record)
    return json.dumps(record).encode()


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
async def test_good_files_hold_and_say_what_is_in_them(ship: PageShip, chromium: Chromium, look: Look) -> None:
    receipt, proof = await files(ship)
    english = look.language == "en"
    async with handheld(ship, chromium, look) as held:
        sent: list[str] = []
        held.page.on("request", lambda request: sent.append(request.url))
        await held.go("/verify")
        await held.check("verify-empty")
        sent.clear()
        assert await choose(held, receipt) == "good"
        shown = await facts(held)
        assert shown["Agreed" if english else "Samtykket"] == ("no" if english else "nei")
        assert ("this ship's key" if english else "skipets nøkkel") in shown[
            "Signed with key" if english else "Signert med nøkkel"
        ]
        await held.check("verify-receipt")
        assert await choose(held, proof) == "good"
        shown = await facts(held)
        assert shown["Role" if english else "Rolle"] == ("Service" if english else "Servering")
        await held.check("verify-proof")
        assert sent == []


async def test_how_a_file_is_laid_out_does_not_matter(ship: PageShip, chromium: Chromium) -> None:
    receipt, proof = await files(ship)
    async with handheld(ship, chromium) as held:
        await held.go("/verify")
        for content in (receipt, proof):
            assert await choose(held, json.dumps(json.loads(content), sort_keys=True).encode()) == "good"
            assert await choose(held, json.dumps(json.loads(content), indent=9, ensure_ascii=True).encode()) == "good"


async def test_nothing_in_a_receipt_can_be_bent(ship: PageShip, chromium: Chromium) -> None:
    receipt, _ = await files(ship)

    def walk(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        if isinstance(value, dict):
            return [leaf for name, each in value.items() for leaf in walk(each, (*path, name))]
        if isinstance(value, list):
            return [leaf for at, each in enumerate(value) for leaf in walk(each, (*path, at))]
        return [path]

    def other(path: tuple[Any, ...]) -> Callable[[Any], object]:
        def change(record: Any) -> None:
            part = record
            for name in path[:-1]:
                part = part[name]
            part[path[-1]] = "other"

        return change

    paths = walk(json.loads(receipt))
    assert len(paths) > 40
    async with handheld(ship, chromium) as held:
        await held.go("/verify")
        for path in paths:
            assert await choose(held, bent(receipt, other(path))) == "bad", path
        assert await held.page.locator("#verify-facts dt").count() == 0  # of what does not hold, nothing is shown
        await held.check("verify-bent")


@pytest.mark.parametrize(
    "change",
    [
        lambda proof: proof["row"].update(role="housekeeping"),
        lambda proof: proof["row"].update(at_s=proof["row"]["at_s"] - 1),
        lambda proof: proof["row"].update(seq=proof["row"]["seq"] + 1),
        lambda proof: proof["row"].update(seq=-1),
        lambda proof: proof["row"].update(seq=1.5),
        lambda proof: proof["row"].update(seq=10**6),
        lambda proof: proof["row"].update(more="x"),
        lambda proof: proof["row"].update(gateway="bar"),
        lambda proof: proof["row"].update(gateway=""),
        lambda proof: proof["row"]["fields"].pop(),
        lambda proof: proof["row"]["fields"].append("photo"),
        lambda proof: proof["path"].pop(),
        lambda proof: proof["path"].append(proof["path"][0]),
        lambda proof: proof["path"].reverse(),
        lambda proof: proof.update(salt=proof["closed"]),
        lambda proof: proof.update(keys=[]),
        lambda proof: proof.update(checkpoint=proof["checkpoint"].replace("\n5\n", "\n6\n")),
        lambda proof: proof.update(checkpoint=proof["checkpoint"].rpartition("\n\n")[0] + "\n\n"),
        lambda proof: proof.update(checkpoint=""),
        lambda proof: proof["keys"][0].update(fingerprint=" ".join(["0000"] * 16)),
        lambda proof: proof.update(witness={"name": "shore", "public": proof["salt"], "fingerprint": "", "at_s": 1}),
        lambda proof: proof.pop("salt"),
    ],
)
async def test_nothing_in_a_proof_can_be_bent(
    ship: PageShip, chromium: Chromium, change: Callable[[Any], object]
) -> None:
    _, proof = await files(ship)
    async with handheld(ship, chromium) as held:
        await held.go("/verify")
        assert await choose(held, bent(proof, change)) == "bad"


async def test_a_proof_of_a_look_at_another_gateway_names_it(ship: PageShip, chromium: Chromium) -> None:
    who = await wearer(ship)
    await looked(ship, who)
    store = ship.services.store
    (own,) = await store.read(lambda tx: tx.look_ups(0, 9))
    await store.write(lambda tx: tx.enter_peer_look(replace(own, gateway="spa-2", seq=0), own.at_s + 4000))
    async with phone(ship, who) as browser:
        proof = (await browser.get(PROOF.findall((await browser.get("/me/looks")).text)[0])).content
    async with handheld(ship, chromium) as held:
        await held.go("/verify")
        assert await choose(held, proof) == "good"
        assert (await facts(held))["Machine"] == "spa-2"
        for change in ({"gateway": "bar-2"}, {"gateway": ""}, {"gateway": 1}, {"gateway": None}):
            assert await choose(held, bent(proof, lambda told, c=change: told["row"].update(c))) == "bad", change  # type: ignore[misc]
        assert await choose(held, bent(proof, lambda told: told["row"].pop("gateway"))) == "bad"


async def test_another_ships_receipt_is_said_to_be_anothers(ship: PageShip, chromium: Chromium) -> None:
    receipt, _ = await files(ship)
    body, keys = json.loads(receipt)["body"], ship_keys()
    version, signature = keys.sign_record(KIND, canonical(body))
    async with handheld(ship, chromium) as held:
        await held.go("/verify")
        record = envelope(KIND, body, version, keys.verify_keys()[version], signature)
        assert await choose(held, file_of(record)) == "stranger"
        await held.check("verify-stranger")


async def test_a_certificate_of_any_kind_is_shown_as_it_is(ship: PageShip, chromium: Chromium) -> None:
    body = {"format": "steward-incident-1", "ref": "a" * 16, "<b>odd</b>": "<script>alert(1)</script>", "list": [1, 2]}
    version, signature = ship.services.keys.sign_record("incident", canonical(body))
    record = envelope("incident", body, version, ship.services.keys.verify_keys()[version], signature)
    async with handheld(ship, chromium) as held:
        await held.go("/verify")
        assert await choose(held, file_of(record)) == "good"
        shown = await facts(held)
        assert shown["<b>odd</b>"] == "<script>alert(1)</script>"
        assert await held.page.locator("#result b, #result script").count() == 0


@pytest.mark.parametrize("look", LOOKS[:2], ids=lambda look: look.name)
async def test_a_certificate_of_erasure_is_told_in_words(ship: PageShip, chromium: Chromium, look: Look) -> None:
    who = await wearer(ship)
    erasure = await ship.services.erasures.erase(who.ref, "desk")
    certificate = await ship.services.erasures.certificate(who.ref)
    async with handheld(ship, chromium, look) as held:
        await held.go("/verify")
        assert await choose(held, file_of(certificate)) == "good"
        shown = await facts(held)
        assert who.ref in shown.values()
        assert erasure.certificate in shown.values()
        assert not [value for value in shown.values() if "undefined" in value or "Invalid" in value]
        await held.check("verify-erasure")
        assert await choose(held, bent(file_of(certificate), lambda record: record["body"]["done"].clear())) == "bad"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe\x00",
        b'{"schema": "steward-look-proof-1"}',
        b"7",
        b'"text"',
        b"[" * 50_000,
    ],
)
async def test_junk_is_no_file_of_ours(ship: PageShip, chromium: Chromium, content: bytes) -> None:
    async with handheld(ship, chromium) as held:
        await held.go("/verify")
        assert await choose(held, content) == "bad"


async def test_a_browser_that_cannot_says_so(ship: PageShip, chromium: Chromium) -> None:
    receipt, _ = await files(ship)
    async with handheld(ship, chromium) as held:
        await held.page.add_init_script(
            "crypto.subtle.importKey = () => Promise.reject(new DOMException('', 'NotSupportedError'))"
        )
        await held.go("/verify")
        assert await choose(held, receipt) == "cannot"
        await held.page.add_init_script("Object.defineProperty(Crypto.prototype, 'subtle', { value: undefined })")
        await held.go("/verify")
        assert await held.page.get_attribute("#verify", "data-state") == "cannot"
        assert "https" in await held.page.inner_text("#verify-why")


async def test_without_scripts_it_says_how_else(ship: PageShip, chromium: Chromium) -> None:
    async with handheld(ship, chromium, PHONE, java_script_enabled=False) as held:
        await held.go("/verify")
        assert "steward verify receipt" in await held.page.inner_text("main")
        assert not await held.page.locator("#verify-file").is_visible()
        assert await held.page.locator("#ship-keys dd").first.is_visible()


async def test_a_file_can_be_chosen_with_the_keyboard_and_dropped(ship: PageShip, chromium: Chromium) -> None:
    receipt, _ = await files(ship)
    async with handheld(ship, chromium) as held:
        held.page.on("filechooser", lambda _: None)  # asked for now: what is asked for with the key may come after it
        await held.go("/verify")
        await held.page.wait_for_load_state("networkidle")  # a key that comes before the page is all there is lost
        for _ in range(12):
            await held.page.keyboard.press("Tab")
            if await held.page.evaluate("document.activeElement.id") == "verify-file":
                break
        assert await held.page.evaluate("document.activeElement.id") == "verify-file"
        async with held.page.expect_file_chooser() as choosing:
            await held.page.keyboard.press("Enter")
        payload: FilePayload = {"name": "file.json", "mimeType": "application/json", "buffer": receipt}
        await (await choosing.value).set_files(payload)
        await held.page.wait_for_selector("#verify[data-state='good']")
        assert await held.page.evaluate("document.activeElement.id") == "result"  # said to who cannot see it
        await held.page.evaluate(
            """(text) => {
              const dropped = new DataTransfer();
              dropped.items.add(new File([text], "dropped.json"));
              const event = new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true });
              document.getElementById("verify").dataset.state = "";
              document.getElementById("verify-drop").dispatchEvent(event);
            }""",
            receipt.decode(),
        )
        await held.page.wait_for_selector("#verify[data-state='good']")
        assert await held.page.inner_text("#verify-name") == "dropped.json"
