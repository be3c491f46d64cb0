"""Runs on MicroPython: the applet alone, each command timed. Prints JSON: {command: [microseconds, ...]}.

Arguments: a fresh folder for flash, and how often to repeat.
"""

import gc
import json
import os
import sys
import time

from band.aes import CryptolibAes
from band.applet import Applet
from band.boards.desktop import FolderFlash
from band.card import Card, factory_records
from band.store import Store
from bandwire import apdu, charge
from bandwire.files import FREE, FULL, MAC, rights_word, sdm_rights_word, sun_settings
from bandwire.keys import change_key_data
from bandwire.session import ReaderAuth

FOLDER, ROUNDS = sys.argv[1], int(sys.argv[2])
UID = b"\x04\x11\x22\x33\x44\x55\x66"
AES = CryptolibAes()
TIMES = {}


def nothing(*_):
    pass


def timed(name, applet, command):
    start = time.ticks_us()
    answer = applet.process(command)
    TIMES.setdefault(name, []).append(time.ticks_diff(time.ticks_us(), start))
    return answer


def main():
    store = Store(FolderFlash(FOLDER))
    store.format(factory_records(UID))
    applet = Applet(AES, Card(store, nothing), os.urandom, nothing, True)
    whole_token = apdu.file_range(3, 0, 128)
    show_sun(applet)
    for _ in range(ROUNDS):
        gc.collect()  # as the band does between taps
        applet.reset()
        timed("SELECT", applet, apdu.select_df())
        timed("GetKeyVersion", applet, apdu.native(apdu.INS_GET_KEY_VERSION, b"\x01"))
        timed("SUN read 51 B", applet, apdu.native(apdu.INS_READ_DATA, apdu.file_range(2, 24, 51)))
        timed("GetVersion, first frame", applet, apdu.native(apdu.INS_GET_VERSION))
        applet.reset()
        applet.process(apdu.select_df())
        channel = authenticate(applet, 0)
        same = change_key_data(4, bytes(16), 1, bytes(16))
        answer = timed("ChangeKey", applet, channel.command(apdu.INS_CHANGE_KEY, b"\x04", same, FULL))
        channel.response(answer, FULL)
        answer = timed("GetFileSettings", applet, channel.command(apdu.INS_GET_FILE_SETTINGS, b"\x02", b"", MAC))
        channel.response(answer, MAC)
        channel = authenticate(applet, 3, channel)
        token = timed(
            "WriteData 128 B Full", applet, channel.command(apdu.INS_WRITE_DATA, whole_token, os.urandom(128), FULL)
        )
        channel.response(token, FULL)
        channel = authenticate(applet, 1)
        request = charge.pack_request(450, "EUR", "bar-1", os.urandom(16))
        answer = timed("SignCharge", applet, channel.command(apdu.INS_SIGN_CHARGE, b"", request, MAC))
        channel.response(answer, MAC)
        channel = authenticate(applet, 2)
        answer = timed("ReadData 128 B Full", applet, channel.command(apdu.INS_READ_DATA, whole_token, b"", FULL))
        channel.response(answer, FULL)
    print(json.dumps(TIMES))


def authenticate(applet, key_no, running=None):
    auth = ReaderAuth(AES, key_no, bytes(16), os.urandom(16), running is None, running)
    name = "AuthenticateEV2First" if running is None else "AuthenticateEV2NonFirst"
    part1 = timed(name + " part 1", applet, auth.start())
    return auth.finish(timed(name + " part 2", applet, auth.step(part1)))


def show_sun(applet):
    """Make file 02 show SUN messages, as on an issued band (keys 2 and 3 are factory keys here)."""
    applet.process(apdu.select_df())
    wanted = sun_settings(rights_word(FREE, 4, 4, 0), 256, sdm_rights_word(2, 3, 3), 24, 59, 59)
    channel = authenticate(applet, 0)
    command = channel.command(apdu.INS_CHANGE_FILE_SETTINGS, b"\x02", wanted.encode_change(), FULL)
    channel.response(applet.process(command), FULL)


main()
