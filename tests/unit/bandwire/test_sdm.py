import pytest
from tests.unit.bandwire import reference
from tests.unit.bandwire.reference import counting

from bandwire import files, ndef, sdm
from bandwire.errors import BadArgument, BadFrame
from bandwire.files import FileSettings
from steward.adapters.aes import HostAes

AES = HostAes()
UID = bytes.fromhex("04112233445566")
K_META, K_FILE, FILLER = counting(0x20, 16), counting(0x10, 16), counting(0xA0, 5)


def sun_file(mac_input_at_picc: bool = False) -> tuple[FileSettings, bytes]:
    """The worked example's settings and the whole 256-byte file."""
    content, picc, mac = ndef.url_file("ship.example/t?e={picc}&c={mac}")
    word = files.sdm_rights_word(2, 1, 1)
    settings = files.sun_settings(0xE000, 256, word, picc, picc if mac_input_at_picc else mac, mac)
    return settings, content + bytes(256 - len(content))


def shape(options: int, meta: int, read: int, **fields: int) -> FileSettings:
    settings = FileSettings(0x40, 0xE000, 256)
    settings.sdm_options, settings.sdm_rights = options, files.sdm_rights_word(meta, read, 15)
    for name, value in fields.items():
        setattr(settings, name, value)
    return settings


def render(settings: FileSettings, content: bytes, ctr: int = 1) -> bytes:
    return sdm.render(AES, settings, content, UID, ctr, FILLER, K_META, K_FILE)


@pytest.mark.parametrize(("covering", "mac"), [(False, "D1E373D67DE12734"), (True, "6B21C4D907712923")])
def test_the_worked_example(covering: bool, mac: str) -> None:
    settings, content = sun_file(covering)
    assert sdm.picc_data(UID, 1, FILLER).hex().upper() == "C704112233445566010000A0A1A2A3A4"
    _, kmac = sdm.sdm_keys(AES, K_FILE, UID, b"\x01\x00\x00")
    assert kmac.hex().upper() == "221B47F1C4EAF71093258C3734449A04"
    rendered = render(settings, content)
    assert rendered[24:56] == b"3E63F71FD1A190C1E5C60AA99749559C"
    assert rendered[59:75].decode() == mac
    assert rendered[:24] + rendered[56:59] + rendered[75:] == content[:24] + content[56:59] + content[75:]


def test_reader_reads_what_the_card_rendered() -> None:
    settings, content = sun_file(True)
    rendered = render(settings, content, 0x010203)
    enc, mac = sdm.read_sun(rendered, settings.picc_offset, settings.mac_offset)
    assert sdm.open_picc(AES, K_META, enc) == (UID, 0x010203)
    covered = rendered[24:59]
    assert sdm.verify_sun(AES, K_FILE, UID, 0x010203, mac, covered)
    for wrong in (
        sdm.verify_sun(AES, K_FILE, UID, 0x010204, mac, covered),
        sdm.verify_sun(AES, K_FILE, UID[::-1], 0x010203, mac, covered),
        sdm.verify_sun(AES, K_META, UID, 0x010203, mac, covered),
        sdm.verify_sun(AES, K_FILE, UID, 0x010203, mac, covered[1:]),
        sdm.verify_sun(AES, K_FILE, UID, 0x010203, mac[:4], covered),
        sdm.verify_sun(AES, K_FILE, UID, 0x010203, b"", covered),
    ):
        assert not wrong


def test_the_url_of_a_tap_is_a_url() -> None:
    settings, content = sun_file()
    assert ndef.read_url(render(settings, content)).endswith("?e=3E63F71FD1A190C1E5C60AA99749559C&c=D1E373D67DE12734")


def test_plain_mirrors_show_the_counter_most_significant_first() -> None:
    settings = shape(0xC1, files.FREE, 1, uid_offset=10, ctr_offset=30, mac_input_offset=60, mac_offset=60)
    rendered = render(settings, bytes(256), 0x0A0B0C)
    assert rendered[10:24] == b"04112233445566"
    assert rendered[30:36] == b"0A0B0C"
    kmac = reference.full_cmac(K_FILE, bytes.fromhex("3CC300010080") + UID + bytes.fromhex("0C0B0A"))
    assert rendered[60:76].decode() == reference.short_cmac(kmac, b"").hex().upper()


@pytest.mark.parametrize(
    ("options", "meta", "counter_at", "bound"),
    [
        (0x81, 2, 30, UID + bytes(3)),
        (0x81, files.FREE, 30, UID + bytes(3)),
        (0x41, 2, 30, b"\x01\x00\x00" + bytes(7)),
        (0x41, files.FREE, 30, b"\x01\x00\x00" + bytes(7)),
        (0x41, files.NEVER, 30, bytes(10)),
        (0xC1, files.FREE, files.NO_MIRROR, UID + bytes(3)),
        (0x41, files.FREE, files.NO_MIRROR, bytes(10)),
    ],
)
def test_the_mac_key_binds_only_what_is_shown(options: int, meta: int, counter_at: int, bound: bytes) -> None:
    settings = shape(
        options, meta, 1, uid_offset=10, ctr_offset=counter_at, picc_offset=100, mac_input_offset=60, mac_offset=60
    )
    rendered = sdm.render(AES, settings, bytes(256), UID, 1, counting(0, 15), K_META, K_FILE)
    # Six bytes of label and up to ten bound ones fill exactly one block, so absent items are zeros at its end.
    kmac = reference.full_cmac(K_FILE, bytes.fromhex("3CC300010080") + bound)
    assert rendered[60:76].decode() == reference.short_cmac(kmac, b"").hex().upper()


@pytest.mark.parametrize(("uid", "ctr_lsb"), [(UID, b""), (b"", b"\x01\x00\x00"), (b"", b"")])
def test_there_is_no_encryption_key_unless_uid_and_counter_show(uid: bytes, ctr_lsb: bytes) -> None:
    kenc, kmac = sdm.sdm_keys(AES, K_FILE, uid, ctr_lsb)
    assert kenc == b""
    assert kmac == reference.full_cmac(K_FILE, (bytes.fromhex("3CC300010080") + uid + ctr_lsb).ljust(16, b"\x00"))


def test_mirrors_without_a_file_key_have_no_mac() -> None:
    rendered = render(shape(0xC1, 2, files.NEVER, picc_offset=100, mac_offset=60), bytes(256))
    assert rendered[:100] == bytes(100)
    assert rendered[132:] == bytes(124)
    assert sdm.open_picc(AES, K_META, bytes.fromhex(rendered[100:132].decode())) == (UID, 1)


def test_encrypted_file_data() -> None:
    content = counting(0, 256)
    settings = shape(0xD1, 2, 1, picc_offset=200, mac_input_offset=20, enc_offset=40, enc_length=64, mac_offset=110)
    rendered = render(settings, content, 7)
    kenc = reference.full_cmac(K_FILE, bytes.fromhex("C33C00010080") + UID + b"\x07\x00\x00")
    enc = bytes.fromhex(rendered[40:104].decode())
    iv = reference.ecb(kenc, b"\x07" + bytes(15))
    assert enc == reference.cbc(kenc, iv, content[40:72])
    assert sdm.decrypt_file(AES, kenc, 7, enc) == content[40:72]
    kmac = reference.full_cmac(K_FILE, bytes.fromhex("3CC300010080") + UID + b"\x07\x00\x00")
    assert rendered[110:126].decode() == reference.short_cmac(kmac, rendered[20:110]).hex().upper()
    assert rendered[:40] == content[:40]
    assert rendered[104:110] == content[104:110]


@pytest.mark.parametrize(
    ("tag", "fixed", "want"),
    [(0xC7, 5, (0xC7, UID, 9)), (0x87, 8, (0x87, UID, None)), (0x40, 12, (0x40, None, 9))],
)
def test_picc_data_skips_what_its_tag_leaves_out(
    tag: int, fixed: int, want: tuple[int, bytes | None, int | None]
) -> None:
    plain = sdm.picc_data(UID, 9, counting(0x50, 15), tag)
    assert len(plain) == 16
    assert plain[16 - fixed :] == counting(0x50, fixed)
    assert sdm.parse_picc(plain) == want
    with pytest.raises(BadArgument, match="filler"):
        sdm.picc_data(UID, 9, bytes(fixed - 1), tag)


@pytest.mark.parametrize("tag", [0x00, 0x80, 0x84, 0x47, 0xC4, 0xC6, 0xD7, 0xE7, 0xFF])
def test_other_tags_are_refused(tag: int) -> None:
    with pytest.raises(BadFrame, match="tag"):
        sdm.parse_picc(bytes((tag,)) + bytes(15))


def test_the_reader_wants_uid_and_counter_under_the_right_key() -> None:
    for tag in (0x87, 0x40):
        with pytest.raises(BadFrame, match="lacks"):
            sdm.open_picc(AES, K_META, sdm.seal_picc(AES, K_META, UID, 1, bytes(15), tag))
    with pytest.raises(BadFrame):
        sdm.open_picc(AES, K_FILE, sdm.seal_picc(AES, K_META, UID, 1, FILLER))
    for size in (0, 15, 17, 32):
        with pytest.raises(BadFrame):
            sdm.open_picc(AES, K_META, bytes(size))


@pytest.mark.parametrize("junk", [b"G", b" ", b"\xff", b"\x00", "\u0660".encode()[:1]])
def test_read_sun_wants_hex(junk: bytes) -> None:
    settings, content = sun_file()
    rendered = render(settings, content)
    for at in (24, 55, 59, 74):
        with pytest.raises(BadFrame, match="hex"):
            sdm.read_sun(rendered[:at] + junk + rendered[at + 1 :], 24, 59)
    with pytest.raises(BadFrame):
        sdm.read_sun(rendered[:74], 24, 59)


def test_our_own_mistakes_are_told() -> None:
    settings, content = sun_file()
    with pytest.raises(BadArgument, match="past the end"):
        render(settings, content[:60])
    with pytest.raises(BadArgument, match="counter"):
        sdm.picc_data(UID, 1 << 24, FILLER)
    with pytest.raises(BadArgument, match="UID"):
        sdm.picc_data(UID[:4], 1, FILLER)
    with pytest.raises(BadFrame):
        sdm.decrypt_file(AES, K_FILE, 1, bytes(15))
