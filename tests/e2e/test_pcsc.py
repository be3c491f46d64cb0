"""Real PC/SC: pcscd with virtual readers, our reader through pyscard, and independent clients."""

from __future__ import annotations

import asyncio
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.e2e.pcsc_rig import LIMIT_S, OK, SELECT_DF, UID, ScriptedCard, started, talk

from steward.adapters import pcsc
from steward.adapters.pcsc import PcscCard, PcscReader
from steward.errors import CardRemoved, ReaderFault
from voyage.pcscd import Pcscd, VirtualReader

pytestmark = pytest.mark.pcsc
OTHER = bytes.fromhex("04AABBCCDDEEFF")


@pytest.fixture(scope="module")
def service() -> Iterator[Pcscd]:
    service = started(5)
    yield service
    service.stop()


@pytest.fixture
async def virtual(service: Pcscd) -> VirtualReader:
    """The first reader, empty."""
    await vacated(service, service.readers[0])
    return service.readers[0]


async def vacated(service: Pcscd, virtual: VirtualReader) -> None:
    await asyncio.to_thread(service.await_empty, virtual)


@pytest.fixture
async def reader(virtual: VirtualReader) -> AsyncIterator[PcscReader]:
    reader = PcscReader(virtual.name)
    yield reader
    await reader.close()


async def connected(reader: PcscReader) -> PcscCard:
    async with asyncio.timeout(LIMIT_S):
        return await reader.connect()


# --- one card


async def test_a_card_enters_talks_and_is_powered_down(reader: PcscReader, virtual: VirtualReader) -> None:
    band = ScriptedCard()
    await band.enter(virtual.port)
    card = await connected(reader)
    assert card.anticollision_id == UID
    assert await card.exchange(SELECT_DF) == SELECT_DF + OK
    await reader.disconnect(card)
    await band.was_powered_down()
    with pytest.raises(CardRemoved):
        await card.exchange(SELECT_DF)
    await band.leave()


async def test_answers_of_any_length_pass_unchanged(reader: PcscReader, virtual: VirtualReader) -> None:
    band = ScriptedCard(reply=lambda capdu: bytes(range(256))[: capdu[4] or 256] + b"\x91\x00")
    await band.enter(virtual.port)
    card = await connected(reader)
    for size in (1, 128, 255, 0):
        answer = await card.exchange(bytes([0x00, 0xB0, 0, 0, size]))
        assert answer == bytes(range(256))[: size or 256] + b"\x91\x00"
    await band.leave()


async def test_a_card_that_stays_is_not_returned_again(
    service: Pcscd, reader: PcscReader, virtual: VirtualReader
) -> None:
    band = ScriptedCard()
    await band.enter(virtual.port)
    await reader.disconnect(await connected(reader))
    again = asyncio.create_task(reader.connect())
    done, _ = await asyncio.wait([again], timeout=1.5)
    assert done == set()
    await band.leave()
    await vacated(service, virtual)
    other = ScriptedCard(OTHER)
    await other.enter(virtual.port)
    async with asyncio.timeout(LIMIT_S):
        assert (await again).anticollision_id == OTHER
    await other.leave()


async def test_the_same_card_counts_as_new_when_it_comes_back(
    service: Pcscd, reader: PcscReader, virtual: VirtualReader
) -> None:
    band = ScriptedCard()
    for _ in range(2):
        await vacated(service, virtual)
        await band.enter(virtual.port)
        card = await connected(reader)
        assert card.anticollision_id == UID
        await reader.disconnect(card)
        await band.leave()


async def test_a_card_pulled_out_in_mid_exchange(reader: PcscReader, virtual: VirtualReader) -> None:
    band = ScriptedCard(reply=lambda capdu: None)
    await band.enter(virtual.port)
    card = await connected(reader)
    talk = asyncio.create_task(card.exchange(SELECT_DF))
    await band.was_asked()
    await band.leave()
    with pytest.raises(CardRemoved, match="left reader"):
        await talk
    await reader.disconnect(card)
    other = ScriptedCard(OTHER)
    await other.enter(virtual.port)
    card = await connected(reader)
    assert await card.exchange(SELECT_DF) == SELECT_DF + OK
    await other.leave()


async def test_a_card_pulled_out_between_exchanges(reader: PcscReader, virtual: VirtualReader) -> None:
    band = ScriptedCard()
    await band.enter(virtual.port)
    card = await connected(reader)
    await band.leave()
    with pytest.raises(CardRemoved):
        await card.exchange(SELECT_DF)


async def test_a_silent_card_is_treated_as_removed_and_does_not_stop_the_loop(virtual: VirtualReader) -> None:
    reader = PcscReader(virtual.name, exchange_limit_s=0.3)
    band = ScriptedCard(reply=lambda capdu: None)
    await band.enter(virtual.port)
    card = await connected(reader)
    with pytest.raises(CardRemoved, match=r"did not answer within 0\.3 s"):
        await card.exchange(SELECT_DF)
    await reader.disconnect(card)
    await band.leave()
    other = ScriptedCard(OTHER)
    await other.enter(virtual.port)
    assert (await connected(reader)).anticollision_id == OTHER
    await other.leave()
    await reader.close()


# --- what is not a card of ours


@pytest.mark.parametrize("atr", [b"\xff" * 33, b"\x3b\xff" + bytes(8), b"\x00", b"\x3b\x02\x14"])
async def test_a_junk_atr_neither_breaks_nor_blocks_the_reader(
    service: Pcscd, reader: PcscReader, virtual: VirtualReader, atr: bytes
) -> None:
    junk = ScriptedCard(b"", atr=atr)
    await junk.enter(virtual.port)
    waiting = asyncio.create_task(reader.connect())
    done, _ = await asyncio.wait([waiting], timeout=1.0)
    assert done == set()
    await junk.leave()
    await vacated(service, virtual)
    band = ScriptedCard(OTHER)
    await band.enter(virtual.port)
    async with asyncio.timeout(LIMIT_S):
        assert (await waiting).anticollision_id == OTHER
    await band.leave()


async def test_a_card_without_an_id_is_passed_over(service: Pcscd, reader: PcscReader, virtual: VirtualReader) -> None:
    contact_card = ScriptedCard(b"")
    await contact_card.enter(virtual.port)
    waiting = asyncio.create_task(reader.connect())
    done, _ = await asyncio.wait([waiting], timeout=2.0)
    assert done == set()
    await contact_card.leave()
    await vacated(service, virtual)
    band = ScriptedCard(OTHER)
    await band.enter(virtual.port)
    async with asyncio.timeout(LIMIT_S):
        assert (await waiting).anticollision_id == OTHER
    await band.leave()


# --- several readers, several clients


async def test_several_readers_serve_at_once(service: Pcscd) -> None:
    readers = [PcscReader(virtual.name) for virtual in service.readers]
    bands = [ScriptedCard(bytes([4, 0, 0, 0, 0, 0, i])) for i in range(len(readers))]
    for band, virtual in zip(bands, service.readers, strict=True):
        await vacated(service, virtual)
        await band.enter(virtual.port)
    cards = await asyncio.gather(*(connected(reader) for reader in readers))
    assert [card.anticollision_id for card in cards] == [band.uid for band in bands]
    commands = [bytes([0x90, i, 0, 0, 0]) for i in range(len(cards))]
    for _ in range(5):
        answers = await asyncio.gather(*(card.exchange(c) for card, c in zip(cards, commands, strict=True)))
        assert answers == [command + OK for command in commands]
    for reader, card, band in zip(readers, cards, bands, strict=True):
        await reader.disconnect(card)
        await band.leave()
        await reader.close()


async def test_a_second_client_is_refused_while_a_transaction_runs(
    service: Pcscd, reader: PcscReader, virtual: VirtualReader
) -> None:
    band = ScriptedCard()
    await band.enter(virtual.port)
    card = await connected(reader)
    await card.exchange(SELECT_DF)
    heard = list(band.heard)
    code, said = await _opensc(service, virtual, "00:A4:04:00")
    assert code != 0
    assert "9000" not in said
    assert band.heard == heard
    assert await card.exchange(SELECT_DF) == SELECT_DF + OK
    await reader.disconnect(card)
    code, said = await _opensc(service, virtual, "00:A4:04:00")
    assert code == 0, said
    await band.leave()


async def test_a_card_another_program_holds_is_taken_when_it_lets_go(
    reader: PcscReader, virtual: VirtualReader
) -> None:
    band = ScriptedCard()
    other = PcscReader(virtual.name)
    await band.enter(virtual.port)
    held = await connected(other)
    waiting = asyncio.create_task(reader.connect())
    done, _ = await asyncio.wait([waiting], timeout=1.5)
    assert done == set()
    await other.disconnect(held)
    async with asyncio.timeout(LIMIT_S):
        assert (await waiting).anticollision_id == UID
    await other.close()
    await band.leave()


# --- the service and the reader go away


@pytest.mark.parametrize("crash", [False, True])
async def test_pcscd_stopped_and_started_again(
    service: Pcscd, reader: PcscReader, virtual: VirtualReader, crash: bool
) -> None:
    band = ScriptedCard()
    await band.enter(virtual.port)
    card = await connected(reader)
    await asyncio.to_thread(service.kill if crash else service.stop_service)
    with pytest.raises((ReaderFault, CardRemoved)):
        await card.exchange(SELECT_DF)
    await reader.disconnect(card)
    with pytest.raises(ReaderFault, match="systemctl start pcscd"):
        await connected(reader)
    await asyncio.to_thread(service.start_again)
    await band.left()
    for _ in range(2):  # the second time with a card that was dealt with: a new service counts cards from the start
        await band.enter(virtual.port)
        card = await connected(reader)
        assert await card.exchange(SELECT_DF) == SELECT_DF + OK
        await reader.disconnect(card)
        await asyncio.to_thread(service.stop_service)
        await asyncio.to_thread(service.start_again)
        await band.left()


async def test_pcscd_dies_while_we_wait_for_a_card(service: Pcscd, reader: PcscReader) -> None:
    waiting = asyncio.create_task(reader.connect())
    await asyncio.wait([waiting], timeout=0.5)
    await asyncio.to_thread(service.kill)
    with pytest.raises(ReaderFault, match="PC/SC service"):
        async with asyncio.timeout(LIMIT_S):
            await waiting
    await asyncio.to_thread(service.start_again)


async def test_a_reader_that_is_not_there_is_named_with_those_that_are(service: Pcscd) -> None:
    reader = PcscReader("ACME Taptop 00 00")
    with pytest.raises(ReaderFault, match=r"ACME Taptop 00 00 is not there; PC/SC sees: .*Voyage 00 00 00"):
        await connected(reader)
    await reader.close()


async def test_list_readers(service: Pcscd) -> None:
    names = await asyncio.to_thread(pcsc.list_readers)
    assert {virtual.name for virtual in service.readers} <= set(names)


# --- ending


async def test_close_ends_a_waiting_connect_and_the_thread(reader: PcscReader) -> None:
    waiting = asyncio.create_task(connected(reader))
    await asyncio.wait([waiting], timeout=0.3)
    await reader.close()
    with pytest.raises(ReaderFault, match="closed"):
        await waiting
    with pytest.raises(ReaderFault, match="closed"):
        await connected(reader)
    assert [t.name for t in threading.enumerate() if t.name == f"pcsc {reader.name}"] == []


async def test_close_does_not_wait_for_a_card_that_hangs(virtual: VirtualReader) -> None:
    reader = PcscReader(virtual.name, exchange_limit_s=0.1)
    band = ScriptedCard(reply=lambda capdu: None)
    await band.enter(virtual.port)
    card = await connected(reader)
    with pytest.raises(CardRemoved):
        await card.exchange(SELECT_DF)
    async with asyncio.timeout(LIMIT_S):
        await reader.close()
    assert not band.gone.is_set()
    await band.leave()


async def test_a_cancelled_connect_leaves_the_card_to_the_next(reader: PcscReader, virtual: VirtualReader) -> None:
    cancelled = asyncio.create_task(reader.connect())
    await asyncio.wait([cancelled], timeout=0.3)
    cancelled.cancel()
    band = ScriptedCard()
    await band.enter(virtual.port)
    assert (await connected(reader)).anticollision_id == UID
    await band.leave()


async def test_a_card_taken_for_a_cancelled_connect_goes_to_the_next(
    reader: PcscReader, virtual: VirtualReader
) -> None:
    band = ScriptedCard()
    band.may_tell_id.clear()
    await band.enter(virtual.port)
    cancelled = asyncio.create_task(reader.connect())
    async with asyncio.timeout(LIMIT_S):
        await band.asked_id.wait()
    cancelled.cancel()
    await asyncio.wait([cancelled])
    band.may_tell_id.set()
    assert (await connected(reader)).anticollision_id == UID
    await band.leave()


async def test_a_gateway_that_hangs_in_a_card_can_still_exit(service: Pcscd, virtual: VirtualReader) -> None:
    """A whole process whose card never answers: its main function ends, and so does the process."""
    program = (
        "import asyncio\n"
        "from steward.adapters.pcsc import PcscReader\n"
        "async def main():\n"
        f"    reader = PcscReader({virtual.name!r}, exchange_limit_s=0.2)\n"
        "    card = await reader.connect()\n"
        "    try:\n"
        "        await card.exchange(bytes(5))\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__)\n"
        "asyncio.run(main())\n"
    )
    band = ScriptedCard(reply=lambda capdu: None)
    await band.enter(virtual.port)
    code, said = await talk(service, sys.executable, "-c", program)
    assert (code, said.strip()) == (0, "CardRemoved")
    await band.leave()


# --- independent clients


async def test_opensc_talks_to_a_card(service: Pcscd, virtual: VirtualReader) -> None:
    band = ScriptedCard(reply=lambda capdu: b"\x6a\x82")
    await band.enter(virtual.port)
    code, said = await _opensc(service, virtual, "00:A4:04:00:07:D2:76:00:00:85:01:01:00", "--wait")
    assert code == 0, said
    assert "Received (SW1=0x6A, SW2=0x82)" in said
    assert SELECT_DF in band.heard
    await band.leave()


async def _opensc(service: Pcscd, virtual: VirtualReader, apdu: str, *more: str) -> tuple[int, str]:
    tool = shutil.which("opensc-tool")
    assert tool is not None, "this test needs an independent PC/SC client; on Debian: apt install opensc"
    return await talk(service, tool, "--reader", virtual.name, *more, "--send-apdu", apdu)
