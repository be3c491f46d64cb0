"""Files of a program slot, for an update: written, measured, removed. OSError for whatever flash refuses."""

import hashlib
import os

_PIECE = 512
_ENOENT = 2


def hash_of(path: str) -> bytes:
    digest = hashlib.sha256()
    buffer = bytearray(_PIECE)
    view = memoryview(buffer)
    with open(path, "rb") as file:
        while True:
            count = file.readinto(buffer)
            if not count:
                return digest.digest()
            digest.update(view[:count])


def size_of(path: str) -> int:
    """0 if it is not there."""
    try:
        return int(os.stat(path)[6])
    except OSError as err:
        if err.errno == _ENOENT:
            return 0
        raise


def save(path: str, data: bytearray) -> None:
    with open(path, "wb") as file:
        if file.write(data) != len(data):
            raise OSError(28)


def remove(path: str) -> None:
    try:
        os.remove(path)
    except OSError as err:
        if err.errno != _ENOENT:
            raise


def make_folders(top: str, path: str) -> None:
    parts = path.split("/")
    for depth in range(len(parts)):
        try:
            os.mkdir("/".join([top] + parts[:depth]))
        except OSError:
            pass  # it is there; if not, opening the file says so


def clear(folder: str) -> None:
    """Remove what is in it. It may not be there."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        full = folder + "/" + name
        if os.stat(full)[0] & 0x4000:
            clear(full)
            os.rmdir(full)
        else:
            os.remove(full)
