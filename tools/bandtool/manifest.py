"""An image's folder: `band.img`, and `band.json` that says what is in it, signed.

band.json is a signed record of kind "image" (steward.domain.signedrecord), or, of a development build without a key,
the same with null for a signature. It has exactly one form on disk: a file that is written in any other way is not
taken, so there is no byte of the two files that may change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bandtool.files import write_whole
from bandtool.image import BASE_OFFSET, CHIP, sha256, version_of
from bandtool.lfs import FLASH_OFFSET, IMAGE_BYTES, ImageFault, unpack
from bandtool.signing import KEY_VERSION
from steward.domain.records import IMAGE
from steward.domain.signedrecord import RecordFault, Signed, file_of, holds, read_json, read_signed
from steward.errors import ConfigError

IMAGE_FILE, MANIFEST_FILE = "band.img", "band.json"
MANIFEST_BYTES_MAX = 262_144
_SHA = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9a-f]{16}")
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.]{0,39}(/[a-z0-9_][a-z0-9_.]{0,39}){0,3}")
_NUMBER_MAX = 0xFFFF_FFFF
_FIELDS = {
    "version",
    "number",
    "minimum",
    "production",
    "chip",
    "base",
    "image",
    "files",
    "sizes",
    "tools",
}
_AGAIN = "build it again, or fetch it again from where it was built"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says, checked for form. key: that signed it, none for an unsigned development build."""

    version: str
    number: int
    minimum: int
    production: bool
    base_sha256: str | None
    image_sha256: str
    files: Mapping[str, tuple[str, int]]  # path -> SHA-256 and bytes
    key: bytes | None


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """An image whose every byte is what its manifest says."""

    manifest: Manifest
    image: bytes


def public_key(where: str, text: str) -> bytes:
    """The 32 bytes that a technician typed or a setting holds. Raises ConfigError."""
    if not _SHA.fullmatch(text):
        raise ConfigError(where, "is no public key of 64 hexadecimal digits: bandtool keys show --file KEY tells it")
    return bytes.fromhex(text)


def write(folder: Path, image: bytes, record: Mapping[str, Any]) -> None:
    """record: signing.signed_image's, or unsigned()'s. Raises ConfigError.

    Killed between the two files it leaves an image that is not its manifest's, which check() refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(str(folder), f"cannot be made: {error.strerror}") from None
    write_whole(folder / IMAGE_FILE, image)
    write_whole(folder / MANIFEST_FILE, file_of(record))


def unsigned(body: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a development build without a key."""
    return {"kind": IMAGE, "body": dict(body), "signature": None}


def check(folder: Path, public: bytes | None = None) -> CheckedImage:
    """Read the folder and check all of it: form, signature, the image's hash, and each file in it as it is mounted.

    public: the key that must have signed it; None: whichever key it names, or none for a development build.
    Raises ImageFault.
    """
    manifest = read_manifest(_read(folder / MANIFEST_FILE, MANIFEST_BYTES_MAX))
    if public is not None and manifest.key != public:
        raise ImageFault(f"{folder} was not signed by the release key that is asked for: it is not to be flashed")
    image = _read(folder / IMAGE_FILE, IMAGE_BYTES)
    if sha256(image) != manifest.image_sha256:
        raise ImageFault(f"{folder / IMAGE_FILE} is not the image of its manifest: {_AGAIN}")
    inside = unpack(image)
    for name in sorted(manifest.files.keys() | inside.keys()):
        if name not in inside or name not in manifest.files:
            raise ImageFault(f"{name} is only in the {'image' if name in inside else 'manifest'} of {folder}: {_AGAIN}")
        if (sha256(inside[name]), len(inside[name])) != manifest.files[name]:
            raise ImageFault(f"{name} in the image of {folder} is not what the manifest says: {_AGAIN}")
    if version_of(inside) != manifest.version:
        raise ImageFault(f"{folder} has another version than its manifest says: {_AGAIN}")
    return CheckedImage(manifest, image)


def read_manifest(content: bytes) -> Manifest:
    """Check form and signature. Raises ImageFault."""
    try:
        top = read_json(content)
        record = top if isinstance(top, dict) else {}
        signed = None if _is_unsigned(record) else read_signed(content, (IMAGE,))
    except RecordFault as error:
        raise ImageFault(f"the manifest is not in order: {error}") from None
    if file_of(record) != content:
        raise ImageFault(f"the manifest was written anew by another program: {_AGAIN}")
    if signed is not None and (signed.key_version != KEY_VERSION or not holds(signed)):
        raise ImageFault("the manifest's signature does not hold: it was changed after it was signed")
    return _manifest(record["body"], signed)


def _is_unsigned(record: Mapping[str, Any]) -> bool:
    body = record.get("body")
    unmarked = set(record) == {"kind", "body", "signature"} and record["signature"] is None
    return unmarked and record["kind"] == IMAGE and isinstance(body, dict) and body.get("production") is False


def _manifest(body: Mapping[str, Any], signed: Signed | None) -> Manifest:
    try:
        if set(body) != _FIELDS:
            raise ValueError("fields")
        if body["chip"] != CHIP or type(body["production"]) is not bool:
            raise ValueError("chip or kind of build")
        for field in ("number", "minimum"):
            if type(body[field]) is not int or not 0 < body[field] <= _NUMBER_MAX:
                raise ValueError(field)
        image_sha, size = _hashed(body["image"], FLASH_OFFSET)
        if size != IMAGE_BYTES:
            raise ValueError("size of the image")
        return Manifest(
            _text(body["version"], _VERSION),
            body["number"],
            body["minimum"],
            body["production"],
            None if body["base"] is None else _hashed(body["base"], BASE_OFFSET)[0],
            image_sha,
            {_text(name, _NAME): _hashed(said, None) for name, said in body["files"].items()},
            None if signed is None else signed.key,
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ImageFault(f"the manifest is none that this bandtool knows ({error}): use that which built it") from None


def _hashed(said: Any, offset: int | None) -> tuple[str, int]:
    if set(said) != {"sha256", "bytes"} | ({"offset"} if offset is not None else set()):
        raise ValueError("hashes")
    if said.get("offset") != offset or type(said["bytes"]) is not int:
        raise ValueError("offset or size")
    return _text(said["sha256"], _SHA), said["bytes"]


def _text(value: Any, shape: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise ValueError(shape.pattern)
    return value


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise ImageFault(f"{path} cannot be read: {error.strerror}. Make it with: bandtool image build") from None
    if len(content) > most:
        raise ImageFault(f"{path} is larger than {most:,} bytes: is it the right folder?")
    return content
