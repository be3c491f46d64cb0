"""Runs on MicroPython: the power is cut at every write of an update, of the trial that follows, and of its confirming.

Two releases come in one life, 8 and then 9, so that 9 finds a slot that is ready to be tried.

argv: `folder` or `flash`, the containers, the public key in hex, and a folder to use. Prints one JSON object.
"""

import builtins
import json
import os
import sys
from binascii import unhexlify

import band.slotfiles
import band.slots
import band.update
import loader
from bandwire import release

OLD = {"band/app.mpy": b"old" * 700, "band/gone.mpy": b"gone", "bandwire/wire.mpy": b"w" * 5000}
LIVES, LIVES_MAX = 3, 8  # that a band needs for an update without a cut, and at most after one
PIECE = 700
BLOCK, BLOCKS = 4096, 64


class Cut(Exception):
    pass


class FakeBoard:
    def __init__(self):
        self.time_ms = 0

    def battery_percent(self):
        return 80

    def charging(self):
        return False

    def now_ms(self):
        return self.time_ms

    def restart(self):
        raise Cut


class Counter:
    """Counts writes. At the cut, half of what is written arrives, and nothing after it."""

    def __init__(self):
        self.left = None
        self.count = 0

    def write(self):
        self.count += 1
        if self.left is not None:
            self.left -= 1
            return self.left >= 0
        return True


class CutFile:
    def __init__(self, file, counter):
        self.file = file
        self.counter = counter

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def close(self):
        self.file.close()

    def flush(self):
        self.file.flush()

    def read(self, *size):
        return self.file.read(*size)

    def readinto(self, buffer):
        return self.file.readinto(buffer)

    def write(self, data):
        if not self.counter.write():
            self.file.write(data[: len(data) // 2])
            raise Cut
        return self.file.write(data)


class CutOs:
    def __init__(self, counter):
        self.counter = counter
        self.stat, self.statvfs, self.listdir = os.stat, os.statvfs, os.listdir

    def __getattr__(self, name):
        def changed(*arguments):
            if not self.counter.write():
                raise Cut
            return getattr(os, name)(*arguments)

        return changed


class Folder:
    """Files in a folder: each open for writing, write, removal and new folder is a step."""

    def __init__(self, top):
        self.root = top + "/root"
        self.counter = Counter()
        os.mkdir(self.root)
        plain = self.plain = builtins.open

        def cutting(path, mode="r"):
            if mode[0] == "w" and not self.counter.write():
                raise Cut
            return CutFile(plain(path, mode), self.counter)

        builtins.open = cutting
        band.slotfiles.os = CutOs(self.counter)

    def fresh(self):
        clear(self.root)
        make(self.root)

    def power(self):
        self.counter.left = None

    def end(self):
        pass


class Chip:
    """Dead, it answers with an error number and takes no memory: files of a life that has ended are still closed."""

    def __init__(self, counter, flash):
        self.flash = flash
        self.counter = counter
        self.dead = False

    def readblocks(self, block, buffer, offset=0):
        if self.dead:
            return -5
        at = block * BLOCK + offset
        buffer[:] = memoryview(self.flash)[at : at + len(buffer)]
        return 0

    def writeblocks(self, block, buffer, offset=0):
        if self.dead:
            return -5
        at = block * BLOCK + offset
        if not self.counter.write():
            self.dead = True
            half = len(buffer) // 2
            self.flash[at : at + half] = memoryview(buffer)[:half]
            return -5
        self.flash[at : at + len(buffer)] = buffer
        return 0

    def ioctl(self, what, argument):
        if self.dead:
            return -5
        if what == 6:
            at = argument * BLOCK
            self.flash[at : at + BLOCK] = b"\xff" * BLOCK
        return {4: BLOCKS, 5: BLOCK, 6: 0}.get(what, 0)


class Flash:
    """LittleFS on a chip: each program operation is a step."""

    def __init__(self, top):
        import vfs

        self.vfs = vfs
        self.root = "/flash"
        self.counter = Counter()
        self.chip = Chip(self.counter, bytearray(b"\xff" * (BLOCK * BLOCKS)))
        self.lfs(vfs.VfsLfs2.mkfs)
        self.mount()
        make(self.root)
        self.vfs.umount(self.root)
        self.first = bytes(self.chip.flash)

    def lfs(self, what):
        return what(self.chip, progsize=256, readsize=32, lookahead=32)

    def mount(self):
        self.vfs.mount(self.lfs(self.vfs.VfsLfs2), self.root)

    def fresh(self):
        self.start(self.first)

    def power(self):
        self.chip.dead = True
        self.vfs.umount(self.root)
        self.start(self.chip.flash)

    def end(self):
        self.chip.dead = True
        self.vfs.umount(self.root)

    def start(self, flash):
        self.counter.left = None
        self.chip = Chip(self.counter, bytearray(flash))
        self.mount()


def clear(top):
    for name in os.listdir(top):
        path = top + "/" + name
        if os.stat(path)[0] & 0x4000:
            clear(path)
            os.rmdir(path)
        else:
            os.remove(path)


def make(root):
    for folder in ("/slots", "/a", "/a/band", "/a/bandwire"):
        os.mkdir(root + folder)
    for name, data in loader.born(7, 3).items():
        with open(root + "/" + name, "wb") as file:
            file.write(data)
    for name, data in OLD.items():
        with open(root + "/a/" + name, "wb") as file:
            file.write(data)


def files_of(folder, path=""):
    found = {}
    for name in os.listdir(folder + path):
        inner = path + "/" + name
        if os.stat(folder + inner)[0] & 0x4000:
            found.update(files_of(folder, inner))
        else:
            with open(folder + inner, "rb") as file:
                found[inner[1:]] = file.read()
    return found


def boots(root):
    """The number of what runs after this start. Anything but one of the three programs, whole, ends the test."""
    loader.root = root
    records = loader.Records(root)
    assert records.whole, "no record"
    loader.running = loader.choose(records)
    found = files_of(loader.folder(loader.running))
    for number in PROGRAMS:
        if found == PROGRAMS[number]:
            return number
    raise AssertionError(sorted(found))


def live(root):
    """One life of a band: its start, then the update or the confirming, whichever is due. What it ran."""
    what = boots(root)
    slots = band.slots.Slots()
    board = FakeBoard()
    trial = band.slots.Trial(slots, board, lambda: True)
    if slots.on_trial:
        assert what == slots._records.other_number
        board.time_ms = band.slots.CONFIRM_MS
        trial.run()
    else:
        assert what == slots.number
        for number in CONTAINERS:
            if number > what:
                update(band.update.Updater(slots, board, "esp32", True, PUBLIC), CONTAINERS[number])
    return what


def update(updater, container):
    head = int.from_bytes(container[4:6], "little") + release.SIGNATURE_SIZE
    digest = band.update.hashlib.sha256(container[:head]).digest()
    code, at = release.read_answer(updater.begin(release.begin_payload(digest, head)))
    assert code == release.OK, code
    while at < len(container):
        piece = at.to_bytes(4, "little") + container[at : at + PIECE]
        code, at = release.read_answer(updater.data(piece))
        if code:
            return
    updater.end(b"")


def attempt(place, cut):
    """With the power cut at that write. Whether it came that far."""
    place.fresh()
    place.counter.left = cut
    for _ in range(LIVES):
        try:
            live(place.root)
        except (Cut, OSError):
            assert place.counter.left < 0
        if place.counter.left < 0:
            break
    came = place.counter.left < 0
    place.power()
    seen = [boots(place.root)]
    for _ in range(LIVES_MAX):
        seen.append(live(place.root))
        slots = band.slots.Slots()
        if slots.number == LAST and not slots.on_trial:
            break
    else:
        raise AssertionError("never installed after a cut at write", cut)
    assert seen[-1] == LAST, seen
    assert slots.minimum == 5
    place.end()
    return came, seen[0]


def read(path):
    with open(path, "rb") as file:
        container = file.read()
    end = int.from_bytes(container[4:6], "little")
    header, at, files = release.Header(container[:end]), end + release.SIGNATURE_SIZE, {}
    for path, size, _ in header.files():
        files[path] = container[at : at + size]
        at += size
    CONTAINERS[header.number], PROGRAMS[header.number] = container, files
    return header.number


CONTAINERS, PROGRAMS = {}, {7: OLD}
read(sys.argv[2])
LAST = read(sys.argv[3])
PUBLIC = unhexlify(sys.argv[4])
place = Folder(sys.argv[5]) if sys.argv[1] == "folder" else Flash(sys.argv[5])
told = dict.fromkeys(PROGRAMS, 0)
cut = 0
while True:
    came, what = attempt(place, cut)
    if not came:
        break
    told[what] += 1
    cut += 1
print(json.dumps({"cuts": cut, "ran": sorted(told.items())}))
