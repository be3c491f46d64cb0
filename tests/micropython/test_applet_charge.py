"""SignCharge: what an active band signs, for whom, and that no counter value is ever signed twice."""

import asyncio
from pathlib import Path

from tests.micropython.bandlab import AES, FULL, KEYS, MAC, PLAIN, UID, Lab, open_lab, read_record, write_record

from bandwire import apdu, charge

REQUEST = charge.pack_request(1250, "EUR", "BAR-1", bytes(range(16)))


async def _charge(lab: Lab, request: bytes = REQUEST) -> int:
    """Sign in a session with key 1 and check the signature as the folio authority would; the counter."""
    await lab.auth(1, KEYS[1])
    counter, mac = charge.unpack_response(await lab.command(apdu.INS_SIGN_CHARGE, b"", request, MAC))
    key = charge.charge_key(AES, KEYS[3], UID)
    assert charge.verify(AES, key, UID, request, counter, mac)
    assert not charge.verify(AES, key, UID, request, counter - 1, mac)
    return counter


async def test_the_counter_rises_and_survives_kill_9(tmp_path: Path) -> None:
    state = tmp_path / "flash"
    last = 0
    for restart in range(4):
        lab = await open_lab(state, keys=KEYS if not restart else None)
        await lab.select()
        for _ in range(3):
            counter = await _charge(lab)
            assert counter == last + 1
            last = counter
        await lab.band.kill()


async def test_a_session_signs_several_charges_and_each_is_bound_to_its_request(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash", keys=KEYS)
    async with lab.band:
        await lab.select()
        await lab.auth(1, KEYS[1])
        key = charge.charge_key(AES, KEYS[3], UID)
        other = charge.pack_request(1251, "EUR", "BAR-1", bytes(range(16)))
        for expected, request in enumerate((REQUEST, other, REQUEST), 1):
            counter, mac = charge.unpack_response(await lab.command(apdu.INS_SIGN_CHARGE, b"", request, MAC))
            assert counter == expected
            assert charge.verify(AES, key, UID, request, counter, mac)
            assert not charge.verify(AES, key, UID, REQUEST if request == other else other, counter, mac)


async def test_what_it_refuses_costs_no_counter(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash", keys=KEYS)
    async with lab.band:
        await lab.select()
        assert await lab.raw("90D800001F" + REQUEST.hex() + "00") == "91AE"
        for key_no in (0, 2, 3, 4):
            await lab.auth(key_no, KEYS[key_no])
            assert await lab.refusal(apdu.INS_SIGN_CHARGE, b"", REQUEST, MAC) == "91AE"
        for request, mode, expected in (
            (bytes(4) + REQUEST[4:], MAC, "919E"),
            (REQUEST[:-1], MAC, "917E"),
            (REQUEST + b"\x00", MAC, "917E"),
            (b"", MAC, "917E"),
            (REQUEST, PLAIN, "911E"),
            (REQUEST, FULL, "917E"),
        ):
            await lab.auth(1, KEYS[1])
            assert await lab.refusal(apdu.INS_SIGN_CHARGE, b"", request, mode) == expected
        assert await _charge(lab) == 1


async def test_the_last_counter_value_is_the_last_charge(tmp_path: Path) -> None:
    state = tmp_path / "flash"
    await (await open_lab(state, keys=KEYS)).band.close()
    hot = read_record(state, "hot")
    write_record(state, "hot", hot[:5] + bytes.fromhex("FEFFFFFF") + hot[9:])
    lab = await open_lab(state)
    async with lab.band:
        await lab.select()
        assert await _charge(lab) == 0xFFFFFFFF
        await lab.auth(1, KEYS[1])
        assert await lab.refusal(apdu.INS_SIGN_CHARGE, b"", REQUEST, MAC) == "919D"


async def test_a_passive_band_does_not_know_the_command(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash", keys=KEYS, passive=True)
    async with lab.band:
        await lab.select()
        assert await lab.raw("90D8000000") == "911C"
        await lab.auth(1, KEYS[1])
        assert await lab.refusal(apdu.INS_SIGN_CHARGE, b"", REQUEST, MAC) == "911C"


async def test_sun_and_charge_counters_share_a_record_and_keep_apart(tmp_path: Path) -> None:
    lab = await open_lab(tmp_path / "flash", keys=KEYS)
    async with lab.band:
        await lab.select()
        await lab.auth(0, KEYS[0])
        await lab.change_settings(2, "40 00E0 C1 F123 180000 3B0000 3B0000")
        for expected in range(1, 4):
            await lab.select()
            await lab.raw("90AD0000070200000000000000")
            assert await _charge(lab) == expected
            answer = await lab.command(apdu.INS_GET_FILE_COUNTERS, b"\x02")
            assert answer[0] == expected


async def test_two_bands_do_not_sign_alike(tmp_path: Path) -> None:
    first = await open_lab(tmp_path / "a", keys=KEYS)
    second = await open_lab(tmp_path / "b", keys=KEYS, uid=bytes.fromhex("04AABBCCDDEEFF"))
    async with first.band, second.band:
        await asyncio.gather(first.select(), second.select())
        macs = []
        for lab in (first, second):
            await lab.auth(1, KEYS[1])
            macs.append(charge.unpack_response(await lab.command(apdu.INS_SIGN_CHARGE, b"", REQUEST, MAC)))
        assert macs[0][0] == macs[1][0] == 1
        assert macs[0][1] != macs[1][1]
