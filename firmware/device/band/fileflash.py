"""Flash slots as files `<record>.<slot>` in one folder: LittleFS on a chip, any folder on a desktop."""

import os

_ENROLMENT = "/enrol"
_ENROLMENT_MAX = 256
_ENOENT = 2
_EEXIST = 17
_ENOSPC = 28


class FileFlash:
    """A slot that exists is written in place, so a full disk cannot stop an update of the same size."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        try:
            os.mkdir(folder)
        except OSError as err:
            if err.errno != _EEXIST:
                raise
            os.listdir(folder)  # raises unless it is a folder that was there before

    def read(self, name: str, slot: int) -> bytes | None:
        try:
            with open(self._path(name, slot), "rb") as file:
                return file.read()
        except OSError as err:
            if err.errno == _ENOENT:
                return None
            raise

    def write(self, name: str, slot: int, data: bytes) -> None:
        path = self._path(name, slot)
        created = False
        try:
            file = open(path, "r+b")
        except OSError as err:
            if err.errno != _ENOENT:
                raise
            file = open(path, "w+b")
            created = True
        with file:
            if file.write(data) != len(data):
                raise OSError(_ENOSPC)
            file.flush()  # MicroPython syncs the file to its medium here
        if created:
            self.sync_folder()

    def enrolment(self) -> bytes | None:
        try:
            with open(self._folder + _ENROLMENT, "rb") as file:
                return file.read(_ENROLMENT_MAX)
        except OSError as err:
            if err.errno == _ENOENT:
                return None
            raise

    def forget_enrolment(self) -> None:
        os.remove(self._folder + _ENROLMENT)
        self.sync_folder()

    def free_bytes(self) -> int:
        stat = os.statvfs(self._folder)
        return stat[1] * stat[4]

    def sync_folder(self) -> None:
        """Make a new name durable. LittleFS has done so with the file itself."""

    def _path(self, name: str, slot: int) -> str:
        return "%s/%s.%d" % (self._folder, name, slot)
