"""The two files a phone reads: the capability container, and one https URL with room for the mirrors."""

from .errors import BadArgument, BadFrame
from .files import MAC_CHARS, PICC_CHARS

NDEF_FILE_SIZE = 256
CC_FILE_SIZE = 32
CC_WRITE_OFFSET = 14
PICC_MARK = "{picc}"
MAC_MARK = "{mac}"

_RECORD = b"\xd1\x01"  # one short record, well-known type, type name of one byte
_URI_HTTPS = b"\x55\x04"


def cc_file(write: int = 0x00) -> bytes:
    """The capability container. `write`: 00 tells phones the NDEF file is open, FF that it is locked."""
    used = bytes.fromhex("001720010000FF0406E104010000") + bytes((write,)) + bytes.fromhex("0506E10500808283")
    return used + bytes(CC_FILE_SIZE - len(used))


def url_file(template: str) -> tuple[bytes, int, int]:
    """(file bytes, offset of the PICC data, offset of the MAC) for an https URL.

    template: the URL without https://, with {picc} and then {mac} once each,
    for example `ship.example/t?e={picc}&c={mac}`. The placeholders are filled with zeros.
    """
    if template.count(PICC_MARK) != 1 or template.count(MAC_MARK) != 1 or "://" in template:
        raise BadArgument("URL template wants {picc} and {mac} once each, and no scheme")
    head, rest = template.split(PICC_MARK)
    if MAC_MARK not in rest:
        raise BadArgument("URL template wants {picc} before {mac}")
    middle, tail = rest.split(MAC_MARK)
    for char in head + middle + tail:
        if not "!" <= char <= "~":
            raise BadArgument("URL template must be printable ASCII without spaces")
    url = head + "0" * PICC_CHARS + middle + "0" * MAC_CHARS + tail
    size = len(url) + 1
    if size + 6 > NDEF_FILE_SIZE:
        raise BadArgument("URL of %d characters does not fit the NDEF file" % len(url))
    prefix = (size + 4).to_bytes(2, "big") + _RECORD + bytes((size,)) + _URI_HTTPS
    picc_offset = len(prefix) + len(head)
    return prefix + url.encode(), picc_offset, picc_offset + PICC_CHARS + len(middle)


def read_url(file_bytes: bytes) -> str:
    """The URL in an NDEF file of the kind url_file writes; BadFrame for any other."""
    if len(file_bytes) < 8:
        raise BadFrame("NDEF file is too short")
    size = file_bytes[4]
    end = 6 + size
    shape = bytes(file_bytes[2:4]) + bytes(file_bytes[5:7])
    nlen = file_bytes[0] << 8 | file_bytes[1]
    if shape != _RECORD + _URI_HTTPS or size < 2 or nlen != size + 4 or len(file_bytes) < end:
        raise BadFrame("NDEF file is not one https URL record")
    tail = bytes(file_bytes[7:end])
    for char in tail:
        if not 0x21 <= char <= 0x7E:
            raise BadFrame("URL is not printable ASCII")
    return "https://" + tail.decode()
