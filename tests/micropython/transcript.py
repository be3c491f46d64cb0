"""What the published vectors do not cover, as lines of text that both interpreters must print alike.

A session under a non-zero key, SDM in all its forms, token, charge, and the error each piece of junk meets.
As a script: prints one JSON list.
"""

import json

from bandwire import apdu, charge, condition, files, keys, ndef, sdm, session, token
from bandwire.aes import ZERO16
from bandwire.cmac import cmac_t, diversify
from bandwire.errors import StatusError, WireError
from bandwire.files import FULL, MAC, PLAIN


def unhex(text):
    return bytes.fromhex(text)


def counting(start, size):
    return bytes(i & 0xFF for i in range(start, start + size))


def transcript(aes):
    return session_lines(aes) + sun_lines(aes) + record_lines(aes) + refusals(aes)


def session_lines(aes):
    key, rnd_a, rnd_b, ti = counting(1, 16), counting(0x40, 16), counting(0x80, 16), b"\x01\x02\x03\x04"
    reader = session.ReaderAuth(aes, 1, key, rnd_a, wish=condition.WISH_ON)
    card = session.CardAuth(aes, 1, key, rnd_b, True, condition.WISH_ON)
    lines = [reader.start(), card.challenge()]
    lines.append(reader.step(lines[1] + b"\x91\xaf"))
    answer, at_card = card.verify(apdu.parse(lines[2]).data, ti)
    at_reader = reader.finish(answer + b"\x91\x00")
    lines.append(answer)
    for mode in (PLAIN, MAC, FULL, FULL):
        header, data = apdu.file_range(3, 0, 40), counting(mode, 40)
        capdu = at_reader.command(apdu.INS_WRITE_DATA, header, data, mode)
        body = apdu.parse(capdu).data[7:]
        assert at_card.open(apdu.INS_WRITE_DATA, header, body, mode) == data
        answer = at_card.seal(data[:33], mode)
        assert at_reader.response(answer + b"\x91\x00", mode) == data[:33]
        lines += [capdu, answer]
    return [line.hex() for line in lines]


def sun_settings():
    rights = files.rights_word(files.FREE, 4, 4, 0)
    content, picc, mac = ndef.url_file("ship.example/t?e={picc}&c={mac}")
    settings = files.sun_settings(rights, 256, files.sdm_rights_word(2, 3, 3), picc, mac, mac)
    return settings, content + bytes(256 - len(content)), picc


def sun_lines(aes):
    settings, content, picc = sun_settings()
    uid, filler = unhex("04112233445566"), counting(0xA0, 15)
    k_meta, k_file = counting(0x20, 16), counting(0x10, 16)
    lines = [content.hex(), settings.encode_change().hex(), settings.encode_settings().hex()]
    for options, meta, read in (
        (0xC1, 2, 3),
        (0xC1, 14, 3),
        (0x81, 2, 3),
        (0x41, 14, 3),
        (0x41, 15, 3),
        (0xC1, 14, 15),
        (0xD1, 2, 3),
    ):
        shape = files.FileSettings(0x40, 0xE440, 256)
        shape.sdm_options = options
        shape.sdm_rights = files.sdm_rights_word(meta, read, 3 if options & 0x40 else 15)
        shape.uid_offset, shape.ctr_offset, shape.picc_offset = 100, 120, picc
        shape.mac_input_offset, shape.enc_offset, shape.enc_length, shape.mac_offset = 140, 140, 32, 200
        again = files.parse_settings(shape.encode_settings())
        assert files.parse_change(shape.encode_change(), 256, 0).encode_change() == again.encode_change()
        lines.append(shape.encode_settings().hex())
        lines.append(sdm.render(aes, shape, content, uid, 0x010203, filler, k_meta, k_file)[:230].hex())
    return lines


def example_body():
    return token.TokenBody(
        flags=token.FLAG_ACTIVE | token.FLAG_CHILD,
        site=0x1234,
        uid=unhex("04112233445566"),
        key_version=7,
        guest_ref=counting(0x30, 8),
        cabins=[(4012, 3), (4014, 9)],
        zones=0x80000001,
        serial=2,
        deny_epoch=77,
        not_before=1750000000,
        not_after=1751000000,
    )


def record_lines(aes):
    uid, k3 = unhex("04112233445566"), counting(0x10, 16)
    body, status = example_body().pack(), token.Status(1, 513, 1750000001, 42).pack()
    request = charge.pack_request(1250, "EUR", "BAR-2", counting(0x60, 16))
    kc = charge.charge_key(aes, k3, uid)
    mac = charge.charge_mac(aes, kc, uid, request, 0x01020304)
    assert token.TokenBody.unpack(body).pack() == body
    assert token.Status.unpack(status).pack() == status
    assert charge.verify(aes, kc, uid, request, 0x01020304, mac)
    return [
        body.hex(),
        status.hex(),
        token.signing_input(body).hex(),
        request.hex(),
        kc.hex(),
        charge.pack_response(0x01020304, mac).hex(),
        keys.card_key(aes, k3, uid, 3, 0x1234, 7).hex(),
        keys.meta_key(aes, k3, 0x1234, 7).hex(),
        diversify(aes, k3, uid).hex(),
        diversify(aes, k3, counting(1, 31)).hex(),
        cmac_t(aes, k3, uid).hex(),
        ndef.cc_file(0xFF).hex(),
    ]


def refusals(aes):
    """The code of the error each piece of junk meets; anything but a WireError fails the run."""
    body = example_body().pack()
    cases = (
        lambda: apdu.parse(b""),
        lambda: apdu.parse(unhex("00A40400000002AABB")),
        lambda: apdu.split(b"\x91"),
        lambda: apdu.native(0xAD, bytes(256)),
        lambda: files.parse_change(unhex("4000E0C1F121180000"), 256, 0),
        lambda: files.parse_change(unhex("4000E0C1F121F000003B00003B0000"), 256, 0),
        lambda: token.TokenBody.unpack(b"\x02" + body[1:]),
        lambda: token.Status.unpack(bytes(16)),
        lambda: charge.unpack_request(bytes(31)),
        lambda: charge.unpack_request(bytes(30)),
        lambda: charge.pack_request(1 << 32, "EUR", "T", bytes(16)),
        lambda: ndef.read_url(bytes(256)),
        lambda: sdm.read_sun(bytes(256), 24, 59),
        lambda: sdm.open_picc(aes, ZERO16, bytes(16)),
        lambda: keys.open_change_key(bytes(21), 1, ZERO16),
        lambda: keys.card_key(aes, ZERO16, bytes(7), 2, 1, 1),
        lambda: session.CardAuth(aes, 0, ZERO16, counting(1, 16)).verify(bytes(32), bytes(4)),
        lambda: session.Channel(aes, ZERO16, ZERO16, bytes(4)).open(0x51, b"", bytes(8), FULL),
        lambda: session.Channel(aes, ZERO16, ZERO16, bytes(4), 0xFFFF).open(0x51, b"", b"", PLAIN),
        lambda: aes.ecb(bytes(15), ZERO16),
        lambda: aes.cbc_encrypt(ZERO16, ZERO16, bytes(15)),
        lambda: aes.cbc_decrypt(ZERO16, bytes(8), ZERO16),
    )
    codes = []
    for number, case in enumerate(cases):
        try:
            case()
        except WireError as error:
            codes.append(error.code)
        else:
            raise AssertionError(f"junk {number} was taken")
    codes.append(str(StatusError(0x91AE)))
    return codes


def main():
    from band.aes import CryptolibAes

    print(json.dumps(transcript(CryptolibAes())))


if __name__ == "__main__":
    main()
