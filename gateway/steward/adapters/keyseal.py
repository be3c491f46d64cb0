"""A sealed file: AES-256-GCM under a passphrase (scrypt) or a credential (HKDF), private and written atomically.

Layout: magic 8 | header length, 2 bytes big-endian | header (CBOR map) | ciphertext and 16-byte tag. Everything
before the ciphertext is authenticated with it. Header: schema, kdf ("scrypt" with n, r, p, or "hkdf-sha256"),
salt 16, nonce 12; salt and nonce are fresh at every sealing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hmac
import os
import stat
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import cbor2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from steward.errors import KeyFileError
from steward.ports import Entropy

MAGIC = b"STWDKEYS"
SCHEMA = 1
FILE_BYTES_MAX = 262_144
HEADER_BYTES_MAX = 512
PASSPHRASE_CHARS_MIN = 12
PASSPHRASE_BYTES_MAX = 1024
CREDENTIAL_BYTES_MIN = 32
CREDENTIAL_BYTES_MAX = 4096
SCRYPT_N = 2**16  # 64 MiB and a fraction of a second on a small board
# Limits on what a file may ask of us: the header is read before anything proves who wrote it.
SCRYPT_N_RANGE = (2**14, 2**18)
SCRYPT_R = 8
SCRYPT_P_MAX = 4
SALT_BYTES = 16
NONCE_BYTES = 12
_TAG_BYTES = 16
_HKDF_INFO = b"steward-keyfile-v1"
_PASSPHRASE, _CREDENTIAL = "passphrase", "credential"
_KDF_OF = {_PASSPHRASE: "scrypt", _CREDENTIAL: "hkdf-sha256"}


class KeySecret:
    """What opens a sealed file. Never shown, never pickled; it comes from a private file or a prompt."""

    __slots__ = ("_material", "kind")

    def __init__(self, kind: str, material: bytes) -> None:
        self.kind = kind
        self._material = material

    @classmethod
    def from_passphrase(cls, text: str) -> KeySecret:
        """A passphrase somebody typed. The same characters from another keyboard give the same secret."""
        if len(text) < PASSPHRASE_CHARS_MIN:
            raise KeyFileError(f"the passphrase is shorter than {PASSPHRASE_CHARS_MIN} characters: choose a longer one")
        return cls(_PASSPHRASE, unicodedata.normalize("NFC", text).encode())

    @classmethod
    def from_passphrase_file(cls, path: Path) -> KeySecret:
        """The first line of a private (0600) file."""
        raw = read_private(path, "passphrase file", PASSPHRASE_BYTES_MAX)
        try:
            lines = raw.decode().splitlines()
        except UnicodeDecodeError:
            raise KeyFileError(f"passphrase file {path} is not UTF-8 text: use --credential for raw bytes") from None
        if not lines:
            raise KeyFileError(f"passphrase file {path} is empty: put the passphrase on its first line")
        return cls.from_passphrase(lines[0])

    @classmethod
    def from_credential(cls, path: Path) -> KeySecret:
        """32 or more random bytes, as systemd's LoadCredentialEncrypted= hands them over."""
        # systemd gives a service's own user access by an ACL, whose mask shows up as group-readable.
        raw = read_private(path, "credential", CREDENTIAL_BYTES_MAX, group_may_read=True)
        if len(raw) < CREDENTIAL_BYTES_MIN:
            raise KeyFileError(
                f"credential {path} holds {len(raw)} bytes, at least {CREDENTIAL_BYTES_MIN} random ones are needed: "
                f"make one with: head -c 32 /dev/urandom"
            )
        return cls(_CREDENTIAL, raw)

    def same_as(self, other: KeySecret) -> bool:
        return self.kind == other.kind and hmac.compare_digest(self._material, other._material)

    def scrypt(self, salt: bytes, n: int, p: int) -> bytes:
        return Scrypt(salt=salt, length=32, n=n, r=SCRYPT_R, p=p).derive(self._material)

    def hkdf(self, salt: bytes) -> bytes:
        return HKDF(SHA256(), 32, salt, _HKDF_INFO).derive(self._material)

    def __repr__(self) -> str:
        return f"KeySecret({self.kind})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a key secret must not be pickled or copied")


def seal(plain: bytes, secret: KeySecret, entropy: Entropy, scrypt_n: int = SCRYPT_N) -> bytes:
    """The whole file. Fresh salt and nonce each time, so equal contents never look equal."""
    header: dict[str, object] = {"schema": SCHEMA, "kdf": _KDF_OF[secret.kind]}
    header["salt"] = entropy.token_bytes(SALT_BYTES)
    header["nonce"] = entropy.token_bytes(NONCE_BYTES)
    if secret.kind == _PASSPHRASE:
        header |= {"n": scrypt_n, "r": SCRYPT_R, "p": 1}
    encoded = cbor2.dumps(header, canonical=True)
    front = MAGIC + len(encoded).to_bytes(2, "big") + encoded
    key, nonce = _derive(header, secret, "new file")
    return front + AESGCM(key).encrypt(nonce, plain, front)


def unseal(sealed: bytes, secret: KeySecret, where: str) -> bytes:
    """The contents. `where` names the file in errors, which never carry any of its bytes."""
    front, header, box = _split(sealed, where)
    key, nonce = _derive(header, secret, where)
    try:
        return AESGCM(key).decrypt(nonce, box, front)
    except InvalidTag:
        raise KeyFileError(
            f"{where} does not open: the {secret.kind} is wrong or the file is damaged. Try the right {secret.kind}; "
            f"if it is right, restore the file from its backup (.bak beside it, or a new export)"
        ) from None


def _split(sealed: bytes, where: str) -> tuple[bytes, Mapping[str, object], bytes]:
    start = len(MAGIC) + 2
    if len(sealed) > FILE_BYTES_MAX or sealed[: len(MAGIC)] != MAGIC:
        raise KeyFileError(f"{where} is not a steward key file: check the path, or make one with: steward keys new")
    end = start + int.from_bytes(sealed[len(MAGIC) : start], "big")
    if end - start > HEADER_BYTES_MAX or len(sealed) < max(start + 1, end + _TAG_BYTES):
        raise _damaged(where)
    try:
        header = cbor2.loads(sealed[start:end])
    except (cbor2.CBORDecodeError, ValueError):
        raise _damaged(where) from None
    if not isinstance(header, dict):
        raise _damaged(where)
    if header.get("schema") != SCHEMA:
        raise KeyFileError(f"{where} has a schema this version does not know: upgrade steward, or export it again")
    return sealed[:end], header, sealed[end:]


def _derive(header: Mapping[str, object], secret: KeySecret, where: str) -> tuple[bytes, bytes]:
    """(key, nonce), after checking every parameter the header may ask for."""
    kdf, salt, nonce = header.get("kdf"), header.get("salt"), header.get("nonce")
    if not isinstance(salt, bytes) or not isinstance(nonce, bytes):
        raise _damaged(where)
    if len(salt) != SALT_BYTES or len(nonce) != NONCE_BYTES or kdf not in _KDF_OF.values():
        raise _damaged(where)
    if kdf != _KDF_OF[secret.kind]:
        needed = next(kind for kind, name in _KDF_OF.items() if name == kdf)
        raise KeyFileError(f"{where} was sealed with a {needed}, not a {secret.kind}: give its {needed}")
    if secret.kind == _CREDENTIAL:
        return secret.hkdf(salt), nonce
    n, r, p = header.get("n"), header.get("r"), header.get("p")
    if not isinstance(n, int) or not isinstance(p, int) or r != SCRYPT_R:
        raise _damaged(where)
    if not SCRYPT_N_RANGE[0] <= n <= SCRYPT_N_RANGE[1] or n & (n - 1) or not 1 <= p <= SCRYPT_P_MAX:
        raise _damaged(where)
    return secret.scrypt(salt, n, p), nonce


def _damaged(where: str) -> KeyFileError:
    return KeyFileError(f"{where} is damaged: restore it from its backup (.bak beside it, or a new export)")


def read_private(path: Path, what: str, size_max: int, *, group_may_read: bool = False) -> bytes:
    """The bytes of a file only its owner can read. Permissions are checked on the open file, not on its name."""
    try:
        # Not blocking, so that a pipe nobody writes to is an error and not a wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise KeyFileError(f"cannot open {what} {path}: {error.strerror}") from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise KeyFileError(f"{what} {path} is not a plain file")
        forbidden = stat.S_IRWXO | (stat.S_IWGRP if group_may_read else stat.S_IRWXG)
        if mode & forbidden:
            raise KeyFileError(
                f"{what} {path} can be read or written by others (mode {stat.S_IMODE(mode):04o}): "
                f"run chmod 600 on it, and replace what it holds if somebody may have read it"
            )
        with open(descriptor, "rb", closefd=False) as file:
            raw = file.read(size_max + 1)
    except OSError as error:
        raise KeyFileError(f"cannot read {what} {path}: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(raw) > size_max:
        raise KeyFileError(f"{what} {path} is larger than {size_max} bytes: check the path")
    return raw


def write_private(path: Path, data: bytes, *, replace: bool) -> None:
    """Put the file there whole or not at all, mode 0600, on disk when this returns.

    Without `replace` an existing file is left alone and KeyFileError raised, even if it appeared this instant.
    """
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            if replace:
                os.replace(temporary, path)
            else:
                os.link(temporary, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        sync_directory(path.parent)
    except FileExistsError:
        raise KeyFileError(f"{path} exists and is never overwritten: move it away or choose another name") from None
    except OSError as error:
        raise KeyFileError(f"cannot write {path}: {error.strerror}") from None


def sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep two commands from changing key files of one directory at once: each would make the same version."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise KeyFileError(f"cannot open the directory {directory}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise KeyFileError(f"another command is changing key files in {directory}: try again later") from None
        yield
    finally:
        os.close(descriptor)
