"""The socket reader against bands that come, go, stall and talk nonsense."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.e2e.pcsc_rig import GET_UID, LIMIT_S, OK, SELECT_DF, UID, ScriptedCard

from bandwire import apdu, session
from bandwire.files import FULL
from steward.adapters.aes import HostAes
from steward.adapters.linkreader import WAITING_MAX, LinkCard, LinkReader
from steward.errors import CardRemoved, ReaderFault
from voyage.bandproc import BandOptions, BandProcess

OTHER = bytes.fromhex("04AABBCCDDEEFF")


@pytest.fixture
async def reader() -> AsyncIterator[LinkReader]:
    reader = LinkReader("bar", exchange_limit_s=0.5)
    await reader.start()
    yield reader
    await reader.close()


async def connected(reader: LinkReader) -> LinkCard:
    async with asyncio.timeout(LIMIT_S):
        return await reader.connect()


async def test_a_band_enters_talks_and_is_sent_away(reader: LinkReader) -> None:
    band = ScriptedCard()
    await band.enter(reader.port)
    card = await connected(reader)
    assert card.anticollision_id == UID
    assert await card.exchange(SELECT_DF) == SELECT_DF + OK
    await reader.disconnect(card)
    await band.left()
    assert band.heard == [b"\x01", GET_UID, SELECT_DF, b"\x00"]
    with pytest.raises(CardRemoved):
        await card.exchange(SELECT_DF)


async def test_connect_waits_for_a_band(reader: LinkReader) -> None:
    waiting = asyncio.create_task(connected(reader))
    await asyncio.sleep(0)
    assert not waiting.done()
    await ScriptedCard(OTHER).enter(reader.port)
    assert (await waiting).anticollision_id == OTHER


async def test_a_random_id_is_passed_on_as_it_is(reader: LinkReader) -> None:
    await ScriptedCard(bytes.fromhex("08123456")).enter(reader.port)
    assert (await connected(reader)).anticollision_id == bytes.fromhex("08123456")


async def test_a_band_that_leaves_in_mid_exchange_is_removed_and_the_next_is_served(reader: LinkReader) -> None:
    band = ScriptedCard(reply=lambda capdu: None)
    await band.enter(reader.port)
    card = await connected(reader)
    talk = asyncio.create_task(card.exchange(SELECT_DF))
    await band.was_asked()
    await band.leave()
    with pytest.raises(CardRemoved, match="left the field"):
        await talk
    await reader.disconnect(card)
    await ScriptedCard(OTHER).enter(reader.port)
    assert (await connected(reader)).anticollision_id == OTHER


async def test_a_band_that_leaves_between_exchanges_is_noticed(reader: LinkReader) -> None:
    band = ScriptedCard()
    await band.enter(reader.port)
    card = await connected(reader)
    await band.leave()
    with pytest.raises(CardRemoved):
        await card.exchange(SELECT_DF)


async def test_a_silent_band_is_treated_as_removed(reader: LinkReader) -> None:
    band = ScriptedCard(reply=lambda capdu: None)
    await band.enter(reader.port)
    card = await connected(reader)
    with pytest.raises(CardRemoved, match=r"within 0\.5 s"):
        await card.exchange(SELECT_DF)
    await band.left()


async def test_one_band_is_served_and_the_others_wait_their_turn(reader: LinkReader) -> None:
    bands = [ScriptedCard(bytes([4]) + i.to_bytes(6, "big")) for i in range(3)]
    for band in bands:
        await band.enter(reader.port)
    for band in bands:
        card = await connected(reader)
        assert card.anticollision_id == band.uid
        assert await card.exchange(SELECT_DF) == SELECT_DF + OK
        await reader.disconnect(card)
        await band.left()


async def test_a_waiting_band_is_not_powered_and_may_walk_away(reader: LinkReader) -> None:
    first, second, third = ScriptedCard(), ScriptedCard(OTHER), ScriptedCard(bytes(7))
    await first.enter(reader.port)
    card = await connected(reader)
    await second.enter(reader.port)
    await second.leave()
    await third.enter(reader.port)
    await reader.disconnect(card)
    assert (await connected(reader)).anticollision_id == bytes(7)
    assert second.heard == []


async def test_only_so_many_bands_wait(reader: LinkReader) -> None:
    await ScriptedCard().enter(reader.port)
    await connected(reader)
    crowd = [ScriptedCard(OTHER) for _ in range(WAITING_MAX + 1)]
    for band in crowd:
        await band.enter(reader.port)
    await crowd[-1].left()
    assert [band.gone.is_set() for band in crowd] == [False] * WAITING_MAX + [True]


async def test_bands_that_walked_away_make_room_for_others(reader: LinkReader) -> None:
    await ScriptedCard().enter(reader.port)
    card = await connected(reader)
    for _ in range(WAITING_MAX + 1):
        passer_by = ScriptedCard(bytes(7))
        await passer_by.enter(reader.port)
        await passer_by.walk_away()
    await ScriptedCard(OTHER).enter(reader.port)
    await reader.disconnect(card)
    assert (await connected(reader)).anticollision_id == OTHER


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x00",  # an empty frame
        b"\xff\xff" + bytes(100),  # larger than any answer
        b"\x01\x03" + bytes(259),
        b"\x00\x02\x90\x00\x00\x02\x90\x00",  # two answers to one question
        b"\x00\x01\x90",  # no whole status word
    ],
)
async def test_a_malformed_answer_drops_the_band_and_not_the_reader(reader: LinkReader, raw: bytes) -> None:
    band = ScriptedCard(reply=lambda capdu: band.say(raw))
    await band.enter(reader.port)
    card = await connected(reader)
    with pytest.raises(CardRemoved):
        await card.exchange(SELECT_DF)
    await band.left()
    await ScriptedCard(OTHER).enter(reader.port)
    assert (await connected(reader)).anticollision_id == OTHER


async def test_an_answer_in_pieces_is_put_together(reader: LinkReader) -> None:
    async def dribble() -> None:
        for byte in b"\x00\x05abc\x90\x00":
            band.say(bytes([byte]))
            await asyncio.sleep(0.001)

    parts: list[asyncio.Task[None]] = []
    band = ScriptedCard(reply=lambda capdu: parts.append(asyncio.create_task(dribble())))
    await band.enter(reader.port)
    card = await connected(reader)
    assert await card.exchange(SELECT_DF) == b"abc\x90\x00"


async def test_an_answer_nobody_asked_for_is_never_taken_for_the_next_one(reader: LinkReader) -> None:
    band = ScriptedCard()
    await band.enter(reader.port)
    card = await connected(reader)
    band.say(b"\x00\x02\x90\x00")
    await band.left()
    with pytest.raises(CardRemoved):
        await card.exchange(SELECT_DF)


async def test_an_abandoned_exchange_drops_the_band(reader: LinkReader) -> None:
    band = ScriptedCard(reply=lambda capdu: None)
    await band.enter(reader.port)
    card = await connected(reader)
    talk = asyncio.create_task(card.exchange(SELECT_DF))
    await band.was_asked()
    talk.cancel()
    await asyncio.wait([talk])
    await band.left()


@pytest.mark.parametrize(
    "band",
    [
        ScriptedCard(atr=b""),
        ScriptedCard(atr=bytes(20)),
        ScriptedCard(atr=b"\x3b" * 34),
        ScriptedCard(atr=b"\x3b"),
        ScriptedCard(b""),
        ScriptedCard(b"12345"),
        ScriptedCard(bytes(200)),
    ],
)
async def test_what_is_no_card_is_passed_over(reader: LinkReader, band: ScriptedCard) -> None:
    await band.enter(reader.port)
    await ScriptedCard(OTHER).enter(reader.port)
    assert (await connected(reader)).anticollision_id == OTHER
    await band.left()


async def test_a_stranger_shouting_into_the_port_does_not_stop_the_reader(reader: LinkReader) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", reader.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n" * 1000)
    await ScriptedCard(OTHER).enter(reader.port)
    assert (await connected(reader)).anticollision_id == OTHER
    writer.transport.abort()


async def test_connect_lets_a_forgotten_card_go_first(reader: LinkReader) -> None:
    forgotten = ScriptedCard()
    await forgotten.enter(reader.port)
    old = await connected(reader)
    await ScriptedCard(OTHER).enter(reader.port)
    new = await connected(reader)
    await forgotten.left()
    await reader.disconnect(old)
    assert await new.exchange(SELECT_DF) == SELECT_DF + OK


async def test_close_ends_a_waiting_connect_and_all_links(reader: LinkReader) -> None:
    band, waiting_band = ScriptedCard(), ScriptedCard(OTHER)
    await band.enter(reader.port)
    card = await connected(reader)
    await waiting_band.enter(reader.port)
    await reader.close()
    await band.left()
    await waiting_band.left()
    with pytest.raises(CardRemoved):
        await card.exchange(SELECT_DF)
    with pytest.raises(ReaderFault, match="closed"):
        await connected(reader)
    with pytest.raises(ConnectionError):
        await ScriptedCard().enter(reader.port)


async def test_close_while_connect_waits(reader: LinkReader) -> None:
    waiting = asyncio.create_task(connected(reader))
    await asyncio.sleep(0)
    await reader.close()
    with pytest.raises(ReaderFault, match="closed"):
        await waiting


async def test_a_taken_port_is_said_so(reader: LinkReader) -> None:
    second = LinkReader("door", reader.port)
    with pytest.raises(ReaderFault, match=f"door cannot listen on 127.0.0.1:{reader.port}"):
        await second.start()
    await second.close()


async def test_two_readers_serve_at_the_same_time(reader: LinkReader) -> None:
    other = LinkReader("door")
    await other.start()
    await ScriptedCard().enter(reader.port)
    await ScriptedCard(OTHER).enter(other.port)
    here, there = await asyncio.gather(connected(reader), connected(other))
    assert (here.anticollision_id, there.anticollision_id) == (UID, OTHER)
    answers = await asyncio.gather(here.exchange(SELECT_DF), there.exchange(SELECT_DF + b"\x01"))
    assert answers == [SELECT_DF + OK, SELECT_DF + b"\x01" + OK]
    await other.close()


# --- the real band


async def test_the_real_band_answers_and_is_powered_down(reader: LinkReader, tmp_path: Path) -> None:
    left = asyncio.Event()
    async with await BandProcess.start(BandOptions(tmp_path / "band", uid=UID), "field") as band:
        band.on_left = lambda reason: left.set()
        await band.enter("127.0.0.1", reader.port)
        card = await connected(reader)
        assert card.anticollision_id == UID
        assert await card.exchange(SELECT_DF) == OK
        assert (await card.exchange(bytes.fromhex("9071000002000000")))[-2:] == b"\x91\xaf"
        await reader.disconnect(card)
        async with asyncio.timeout(LIMIT_S):
            await left.wait()
        await band.enter("127.0.0.1", reader.port)
        card = await connected(reader)
        assert await card.exchange(bytes.fromhex("90AF000020") + bytes(33)) == b"\x91\x1c"  # nothing was begun


async def test_the_real_band_killed_in_the_field_is_a_removed_card(reader: LinkReader, tmp_path: Path) -> None:
    band = await BandProcess.start(BandOptions(tmp_path / "band", uid=UID), "field")
    await band.enter("127.0.0.1", reader.port)
    card = await connected(reader)
    await band.kill()
    with pytest.raises(CardRemoved):
        await card.exchange(SELECT_DF)


async def test_a_real_band_with_a_random_id_shows_another_one_each_time(reader: LinkReader, tmp_path: Path) -> None:
    """Switched on by SetConfiguration under K0 (factory zero), as encoding does it."""
    async with await BandProcess.start(BandOptions(tmp_path / "band", uid=UID), "field") as band:
        await band.enter("127.0.0.1", reader.port)
        card = await connected(reader)
        await card.exchange(SELECT_DF)
        auth = session.ReaderAuth(HostAes(), 0, bytes(16), bytes(range(16)))
        channel = auth.finish(await card.exchange(auth.step(await card.exchange(auth.start()))))
        command = channel.command(apdu.INS_SET_CONFIGURATION, b"\x00", b"\x02", FULL)
        assert (await card.exchange(command))[-2:] == b"\x91\x00"
        await reader.disconnect(card)
        shown = set()
        for _ in range(3):
            await band.leave()
            await band.enter("127.0.0.1", reader.port)
            card = await connected(reader)
            shown.add(card.anticollision_id)
            await reader.disconnect(card)
    assert {(len(identifier), identifier[0]) for identifier in shown} == {(4, 8)}
    assert len(shown) == 3
