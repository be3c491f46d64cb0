"""What the card remembers across power cuts, decoded in RAM over the record store.

Every method that changes something writes flash first and RAM second: if it raises, nothing has changed.
A change that touches two records is one write all the same. A counter is stored with the epoch of what it
belongs to (its key's, its file's SDM setting's) and counts as zero when that epoch has moved on; so changing a key
also clears its failure counters, and switching SDM on also clears its read counter, in a single record.

| record | payload | bytes |
|---|---|---|
| id | UID 7, flags 1 (bit 0 Random ID) | 8 |
| keys | 5 x (key 16, version 1, epoch LE2) | 95 |
| hot | SDM epoch LE2, SDMReadCtr LE3, charge counter LE4, 5 x (epoch LE2, Tot LE2, Seq 1, Spent LE2) | 44 |
| s1 s2 s3 | SDM epoch LE2, GetFileSettings answer | up to 48 |
| f1 f2 f3 | file content | 32, 256, 128 |
| radio | epoch of key 0 LE2, then radio.py's own; made when the radio is first switched on | 9 |
"""

from bandwire.errors import BadFrame
from bandwire.files import FileSettings, parse_settings, rights_word
from bandwire.keys import FACTORY_KEY, KEY_COUNT, initial_key, open_enrolment

from .errors import BoardError, RecordDamaged
from .store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bandwire.aes import Aes

FILE_SIZES = {1: 32, 2: 256, 3: 128}
_NAMES = ("id", "keys", "hot", "s1", "s2", "s3", "f1", "f2", "f3")
_RADIO = "radio"
_KEY_ITEM = 19
_FAIL_ITEM = 7
_FAIL_START = 9
_RANDOM_ID = 0x01
_CC = b"\x00\x17\x20\x01\x00\x00\xff\x04\x06\xe1\x04\x01\x00\x00\x00\x05\x06\xe1\x05\x00\x80\x82\x83"
_FACTORY = {
    1: (0, rights_word(0xE, 0, 0, 0)),
    2: (0, rights_word(0xE, 0xE, 0xE, 0)),
    3: (3, rights_word(2, 3, 3, 0)),
}


def factory_records(uid: bytes, keys: "Sequence[bytes]" = (FACTORY_KEY,) * KEY_COUNT) -> dict[str, bytes]:
    """The records of a card as it leaves the factory."""
    records = {"id": uid + b"\x00", "keys": b"".join([key + bytes(3) for key in keys])}
    records["hot"] = bytes(_FAIL_START + _FAIL_ITEM * KEY_COUNT)
    for number in FILE_SIZES:
        option, rights = _FACTORY[number]
        settings = FileSettings(option, rights, FILE_SIZES[number])
        records["s%d" % number] = bytes(2) + settings.encode_settings()
        records["f%d" % number] = bytes(FILE_SIZES[number])
    records["f1"] = _CC + bytes(FILE_SIZES[1] - len(_CC))
    return records


def enrolled_keys(aes: "Aes", file: bytes, uid: bytes) -> list[bytes]:
    """The first keys of a band that a station has enrolled: known to no other. BoardError if the file is not whole."""
    try:
        secret = open_enrolment(file, uid)
    except BadFrame as err:
        raise BoardError("%s: flash this board again" % err) from None
    return [initial_key(aes, secret, number) for number in range(KEY_COUNT)]


def is_new(store: Store) -> bool:
    """Whether the flash was never completely formatted."""
    return store.is_new(_NAMES)


class Card:
    """Raises RecordDamaged where a record is not readable, WriteFailed where flash refuses a change.

    before_write is called ahead of each flash write, to win time from the reader.
    """

    def __init__(self, store: Store, before_write: "Callable[[], None]") -> None:
        self._store = store
        self._before_write = before_write
        self._records: dict[str, bytes] = {}
        self._settings: dict[int, FileSettings] = {}
        self.damaged: list[str] = []
        self.charges = 0  # signed since the start
        for name in _NAMES:
            try:
                self._records[name] = store.read(name)
            except RecordDamaged:
                self.damaged.append(name)
        self._radio: bytes | None = None
        try:
            self._radio = store.read_later(_RADIO)
        except RecordDamaged:
            self.damaged.append(_RADIO)

    # identity

    @property
    def uid(self) -> bytes:
        return self._get("id")[:7]

    @property
    def random_id(self) -> bool:
        return bool(self._get("id")[7] & _RANDOM_ID)

    def enable_random_id(self) -> None:
        self._put("id", self.uid + bytes((_RANDOM_ID,)))

    # keys

    def key(self, number: int) -> bytes:
        at = number * _KEY_ITEM
        return self._get("keys")[at : at + 16]

    def key_version(self, number: int) -> int:
        return self._get("keys")[number * _KEY_ITEM + 16]

    def change_key(self, number: int, key: bytes, version: int) -> None:
        """Also takes the key's failure counters back to zero, by its new epoch."""
        epoch = (self._key_epoch(number) + 1) & 0xFFFF
        item = key + bytes((version,)) + epoch.to_bytes(2, "little")
        self._put("keys", _splice(self._get("keys"), number * _KEY_ITEM, item))

    # failed authentications

    def failures(self, key_no: int) -> tuple[int, int, int]:
        """(TotFailCtr, SeqFailCtr, SpentTimeCtr) of a key."""
        at = _FAIL_START + key_no * _FAIL_ITEM
        hot = self._get("hot")
        if _int(hot, at, 2) != self._key_epoch(key_no):
            return 0, 0, 0
        return _int(hot, at + 2, 2), hot[at + 4], _int(hot, at + 5, 2)

    def set_failures(self, key_no: int, total: int, sequence: int, spent: int) -> None:
        item = self._key_epoch(key_no).to_bytes(2, "little") + min(total, 0xFFFF).to_bytes(2, "little")
        item += bytes((min(sequence, 255),)) + spent.to_bytes(2, "little")
        self._put("hot", _splice(self._get("hot"), _FAIL_START + key_no * _FAIL_ITEM, item))

    # radio

    @property
    def radio(self) -> bytes:
        """What put_radio() stored under the present key 0; empty if nothing was: its next guest begins anew."""
        record = self._radio
        if record is None or "keys" in self.damaged or _int(record, 0, 2) != self._key_epoch(0):
            return b""
        return record[2:]

    def put_radio(self, payload: bytes) -> None:
        """Between taps only: no reader is asked to wait for it."""
        if _RADIO in self.damaged:
            raise RecordDamaged("record %s is damaged" % _RADIO)
        record = self._key_epoch(0).to_bytes(2, "little") + payload
        if self._radio is None:
            self._store.make(_RADIO, record)
        else:
            self._store.write(_RADIO, record)
        self._radio = record

    # files

    def settings(self, number: int) -> FileSettings:
        """Parsed once; not to be changed by the caller."""
        settings = self._settings.get(number)
        if settings is None:
            settings = self._settings[number] = parse_settings(self._get("s%d" % number)[2:])
        return settings

    def change_settings(self, number: int, settings: FileSettings) -> None:
        """Switching SDM on also takes its read counter to zero, by the file's new SDM epoch."""
        epoch = _int(self._get("s%d" % number), 0, 2)
        if settings.sdm and not self.settings(number).sdm:
            epoch = (epoch + 1) & 0xFFFF
        self._put("s%d" % number, epoch.to_bytes(2, "little") + settings.encode_settings())
        self._settings.pop(number, None)

    def content(self, number: int) -> bytes:
        return self._get("f%d" % number)

    def write_content(self, number: int, offset: int, data: bytes) -> None:
        """All of it or nothing, whatever the power does. The caller has checked the bounds."""
        self._put("f%d" % number, _splice(self.content(number), offset, data))

    # counters

    @property
    def sdm_counter(self) -> int:
        """SDMReadCtr of file 02."""
        hot = self._get("hot")
        return _int(hot, 2, 3) if hot[:2] == self._get("s2")[:2] else 0

    def count_sdm_read(self) -> int:
        counter = self.sdm_counter + 1
        item = self._get("s2")[:2] + counter.to_bytes(3, "little")
        self._put("hot", _splice(self._get("hot"), 0, item))
        return counter

    @property
    def charge_counter(self) -> int:
        return _int(self._get("hot"), 5, 4)

    def count_charge(self) -> int:
        """The next charge counter, stored before it is returned."""
        counter = self.charge_counter + 1
        self._put("hot", _splice(self._get("hot"), 5, counter.to_bytes(4, "little")))
        self.charges += 1
        return counter

    def _key_epoch(self, number: int) -> int:
        return _int(self._get("keys"), number * _KEY_ITEM + 17, 2)

    def _get(self, name: str) -> bytes:
        payload = self._records.get(name)
        if payload is None:
            raise RecordDamaged("record %s is damaged" % name)
        return payload

    def _put(self, name: str, payload: bytes) -> None:
        if payload == self._records.get(name):
            return  # flash wears; nothing would be different
        self._before_write()
        self._store.write(name, payload)
        self._records[name] = payload


def _int(data: bytes, start: int, size: int) -> int:
    return int.from_bytes(data[start : start + size], "little")


def _splice(data: bytes, at: int, item: bytes) -> bytes:
    return data[:at] + item + data[at + len(item) :]
