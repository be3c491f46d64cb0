"""Images for tests: built once a process, and a MicroPython that has a flash image as its own file system."""

from __future__ import annotations

import functools
import json
import random
import subprocess
from pathlib import Path
from typing import Any

from bandtool.image import BuildOrder, BuiltImage, build
from bandtool.manifest import unsigned, write
from bandtool.signing import ReleaseKey, signed_image
from bandtool.sources import firmware_folder
from voyage.bandproc import find_micropython

KEY = ReleaseKey(bytes(range(32)))
OTHER_KEY = ReleaseKey(bytes(range(1, 33)))
BASE = b"\xe9" + random.Random(1).randbytes(30_000) + bytes(20_000)  # about as dense as a real one

# On MicroPython: the image's bytes are a flash chip, mounted at the root as on a board; then the given lines run.
MOUNT = """
import os, sys, vfs

class Chip:
    # In the file, which stays open though its file system goes. Writing clears bits, erasing sets them.
    def __init__(self, path):
        self.file = open(path, "r+b")
        self.blocks = self.file.seek(0, 2) // 4096

    def readblocks(self, block, buffer, offset=0):
        self.file.seek(block * 4096 + offset)
        self.file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=None):
        if offset is None:
            self.ioctl(6, block)
        there = bytearray(len(buffer))
        self.readblocks(block, there, offset or 0)
        for index, byte in enumerate(buffer):
            there[index] &= byte
        self.file.seek(block * 4096 + (offset or 0))
        self.file.write(there)

    def ioctl(self, what, argument):
        if what == 3:
            self.file.flush()
        if what == 6:
            self.file.seek(argument * 4096)
            self.file.write(bytes([255]) * 4096)
        return {4: self.blocks, 5: 4096}.get(what, 0)

chip = Chip(sys.argv[1])
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(chip, readsize=32, progsize=256, lookahead=32), "/")
os.chdir("/")
sys.path[:] = ["", ".frozen", "/lib"]
"""


def quiet(_done: int, _of: int) -> None:
    pass


def order(*, production: bool = True, firmware: Path | None = None, **more: Any) -> BuildOrder:
    return BuildOrder(firmware or firmware_folder(), production, KEY.public, **more)


@functools.cache
def built(*, production: bool = True, base: bool = True) -> BuiltImage:
    return build(order(production=production, number=3, base=BASE if base else None), quiet)


def put(folder: Path, made: BuiltImage, key: ReleaseKey | None = KEY) -> Path:
    body = made.manifest()
    write(folder, made.image, unsigned(body) if key is None else signed_image(body, key))
    return folder


def on_micropython(image: Path, lines: str, *arguments: str) -> Any:
    """What the lines print as JSON. They run in the image's own file system, with nothing of this machine in reach."""
    script = image.with_suffix(".py")
    script.write_text(MOUNT + lines)
    command = [find_micropython(), "-X", "heapsize=8m", str(script), str(image), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
