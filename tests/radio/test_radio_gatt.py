"""A gateway connects to a band: who gets in, and how long whoever does stays."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from bumble import att, core, device, gatt, hci, pairing
from tests.micropython.bandlab import read_record
from tests.radio.radiokit import Gateway, Wearer, lights, name_at, names_of, passkey_for, still_serves, wearing

from bandwire import faults, radio


async def refused(gateway: Gateway) -> int:
    """The ATT error that a request to the band's characteristic ends with."""
    assert gateway.link is not None
    peer = device.Peer(gateway.link)
    await peer.discover_services()
    await peer.discover_characteristics()
    command = peer.get_characteristics_by_uuid(core.UUID(radio.COMMAND))[0]
    with pytest.raises(att.ATT_Error) as failure:
        await command.write_value(radio.pack_request(radio.BUZZ, 1, b"\x05")[0], with_response=True)
    return failure.value.error_code


async def test_whoever_has_not_paired_gets_nothing_and_is_sent_away(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        async with Gateway(wearer.air) as gateway:
            address = await gateway.join(wearer)
            assert await refused(gateway) == att.ATT_INSUFFICIENT_AUTHENTICATION_ERROR
            assert wearer.shown() is None, "one connection at a time, and no name meanwhile"
            await wearer.pass_ms(radio.PAIRING_MS_MAX + 100)
            await wearer.until(lambda: not gateway.connected)
        await wearer.until(lambda: wearer.shown() is not None)
        assert wearer.shown() != address, "an address that was connected to is not shown again"
        await still_serves(wearer)


async def test_a_stack_that_lets_a_stranger_write_is_not_believed(tmp_path: Path) -> None:
    """As if the flags of the characteristic were not heeded."""
    async with wearing(tmp_path) as wearer:
        (wearer.state / "lights").write_text("")
        await wearer.switch_on()
        async with Gateway(wearer.air) as gateway:
            await gateway.join(wearer)
            await wearer.settle()
            band = await wearer.radio()
            (command, _) = band._characteristics
            (connection,) = band._on().connections
            band._irq(3, connection, command, radio.pack_request(radio.BUZZ, 1, b"\x05")[0])
            assert await lights(wearer) == 0


async def test_what_can_be_read_without_pairing_is_the_same_for_all(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        async with Gateway(wearer.air) as gateway:
            await gateway.join(wearer)
            assert gateway.link is not None
            peer = device.Peer(gateway.link)
            await peer.discover_all()
            ours = [each for each in peer.services if str(each.uuid).lower() == radio.SERVICE]
            assert [str(each.uuid).lower() for each in ours[0].characteristics] == [radio.COMMAND, radio.ANSWER]
            for each in ours[0].characteristics:
                assert not each.properties & gatt.Characteristic.Properties.READ
                with pytest.raises(att.ATT_Error) as failure:
                    await peer.gatt_client.read_value(each)
                assert failure.value.error_code == att.ATT_READ_NOT_PERMITTED_ERROR
            await ours[0].characteristics[1].subscribe(gateway.answers.put_nowait)
            await wearer.settle()
            assert gateway.answers.empty()


class NoScreen(pairing.PairingDelegate):
    """Pairs without any passkey: "just works", as a headset does."""

    def __init__(self) -> None:
        super().__init__(pairing.PairingDelegate.NO_OUTPUT_NO_INPUT)


async def test_pairing_without_a_passkey_ends_the_connection(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        async with Gateway(wearer.air) as gateway:
            await gateway.join(wearer)
            with contextlib.suppress(core.ProtocolError, hci.HCI_Error, asyncio.CancelledError):
                await gateway.pair(0, io=NoScreen())  # it may be sent away while still at it
            await wearer.until(lambda: not gateway.connected)
        await still_serves(wearer)


async def guess(wearer: Wearer, gateway: Gateway, passkey: int) -> None:
    await gateway.join(wearer)
    with pytest.raises(core.ProtocolError):
        await gateway.pair(passkey)
    await wearer.until(lambda: not gateway.connected)


async def test_after_three_wrong_passkeys_nobody_connects_until_the_next_period(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        addresses = set()
        async with Gateway(wearer.air) as gateway:
            for _ in range(radio.FAILED_PAIRINGS_A_PERIOD):
                address = wearer.shown()
                assert address is not None
                addresses.add(address)
                await guess(wearer, gateway, (passkey_for(address, 0) + 1) % 1_000_000)
                await wearer.until(lambda: wearer.shown() is not None)
            assert len(addresses) == radio.FAILED_PAIRINGS_A_PERIOD, "each try has a passkey of its own"
            with wearer.air.listening() as heard:
                assert names_of((await wearer.next_name(heard)).data)[0] == name_at(0), "it still shows its name"
            address = await gateway.join(wearer)
            await wearer.until(lambda: not gateway.connected)
            assert wearer.shown() == address, "the band never heard of it"
            await wearer.pass_ms(radio.PERIOD_S * 1000)
            await wearer.until(lambda: wearer.shown() not in (None, address))
            await gateway.meet(wearer, 1)
            assert (await gateway.ask(radio.BATTERY))[0] == radio.DONE
    noted = faults.open_record(read_record(wearer.state / "log", "faults")).faults
    assert [(fault.code, fault.count) for fault in noted] == [(faults.RADIO_PAIRING, 1)]


async def test_strangers_keep_it_off_the_air_for_a_while_only(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        async with Gateway(wearer.air) as stranger:
            for _ in range(radio.STRANGERS_A_PERIOD):
                address = await stranger.join(wearer)
                await stranger.leave()
                await wearer.until(lambda address=address: wearer.shown() not in (None, address))
            address = await stranger.join(wearer)
            await wearer.until(lambda: not stranger.connected)
            assert wearer.shown() == address
            await wearer.pass_ms(radio.PERIOD_S * 1000)
        await still_serves(wearer)


async def test_a_passkey_serves_once_and_for_its_address_alone(tmp_path: Path) -> None:
    """Whoever watched a pairing knows its passkey: it is of no use at the address that is shown next."""
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        address = wearer.shown()
        assert address is not None
        seen = passkey_for(address, 0)
        async with Gateway(wearer.air) as gateway:
            await gateway.meet(wearer, 0)
        async with Gateway(wearer.air, "F0:00:00:00:00:66") as other:
            await guess(wearer, other, seen)
        await still_serves(wearer)


async def test_whoever_pulls_away_in_the_middle_of_a_pairing_has_had_a_try(tmp_path: Path) -> None:
    class Leaves(pairing.PairingDelegate):
        def __init__(self, gateway: Gateway) -> None:
            super().__init__(pairing.PairingDelegate.KEYBOARD_INPUT_ONLY)
            self._gateway = gateway

        async def get_number(self) -> int | None:
            await wearer.settle()  # the band has been asked for its passkey
            await self._gateway.leave()
            return None

    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        async with Gateway(wearer.air) as gateway:
            for _ in range(radio.FAILED_PAIRINGS_A_PERIOD):
                await gateway.join(wearer)
                with pytest.raises((core.ProtocolError, asyncio.CancelledError, core.InvalidStateError)):
                    await gateway.pair(0, io=Leaves(gateway))
                await wearer.until(lambda: not gateway.connected)
            address = await gateway.join(wearer)
            await wearer.until(lambda: not gateway.connected)
            assert wearer.shown() == address


async def test_whoever_says_nothing_is_sent_away(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        async with Gateway(wearer.air) as gateway:
            await gateway.meet(wearer, 0)
            await wearer.pass_ms(radio.IDLE_MS_MAX - 1000)
            assert (await gateway.ask(radio.BATTERY))[0] == radio.DONE
            await wearer.pass_ms(radio.IDLE_MS_MAX - 1000)
            assert gateway.connected
            await wearer.pass_ms(1100)
            await wearer.until(lambda: not gateway.connected)
        await still_serves(wearer)


async def test_a_connection_does_not_outlive_its_period(tmp_path: Path) -> None:
    async with wearing(tmp_path) as wearer:
        await wearer.switch_on()
        await wearer.pass_ms(radio.PERIOD_S * 1000 - 15_000)
        async with Gateway(wearer.air) as gateway:
            await gateway.meet(wearer, 0)
            await wearer.pass_ms(8_000)
            assert (await gateway.ask(radio.BATTERY))[0] == radio.DONE, "it is not idle"
            await wearer.pass_ms(8_000)
            async with asyncio.timeout(3):
                await wearer.until(lambda: not gateway.connected)
        await still_serves(wearer)
