"""File settings: GetFileSettings answers and ChangeFileSettings requests, with every rule of the chip."""

from .errors import BadFrame, BadParameter
from .ints import from_le, le

FILE_CC = 1
FILE_NDEF = 2
FILE_TOKEN = 3

FREE = 0xE  # an access right anyone has
NEVER = 0xF  # an access right nobody has

PLAIN = 0
MAC = 1
FULL = 3

OPTION_SDM = 0x40
SDM_UID = 0x80
SDM_COUNTER = 0x40
SDM_LIMIT = 0x20
SDM_ENCRYPT = 0x10
SDM_ASCII = 0x01
NO_MIRROR = 0xFFFFFF  # as ctr_offset: count the reads but do not show the counter

UID_CHARS = 14
COUNTER_CHARS = 6
PICC_CHARS = 32
MAC_CHARS = 16


def is_key(nibble: int) -> bool:
    """Whether an access-right nibble names one of the five keys."""
    return nibble <= 4


def rights_word(read: int, write: int, rw: int, change: int) -> int:
    return read << 12 | write << 8 | rw << 4 | change


def sdm_rights_word(meta: int, read: int, ctr_ret: int) -> int:
    return meta << 12 | read << 8 | 0xF0 | ctr_ret


def read_limit(mode: int) -> int:
    """Most plain bytes one ReadData can answer in `mode`."""
    return {PLAIN: 256, MAC: 248, FULL: 239}[mode]


def write_limit(mode: int) -> int:
    """Most plain bytes one WriteData can carry in `mode`."""
    return {PLAIN: 248, MAC: 240, FULL: 239}[mode]


class FileSettings:
    """One file's settings. `rights` and `sdm_rights` are the 16-bit words of the wire.

    Offsets, `enc_length` and `limit` are 0 where `fields()` does not name them.
    """

    __slots__ = (
        "ctr_offset",
        "enc_length",
        "enc_offset",
        "limit",
        "mac_input_offset",
        "mac_offset",
        "option",
        "picc_offset",
        "rights",
        "sdm_options",
        "sdm_rights",
        "size",
        "uid_offset",
    )

    def __init__(self, option: int, rights: int, size: int) -> None:
        self.option = option
        self.rights = rights
        self.size = size
        self.sdm_options = 0
        self.sdm_rights = 0xFFFF
        self.uid_offset = 0
        self.ctr_offset = 0
        self.picc_offset = 0
        self.mac_input_offset = 0
        self.enc_offset = 0
        self.enc_length = 0
        self.mac_offset = 0
        self.limit = 0

    @property
    def mode(self) -> int:
        return self.option & 3 if self.option & 1 else PLAIN

    @property
    def sdm(self) -> bool:
        return bool(self.option & OPTION_SDM)

    @property
    def read(self) -> int:
        return self.rights >> 12 & 0xF

    @property
    def write(self) -> int:
        return self.rights >> 8 & 0xF

    @property
    def rw(self) -> int:
        return self.rights >> 4 & 0xF

    @property
    def change(self) -> int:
        return self.rights & 0xF

    @property
    def meta(self) -> int:
        return self.sdm_rights >> 12 & 0xF

    @property
    def sdm_read(self) -> int:
        return self.sdm_rights >> 8 & 0xF

    @property
    def ctr_ret(self) -> int:
        return self.sdm_rights & 0xF

    @property
    def mirrors_uid(self) -> bool:
        return self.sdm and bool(self.sdm_options & SDM_UID) and self.meta != NEVER

    @property
    def mirrors_counter(self) -> bool:
        if not self.sdm or not self.sdm_options & SDM_COUNTER or self.meta == NEVER:
            return False
        return self.meta != FREE or self.ctr_offset != NO_MIRROR

    def fields(self) -> list[str]:
        """The three-byte SDM fields present, in wire order."""
        if not self.sdm:
            return []
        options, names = self.sdm_options, []
        if options & SDM_UID and self.meta == FREE:
            names.append("uid_offset")
        if options & SDM_COUNTER and self.meta == FREE:
            names.append("ctr_offset")
        if is_key(self.meta):
            names.append("picc_offset")
        if is_key(self.sdm_read):
            names.append("mac_input_offset")
            if options & SDM_ENCRYPT:
                names.append("enc_offset")
                names.append("enc_length")
            names.append("mac_offset")
        if options & SDM_LIMIT:
            names.append("limit")
        return names

    def encode_change(self) -> bytes:
        """ChangeFileSettings CmdData."""
        return bytes((self.option,)) + le(self.rights, 2, "access rights") + self._encode_sdm()

    def encode_settings(self) -> bytes:
        """GetFileSettings RespData."""
        head = bytes((0, self.option)) + le(self.rights, 2, "access rights")
        return head + le(self.size, 3, "file size") + self._encode_sdm()

    def check(self, counter: int) -> None:
        """BadParameter unless a card whose SDM counter stands at `counter` may take these settings."""
        if self.option & 0xBC:
            raise BadParameter("file option has reserved bits set")
        for nibble in (self.read, self.write, self.rw, self.change):
            _check_nibble(nibble, True, "access right")
        if self.sdm:
            self._check_sdm_options()
            self._check_sdm_offsets()
            if self.sdm_options & SDM_LIMIT and self.limit <= counter:
                raise BadParameter("read limit is not above the present counter")

    def _encode_sdm(self) -> bytes:
        if not self.sdm:
            return b""
        out = bytes((self.sdm_options,)) + le(self.sdm_rights, 2, "SDM access rights")
        for name in self.fields():
            out += le(getattr(self, name), 3, name)
        return out

    def _take_sdm(self, data: bytes) -> None:
        """Read SDMOptions and all after it; BadFrame if a byte is missing or left over."""
        if self.sdm and len(data) >= 3:
            self.sdm_options = data[0]
            self.sdm_rights = from_le(data, 1, 2)
            names, at = self.fields(), 3
            if len(data) == 3 + 3 * len(names):
                for name in names:
                    setattr(self, name, from_le(data, at, 3))
                    at += 3
                return
        elif not self.sdm and not data:
            return
        raise BadFrame("file settings have a field too many or too few")

    def _check_sdm_options(self) -> None:
        options, meta, read = self.sdm_options, self.meta, self.sdm_read
        _check_nibble(meta, True, "SDM meta read right")
        _check_nibble(read, False, "SDM file read right")
        _check_nibble(self.ctr_ret, True, "SDM counter right")
        if options & 0x0F != SDM_ASCII or self.sdm_rights & 0xF0 != 0xF0:
            raise BadParameter("SDM reserved bits are wrong")
        if meta != NEVER and not options & (SDM_UID | SDM_COUNTER):
            raise BadParameter("SDM meta read right without UID or counter")
        if meta == NEVER and options & SDM_UID:
            raise BadParameter("SDM shows a UID that nobody may read")
        if self.ctr_ret != NEVER and not options & SDM_COUNTER:
            raise BadParameter("SDM counter right without a counter")
        if options & SDM_LIMIT and not options & SDM_COUNTER:
            raise BadParameter("SDM read limit without a counter")
        both = SDM_UID | SDM_COUNTER
        if options & SDM_ENCRYPT and (read == NEVER or options & both != both):
            raise BadParameter("SDM file encryption wants a file read key, UID and counter")

    def _check_sdm_offsets(self) -> None:
        names, spans = self.fields(), []
        if "uid_offset" in names:
            spans.append((self.uid_offset, UID_CHARS))
        if "ctr_offset" in names and self.ctr_offset != NO_MIRROR:
            spans.append((self.ctr_offset, COUNTER_CHARS))
        if "picc_offset" in names:
            spans.append((self.picc_offset, PICC_CHARS))
        if "mac_offset" in names:
            if self.mac_input_offset > self.mac_offset:
                raise BadParameter("SDM MAC input starts after the MAC")
            spans.append((self.mac_offset, MAC_CHARS))
        if "enc_offset" in names:
            self._check_encrypted_span()
            spans.append((self.enc_offset, self.enc_length))
        spans.sort()
        end = 0
        for start, length in spans:
            if start < end:
                raise BadParameter("SDM mirrors overlap")
            end = start + length
            if end > self.size:
                raise BadParameter("SDM mirror runs past the end of the file")

    def _check_encrypted_span(self) -> None:
        if self.enc_offset < self.mac_input_offset:
            raise BadParameter("SDM encrypted data starts before the MAC input")
        if not self.enc_length or self.enc_length % 32:
            raise BadParameter("SDM encrypted length is not a multiple of 32")
        if self.enc_offset + self.enc_length > self.mac_offset:
            raise BadParameter("SDM encrypted data runs into the MAC")


def parse_settings(data: bytes) -> FileSettings:
    """A GetFileSettings answer. BadFrame for its shape; the values are the card's to keep."""
    if len(data) < 7 or data[0] != 0:
        raise BadFrame("not the settings of a standard data file")
    settings = FileSettings(data[1], from_le(data, 2, 2), from_le(data, 4, 3))
    settings._take_sdm(data[7:])
    return settings


def parse_change(data: bytes, size: int, counter: int) -> FileSettings:
    """ChangeFileSettings CmdData for a file of `size` bytes whose SDM counter stands at `counter`.

    BadFrame: 917E. BadParameter: 919E. Which file may have SDM and who may change it is the card's to check.
    """
    if len(data) < 3:
        raise BadFrame("file settings of %d bytes are too short" % len(data))
    settings = FileSettings(data[0], from_le(data, 1, 2), size)
    settings._take_sdm(data[3:])
    settings.check(counter)
    return settings


def sun_settings(
    rights: int, size: int, sdm_rights: int, picc_offset: int, mac_input_offset: int, mac_offset: int
) -> FileSettings:
    """A plain file mirroring encrypted UID and counter, and a MAC: the set-up of our NDEF file."""
    settings = FileSettings(OPTION_SDM | PLAIN, rights, size)
    settings.sdm_options = SDM_UID | SDM_COUNTER | SDM_ASCII
    settings.sdm_rights = sdm_rights
    settings.picc_offset = picc_offset
    settings.mac_input_offset = mac_input_offset
    settings.mac_offset = mac_offset
    return settings


def _check_nibble(nibble: int, free_allowed: bool, what: str) -> None:
    if is_key(nibble) or nibble == NEVER or (nibble == FREE and free_allowed):
        return
    raise BadParameter("%s names no key" % what)
