"""A preference model as one file: what it is and the network, bound by a hash. Pure: bytes in, a checked manifest out.

Layout: 8 bytes of mark, 4 bytes length of the manifest (big endian), the manifest (JSON, UTF-8), the int8 network
(.tflite). A release of the fleet signs the hash of the whole file, so the manifest cannot be changed without it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from steward.domain.catalogue import ITEMS_MAX

MARK = b"STWDPREF"
FORM = 1  # raise it when an older gateway could misread the manifest or the network's inputs and outputs
MANIFEST_BYTES_MAX = 1024 * 1024
NETWORK_BYTES_MAX = 32 * 1024 * 1024
INPUT_SCALE = 1 / 127  # of every int8 input, zero point 0: a value in [-1, 1] times 127, rounded
INPUTS = ("past_index", "past_items", "past", "moment", "item_index", "items")
OUTPUTS = ("query", "vectors", "take")
UNKNOWN = 0  # the row of an item that the network never saw: its features alone speak for it

_HEAD = len(MARK) + 4
_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.+-]{0,31}")
_ITEM = re.compile(r"[!-~]{1,64}")
_METRIC = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
_TEXT_MAX = 500
_METRICS_MAX = 200
_LAB_ITEMS_MAX = 100_000  # the public sets have larger catalogues than a ship


class BadModelFile(ValueError):
    """The file is no model of ours, or not whole. `what` says where it goes wrong; nothing of it may be used."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}: fetch the file again, or make it anew with `preference quantise`")
        self.what = what


class FeaturesDiffer(ValueError):
    """The model was trained with other features than this gateway makes."""

    def __init__(self, wanted: str, found: str) -> None:
        super().__init__(
            f"the model was trained with features {found[:12]}, this program makes {wanted[:12]}: "
            "train it again with this version, or run the version that it was trained with"
        )
        self.wanted = wanted
        self.found = found


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the network's inputs and outputs.

    past_index (1, history) int32; past_items (1, history, item); past (1, history, past); moment (1, moment);
    item_index (n,) int32; items (n, item). query (1, query); vectors (n, query); take (n, 1). All but the indices int8.
    """

    history: int
    item: int
    past: int
    moment: int
    query: int
    members: int  # equal parts of a query; the interest is their mean


@dataclass(frozen=True, slots=True)
class Scale:
    """value = scale * (stored - zero)"""

    scale: float
    zero: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a model is, was made of, and may be used for. items: row 1 of the residual table first."""

    version: str
    purpose: str
    features_id: str
    network_sha256: str
    float_sha256: str  # of the file it was quantised from, kept with the training
    shape: Shape
    query: Scale
    vectors: Scale
    take: Scale
    items: tuple[str, ...]
    data: str
    licence: str
    portable: bool  # only operators that give the same bits in both runtimes
    metrics: Mapping[str, float]

    def rows(self) -> dict[str, int]:
        """Item id -> row; what is not in it is row UNKNOWN."""
        return {item: row for row, item in enumerate(self.items, start=1)}


def pack(manifest: Manifest, network: bytes) -> bytes:
    """Raises ValueError: a manifest that could not be read back, or of another network."""
    fields = {"form": FORM, **asdict(manifest), "metrics": dict(manifest.metrics)}
    body = json.dumps(fields, sort_keys=True, indent=1, allow_nan=False).encode()
    raw = MARK + len(body).to_bytes(4, "big") + body + network
    unpack(raw)
    return raw


def unpack(raw: bytes) -> tuple[Manifest, bytes]:
    """The manifest and the network's bytes. Raises BadModelFile."""
    if raw[: len(MARK)] != MARK or len(raw) < _HEAD:
        raise BadModelFile("no mark of a preference model at the start")
    end = _HEAD + int.from_bytes(raw[len(MARK) : _HEAD], "big")
    if end - _HEAD > MANIFEST_BYTES_MAX or end >= len(raw):
        raise BadModelFile("the file ends within the manifest")
    if len(raw) - end > NETWORK_BYTES_MAX:
        raise BadModelFile(f"the network has more than {NETWORK_BYTES_MAX} bytes")
    manifest, network = read_manifest(raw[_HEAD:end]), raw[end:]
    if not hmac.compare_digest(hashlib.sha256(network).hexdigest(), manifest.network_sha256):
        raise BadModelFile("the network's hash is not the manifest's")
    return manifest, network


def check_features(manifest: Manifest, features_id: str) -> None:
    """Raises FeaturesDiffer."""
    if manifest.features_id != features_id:
        raise FeaturesDiffer(features_id, manifest.features_id)


def read_manifest(body: bytes) -> Manifest:
    """Raises BadModelFile, naming the field."""
    try:
        fields = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadModelFile("the manifest is no JSON") from error
    if not isinstance(fields, dict):
        raise BadModelFile("the manifest is no JSON object")
    if fields.pop("form", None) != FORM:
        raise BadModelFile(f"the manifest is not of form {FORM}")
    wanted = set(Manifest.__dataclass_fields__)
    if set(fields) != wanted:
        raise BadModelFile(f"the manifest has other fields than it should: {', '.join(sorted(set(fields) ^ wanted))}")
    return Manifest(
        version=_match(fields, "version", _VERSION),
        purpose=_text(fields, "purpose"),
        features_id=_match(fields, "features_id", _SHA256),
        network_sha256=_match(fields, "network_sha256", _SHA256),
        float_sha256=_match(fields, "float_sha256", _SHA256),
        shape=_shape(fields["shape"]),
        query=_scale(fields, "query"),
        vectors=_scale(fields, "vectors"),
        take=_scale(fields, "take"),
        items=_items(fields["items"]),
        data=_text(fields, "data"),
        licence=_text(fields, "licence"),
        portable=_flag(fields, "portable"),
        metrics=_metrics(fields["metrics"]),
    )


def fits_gateway(manifest: Manifest) -> bool:
    """A gateway runs portable networks with a catalogue of a ship's size."""
    return manifest.portable and len(manifest.items) <= ITEMS_MAX


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _match(fields: Mapping[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    value = fields[key]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BadModelFile(f"{key} in the manifest is not what it should be")
    return value


def _text(fields: Mapping[str, Any], key: str) -> str:
    value = fields[key]
    if not isinstance(value, str) or not 0 < len(value) <= _TEXT_MAX:
        raise BadModelFile(f"{key} in the manifest is a text of up to {_TEXT_MAX} characters")
    return value


def _flag(fields: Mapping[str, Any], key: str) -> bool:
    value = fields[key]
    if not isinstance(value, bool):
        raise BadModelFile(f"{key} in the manifest is true or false")
    return value


def _whole(value: object, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise BadModelFile(f"a size in the manifest is not within {low} to {high}")
    return value


def _shape(value: object) -> Shape:
    names = set(Shape.__dataclass_fields__)
    if not isinstance(value, dict) or set(value) != names:
        raise BadModelFile(f"shape in the manifest has {', '.join(sorted(names))}")
    shape = Shape(**{name: _whole(value[name], 1, 4096) for name in sorted(names)})
    if shape.query % shape.members:
        raise BadModelFile("the query in the manifest does not divide among its members")
    return shape


def _scale(fields: Mapping[str, Any], key: str) -> Scale:
    value = fields[key]
    if not isinstance(value, dict) or set(value) != {"scale", "zero"}:
        raise BadModelFile(f"{key} in the manifest has a scale and a zero")
    scale = _number(value["scale"])
    if not 0 < scale < 1e6:
        raise BadModelFile(f"the scale of {key} in the manifest is no positive number")
    return Scale(scale, _whole(value["zero"], -128, 127))


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise BadModelFile("a figure in the manifest is no number")
    return float(value)


def _items(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= _LAB_ITEMS_MAX:
        raise BadModelFile(f"items in the manifest is a list of 1 to {_LAB_ITEMS_MAX} ids")
    if not all(isinstance(item, str) and _ITEM.fullmatch(item) for item in value) or len(set(value)) != len(value):
        raise BadModelFile("items in the manifest are ids, each once")
    return tuple(value)


def _metrics(value: object) -> Mapping[str, float]:
    if not isinstance(value, dict) or len(value) > _METRICS_MAX or not all(_METRIC.fullmatch(name) for name in value):
        raise BadModelFile("metrics in the manifest are names and numbers")
    return {name: _number(figure) for name, figure in value.items()}
