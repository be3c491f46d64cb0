"""Every published vector through bandwire's own API. One file, run by CPython and by MicroPython.

As a script: `vector_suite.py <vectors.json>` prints one JSON line {"ran", "out_of_scope"}.
"""

import json
import sys

from bandwire import apdu, keys, sdm, session
from bandwire.aes import ZERO16
from bandwire.cmac import cmac, diversify, mact, pad, subkeys
from bandwire.files import FULL, MAC

# Algorithms no Steward band uses; the host's test checks them against `cryptography`.
OUT_OF_SCOPE = ("an10922_aes192", "an10922_aes256", "ecdsa_p224_raw")


def unhex(text):
    return bytes.fromhex(text)


class Vector:
    """One vector: `v.name` of its input as bytes, and what it must give, counted."""

    def __init__(self, entry):
        self.id = entry["id"]
        self.given = entry["in"]
        self.expect = entry["expect"]
        self.checks = 0
        self.unused = set(self.expect)

    def raw(self, name):
        return unhex(self.given[name])

    def has(self, name):
        return name in self.expect

    def want(self, name):
        """An expected value as bytes, to be fed to the other side."""
        self.unused.discard(name)
        return unhex(self.expect[name])

    def same(self, name, got):
        """`got` is what the vector expects under `name`."""
        want = self.expect[name]
        self.unused.discard(name)
        if isinstance(want, str):
            got = got.hex().upper()
        self.true(got == want, f"{name}: got {got}, want {want}")

    def maybe(self, name, got):
        """As same(), where the document prints the value."""
        if self.has(name):
            self.same(name, got)

    def true(self, condition, what):
        if not condition:
            raise AssertionError(f"{self.id}: {what}")
        self.checks += 1


def run_cmac_subkeys(aes, v):
    v.same("L", aes.ecb(v.raw("key"), ZERO16))
    k1, k2 = subkeys(aes, v.raw("key"))
    v.same("K1", k1)
    v.same("K2", k2)


def run_cmac(aes, v):
    v.same("cmac", cmac(aes, v.raw("key"), v.raw("msg")))


def run_an10922_aes128(aes, v):
    master, m = v.raw("master"), v.raw("m")
    k1, k2 = subkeys(aes, master)
    v.same("K0", aes.ecb(master, ZERO16))
    v.same("K1", k1)
    v.same("K2", k2)
    v.same("key", diversify(aes, master, m))
    d = v.want("D")
    v.true(d[:18] == b"\x01" + m, "D starts with the constant and M")
    mixed = d[:16] + bytes(d[16 + i] ^ k2[i] for i in range(16))
    v.same("cbc", aes.cbc_encrypt(master, ZERO16, mixed))


def run_sdm_keys(aes, v):
    key = v.raw("file_read_key")
    kenc, kmac = sdm.sdm_keys(aes, key, v.raw("uid"), v.raw("ctr_lsb"))
    v.same("enc", kenc)
    v.same("mac", kmac)
    v.true(cmac(aes, key, v.want("sv1")) == kenc, "sv1")
    v.true(cmac(aes, key, v.want("sv2")) == kmac, "sv2")


def run_picc_dec(aes, v):
    key, enc, plain = v.raw("meta_key"), v.raw("enc"), v.want("plain")
    tag, uid, ctr = sdm.parse_picc(plain)
    v.same("plain", aes.cbc_decrypt(key, ZERO16, enc))
    v.same("tag", bytes((tag,)))
    v.same("uid", uid)
    v.same("ctr", ctr)
    v.same("ctr_lsb", ctr.to_bytes(3, "little"))
    v.true(sdm.open_picc(aes, key, enc) == (uid, ctr), "open_picc")
    v.true(sdm.seal_picc(aes, key, uid, ctr, plain[11:]) == enc, "seal_picc")


def run_sdm_file_dec(aes, v):
    file_enc = v.raw("file_enc")
    uid, ctr = sdm.open_picc(aes, v.raw("meta_key"), v.raw("picc_enc"))
    ctr_lsb = ctr.to_bytes(3, "little")
    v.same("picc_plain", aes.cbc_decrypt(v.raw("meta_key"), ZERO16, v.raw("picc_enc")))
    v.same("uid", uid)
    v.same("ctr_lsb", ctr_lsb)
    kenc, _ = sdm.sdm_keys(aes, v.raw("file_read_key"), uid, ctr_lsb)
    v.same("enc_key", kenc)
    v.true(cmac(aes, v.raw("file_read_key"), v.want("sv1")) == kenc, "sv1")
    v.same("iv", aes.ecb(kenc, ctr_lsb + bytes(13)))
    v.same("plain", sdm.decrypt_file(aes, kenc, ctr, file_enc))
    v.true(sdm.encrypt_file(aes, kenc, ctr, v.want("plain")) == file_enc, "encrypt_file")


def run_sdm_mac(aes, v):
    key, uid, ctr_lsb = v.raw("file_read_key"), v.raw("uid"), v.raw("ctr_lsb")
    covered = v.given["mac_input_ascii"].encode()
    _, kmac = sdm.sdm_keys(aes, key, uid, ctr_lsb)
    v.same("sdmmac", sdm.sdm_mac(aes, kmac, covered))
    v.maybe("mac_key", kmac)
    v.maybe("full", cmac(aes, kmac, covered))
    if v.has("sv2"):
        v.true(cmac(aes, key, v.want("sv2")) == kmac, "sv2")
    if v.has("L"):
        k1, k2 = subkeys(aes, kmac)
        v.same("L", aes.ecb(kmac, ZERO16))
        v.same("K1", k1)
        v.same("K2", k2)
    ctr = int.from_bytes(ctr_lsb, "little")
    if "picc_enc" in v.given:
        v.same("picc_plain", aes.cbc_decrypt(v.raw("meta_key"), ZERO16, v.raw("picc_enc")))
        v.true(sdm.open_picc(aes, v.raw("meta_key"), v.raw("picc_enc")) == (uid, ctr), "open_picc")
    v.true(sdm.verify_sun(aes, key, uid, ctr, v.want("sdmmac"), covered), "verify_sun")
    v.true(not sdm.verify_sun(aes, key, uid, ctr + 1, v.want("sdmmac"), covered), "next counter")


def channels(aes, v):
    """(reader, card) in the state the vector starts from; a MAC-only vector has no encryption key."""
    kenc = v.raw("enc_key") if "enc_key" in v.given else ZERO16
    state = (aes, kenc, v.raw("mac_key"), v.raw("ti"), v.given["ctr"])
    return session.Channel(*state), session.Channel(*state)


def same_command(aes, v, capdu, ins, header, ct):
    """The built command is the printed one, MAC and encryption included."""
    command = apdu.parse(capdu)
    bound = v.given["ctr"].to_bytes(2, "little") + v.raw("ti")
    full = cmac(aes, v.raw("mac_key"), bytes((ins,)) + bound + header + ct)
    v.maybe("capdu", capdu)
    v.true((command.cla, command.ins, command.p1, command.p2, command.le) == (0x90, ins, 0, 0, 256), "head")
    v.true(command.data == header + ct + mact(full), "header, data, MAC")
    v.same("mact", command.data[-8:])
    v.maybe("cmac_full", full)
    if v.has("ivc"):
        iv = b"\xa5\x5a" + v.raw("ti") + v.given["ctr"].to_bytes(2, "little") + bytes(8)
        v.same("ivc", aes.ecb(v.raw("enc_key"), iv))


def run_sm_mac(aes, v):
    reader, card = channels(aes, v)
    ins, header, data = v.raw("cmd")[0], v.raw("header"), v.raw("data")
    capdu = reader.command(ins, header, data, MAC)
    same_command(aes, v, capdu, ins, header, data)
    v.true(cmac(aes, v.raw("mac_key"), v.want("mac_input")) == v.want("cmac_full"), "input")
    v.true(card.open(ins, header, data + v.want("mact"), MAC) == data, "open")
    answer = card.seal(v.raw("resp_data"), MAC, v.raw("resp_rc")[0])
    v.same("resp_mact", answer[-8:])
    v.same("resp_cmac_full", cmac(aes, v.raw("mac_key"), v.want("resp_input")))
    v.true(answer[:-8] == v.raw("resp_data"), "answer data")
    v.true(reader.response(answer + b"\x91\x00", MAC) == v.raw("resp_data"), "response")


def run_sm_full(aes, v):
    reader, card = channels(aes, v)
    ins, header, data = v.raw("cmd")[0], v.raw("header"), v.raw("data")
    if ins == apdu.INS_WRITE_DATA:
        data += bytes(apdu.parse_file_range(header)[2] - len(data))
    capdu = reader.command(ins, header, data, FULL)
    body = apdu.parse(capdu).data[len(header) :]
    v.maybe("ct", body[:-8])
    v.maybe("ct_prefix", body[:-24])
    v.maybe("ct_last_block", body[-24:-8])
    same_command(aes, v, capdu, ins, header, body[:-8])
    v.true(card.open(ins, header, body, FULL) == data, "open")
    finish_empty(aes, v, reader, card)


def finish_empty(aes, v, reader, card):
    """The answer without data: a MAC alone, never a padding block."""
    answer = card.seal(b"", FULL)
    v.same("resp_mact", answer)
    if v.has("resp_cmac_full"):
        bound = b"\x00" + (v.given["ctr"] + 1).to_bytes(2, "little") + v.raw("ti")
        v.same("resp_cmac_full", cmac(aes, v.raw("mac_key"), bound))
    v.true(reader.response(answer + b"\x91\x00", FULL) == b"", "response")
    v.true(reader.ctr == card.ctr == v.given["ctr"] + 1, "counters")


def run_sm_full_resp(aes, v):
    reader, card = channels(aes, v)
    ins, header, uid = v.raw("cmd")[0], v.raw("header"), v.want("uid")
    same_command(aes, v, reader.command(ins, header, b"", FULL), ins, header, b"")
    v.true(card.open(ins, header, v.want("mact"), FULL) == b"", "open")
    answer = card.seal(uid, FULL)
    v.true(answer[:-8] == v.raw("resp_ct"), "cipher text")
    v.same("resp_mact", answer[-8:])
    bound = (v.given["ctr"] + 1).to_bytes(2, "little")
    v.same("resp_cmac_full", cmac(aes, v.raw("mac_key"), b"\x00" + bound + v.raw("ti") + v.raw("resp_ct")))
    iv = aes.ecb(v.raw("enc_key"), b"\x5a\xa5" + v.raw("ti") + bound + bytes(8))
    v.same("ivr", iv)
    v.same("resp_plain", aes.cbc_decrypt(v.raw("enc_key"), iv, v.raw("resp_ct")))
    v.true(reader.response(v.raw("resp_ct") + v.want("resp_mact") + b"\x91\x00", FULL) == uid, "uid")


def run_auth_ev2_first(aes, v):
    reader = session.ReaderAuth(aes, v.given["key_no"], v.raw("key"), v.raw("rnda"))
    card = session.CardAuth(aes, v.given["key_no"], v.raw("key"), v.raw("rndb"), True, v.raw("pcdcap2"))
    v.same("capdu1", reader.start())
    v.same("e_rndb", card.challenge())
    capdu2 = reader.step(v.want("e_rndb") + b"\x91\xaf")
    v.same("capdu2", capdu2)
    answer, card_channel = card.verify(v.want("e_part2"), v.raw("ti"))
    v.same("d_resp", aes.cbc_decrypt(v.raw("key"), ZERO16, answer))
    finish_auth(aes, v, reader, card_channel, capdu2, answer)
    v.true(card_channel.ti == v.raw("ti") and card_channel.ctr == 0, "ti and counter start fresh")


def run_auth_ev2_nonfirst(aes, v):
    # The first session's identifier and an arbitrary counter: both must carry over.
    before = [session.Channel(aes, ZERO16, ZERO16, unhex("7614281A"), 7) for _ in range(2)]
    reader = session.ReaderAuth(aes, v.given["key_no"], v.raw("key"), v.raw("rnda"), False, before[0])
    card = session.CardAuth(aes, v.given["key_no"], v.raw("key"), v.raw("rndb"), False, b"", before[1])
    v.same("capdu1", reader.start())
    v.same("e_rndb", card.challenge())
    capdu2 = reader.step(v.want("e_rndb") + b"\x91\xaf")
    answer, card_channel = card.verify(v.want("e_part2"))
    v.same("d_resp", aes.cbc_decrypt(v.raw("key"), ZERO16, answer))
    finish_auth(aes, v, reader, card_channel, capdu2, answer)
    v.true(card_channel.ti == unhex("7614281A") and card_channel.ctr == 7, "ti and counter carry over")
    v.true(not before[0].alive and not before[1].alive, "the old session is wiped")


def finish_auth(aes, v, reader, card_channel, capdu2, answer):
    v.same("e_part2", apdu.parse(capdu2).data)
    v.same("e_resp", answer)
    channel = reader.finish(answer + b"\x91\x00")
    kenc, kmac = keys.session_keys(aes, v.raw("key"), v.raw("rnda"), v.raw("rndb"))
    v.same("enc", kenc)
    v.same("mac", kmac)
    v.true(cmac(aes, v.raw("key"), v.want("sv1")) == kenc, "sv1")
    v.true(cmac(aes, v.raw("key"), v.want("sv2")) == kmac, "sv2")
    same = session.Channel(aes, kenc, kmac, card_channel.ti, card_channel.ctr)
    capdu = same.command(0x51, b"", b"", FULL)
    v.true(channel.command(0x51, b"", b"", FULL) == capdu, "the reader's channel has these keys")
    v.true(card_channel.open(0x51, b"", apdu.parse(capdu).data, FULL) == b"", "and so has the card's")
    sealed = card_channel.seal(b"1234567", FULL) + b"\x91\x00"
    v.true(channel.response(sealed, FULL) == same.response(sealed, FULL) == b"1234567", "both ways")
    card_channel.ctr -= 1


def run_change_key(aes, v):
    reader, card = channels(aes, v)
    key_no, old, new, version = v.given["key_no"], v.raw("old"), v.raw("new"), v.raw("ver")[0]
    plain = keys.change_key_data(key_no, new, version, old)
    v.same("keydata", pad(plain))
    v.maybe("crc", keys.jamcrc(new))
    header = bytes((key_no,))
    capdu = reader.command(apdu.INS_CHANGE_KEY, header, plain, FULL)
    body = apdu.parse(capdu).data[1:]
    v.same("ct", body[:-8])
    same_command(aes, v, capdu, apdu.INS_CHANGE_KEY, header, body[:-8])
    opened = card.open(apdu.INS_CHANGE_KEY, header, body, FULL)
    v.true(keys.open_change_key(opened, key_no, old) == (new, version), "open_change_key")
    if key_no:
        finish_empty(aes, v, reader, card)
    else:
        reader.closing_response(b"\x91\x00")
        v.true(not v.has("resp_mact") and not reader.alive, "a bare answer ends the session")


def run_apdu_build(aes, v):
    data = v.raw("data")
    offset = v.raw("p1")[0] << 8 | v.raw("p2")[0]
    raw = apdu.update_binary(offset, data)
    v.same("lc", raw[4:5])
    v.true(raw[:4] == v.raw("cla") + v.raw("ins") + v.raw("p1") + v.raw("p2") and raw[5:] == data, "bytes")
    for ending in (b"", b"\x00"):
        v.true(apdu.parse(raw + ending).data == data, "parse, also with the document's trailing Le")


RUNNERS = {
    "an10922_aes128": run_an10922_aes128,
    "apdu_build": run_apdu_build,
    "auth_ev2_first": run_auth_ev2_first,
    "auth_ev2_nonfirst": run_auth_ev2_nonfirst,
    "change_key": run_change_key,
    "cmac": run_cmac,
    "cmac_subkeys": run_cmac_subkeys,
    "picc_dec": run_picc_dec,
    "sdm_file_dec": run_sdm_file_dec,
    "sdm_keys": run_sdm_keys,
    "sdm_mac": run_sdm_mac,
    "sm_full": run_sm_full,
    "sm_full_resp": run_sm_full_resp,
    "sm_mac": run_sm_mac,
}


def run_all(aes, vectors):
    """({id: checks made}, [ids out of scope]); an unknown kind or an unread expectation is an error."""
    ran, left = {}, []
    for entry in vectors:
        if entry["kind"] in OUT_OF_SCOPE:
            left.append(entry["id"])
            continue
        v = Vector(entry)
        RUNNERS[entry["kind"]](aes, v)
        v.true(not v.unused, f"expected values not looked at: {v.unused}")
        ran[v.id] = v.checks
    return ran, left


def main(path):
    from band.aes import CryptolibAes

    with open(path) as source:
        vectors = json.load(source)["vectors"]
    aes = CryptolibAes()
    ran, left = run_all(aes, vectors)
    print(json.dumps({"ran": ran, "out_of_scope": left}))


if __name__ == "__main__":
    main(sys.argv[1])
