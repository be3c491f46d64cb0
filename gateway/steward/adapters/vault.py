"""Keys of guests and what is sealed with them, for both stores: which key, made when, kept or forgotten when.

Sealed: generation 1 | nonce 12 | AES-256-GCM ciphertext and 16-byte tag. Authenticated with it: the ref, the
generation and the kind, so that nothing sealed for one guest or column opens as another's. Nonces are 96 random bits:
with 2**32 values under one key the chance that two are alike is below 2**-32, and a guest has thousands.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from steward.adapters.store_rules import ReadOnlyError
from steward.domain.ids import GuestRef
from steward.domain.records import LOOK_HEAD, record_input
from steward.errors import Conflict, Erased, StoreUnavailable
from steward.ports import Entropy

KEY_BYTES = 32
NONCE_BYTES = 12
OVERHEAD_BYTES = 1 + NONCE_BYTES + 16
GENERATION_MAX = 254
FOR_EVER = 255  # every generation there could be
REF_CHARS_MAX = 128
NAMES_MAX = 65_536
PICTURE, PICTURE_KEY = "picture", "picture key"
STAGED = "picture:"  # owners of keys of pictures that are nobody's yet
_SEAL = "steward-seal-v1"
_WRAP = "steward-guest-key-v1"
_INDEX_INFO = b"steward-index-v1"
_HEADS_INFO = b"steward-look-heads-v1"
_PRINT_INFO = b"steward-data-key-print-v1"
_PRINT_BYTES = 8


@dataclass(frozen=True, slots=True, repr=False)
class Lasting:
    """What outlasts the data key it came from. index: rows, also those of backups, are found by it. heads: signs.

    Shore knows the key that signs heads, and would take another one for a forged log.
    """

    index: bytes
    heads: bytes

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("keys must not be pickled or copied")


class DataKey:
    """The gateway's data key: it wraps the guests' keys. Never shown, never pickled."""

    __slots__ = ("_heads", "_wrapping", "fingerprint", "lasting")

    def __init__(self, material: bytes, lasting: Lasting | None = None) -> None:
        """lasting: of the first key, if this one follows another."""
        if len(material) != KEY_BYTES:
            raise ValueError(f"a data key has {KEY_BYTES} bytes")
        self._wrapping = AESGCM(material)
        self.fingerprint = _derived(material, _PRINT_INFO)[:_PRINT_BYTES].hex()
        self.lasting = lasting or Lasting(_derived(material, _INDEX_INFO), _derived(material, _HEADS_INFO))
        self._heads = Ed25519PrivateKey.from_private_bytes(self.lasting.heads)

    @property
    def heads_key(self) -> bytes:
        """The public half of what signs heads of the look-up log where the ship's own key is not held."""
        return self._heads.public_key().public_bytes_raw()

    def sign_head(self, text: bytes) -> list[tuple[bytes, bytes]]:
        """services.lookheads.HeadSigner: this gateway's own key, which nobody else on the ship has."""
        return [(self.heads_key, self._heads.sign(record_input(LOOK_HEAD, text)))]

    def wrap(self, ref: GuestRef, generation: int, key: bytes, entropy: Entropy) -> bytes:
        nonce = entropy.token_bytes(NONCE_BYTES)
        return nonce + self._wrapping.encrypt(nonce, key, _bound(_WRAP, ref, generation, ""))

    def unwrap(self, ref: GuestRef, generation: int, wrapped: bytes) -> bytes | None:
        """None if it was wrapped by another data key, for another ref, or is damaged."""
        bound = _bound(_WRAP, ref, generation, "")
        try:
            return self._wrapping.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], bound)
        except (InvalidTag, ValueError):
            return None

    def mark(self, kind: str, value: str) -> bytes:
        """What stands for a value that rows are found by: equal for equal values, and telling nothing of them."""
        return hmac.digest(self.lasting.index, f"{kind}\0{value}".encode(), "sha256")

    def __repr__(self) -> str:
        return "DataKey()"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a data key must not be pickled or copied")


@dataclass(frozen=True, slots=True, repr=False)
class GuestKey:
    """One generation of a ref's key."""

    generation: int
    material: bytes
    cipher: AESGCM

    @classmethod
    def of(cls, generation: int, material: bytes) -> GuestKey:
        return cls(generation, material, AESGCM(material))


@dataclass(slots=True)
class KeyChanges:
    """What a transaction, or a batch of them, does to keys. destroyed: up to which generation."""

    made: dict[tuple[GuestRef, int], GuestKey] = field(default_factory=dict)
    newest: dict[GuestRef, int] = field(default_factory=dict)
    destroyed: dict[GuestRef, int] = field(default_factory=dict)
    dropped: set[GuestRef] = field(default_factory=set)

    def add(self, later: KeyChanges) -> None:
        self.made.update(later.made)
        self.newest.update(later.newest)
        for ref, upto in later.destroyed.items():
            self.destroyed[ref] = max(upto, self.destroyed.get(ref, 0))
        self.dropped |= later.dropped

    @property
    def forgets(self) -> bool:
        return bool(self.destroyed or self.dropped)


class NameCache:
    """Names that were unsealed to search by them: good for as long as the row holds the same bytes. Thread-safe."""

    def __init__(self) -> None:
        self.known: dict[GuestRef, tuple[bytes, str]] = {}

    def put(self, ref: GuestRef, sealed: bytes, name: str) -> None:
        if len(self.known) >= NAMES_MAX:
            self.known.clear()
        self.known[ref] = (sealed, name)

    def drop(self, refs: Iterable[GuestRef]) -> None:
        for ref in refs:
            self.known.pop(ref, None)


class Chest(Protocol):
    """Where keys are kept. `keep` before the transaction that uses them is kept, `forget` after it."""

    data_key: DataKey
    names: NameCache

    @property
    def late(self) -> bool:
        """Whether keys are still to be destroyed."""
        ...

    def find(self, ref: GuestRef, generation: int) -> GuestKey | None: ...
    def newest(self, ref: GuestRef) -> int:
        """The generation in use; 0: none."""
        ...

    def destroyed(self, ref: GuestRef) -> int:
        """Every generation up to this one is gone for ever."""
        ...

    def lost(self, ref: GuestRef) -> int:
        """Rows were sealed with generations up to this one, and no copy has their keys; 0: all keys are there."""
        ...

    def keep(self, made: Mapping[tuple[GuestRef, int], GuestKey]) -> None: ...
    def forget(self, destroyed: Mapping[GuestRef, int], dropped: set[GuestRef]) -> None: ...


def seal_with(material: bytes, kind: str, plain: bytes, entropy: Entropy) -> bytes:
    """Under a key that is itself sealed elsewhere: of a picture, which several guests may show."""
    nonce = entropy.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(material).encrypt(nonce, plain, f"{_SEAL}\0{kind}".encode())


def open_with(material: bytes, kind: str, sealed: bytes) -> bytes:
    """Raises StoreUnavailable."""
    try:
        return AESGCM(material).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], f"{_SEAL}\0{kind}".encode())
    except (InvalidTag, ValueError):
        raise StoreUnavailable(f"the database: a {kind} is damaged: restore the last backup") from None


class TxKeys:
    """The keys as one transaction sees them: those of the chest, with its batch's changes and its own."""

    def __init__(self, chest: Chest, entropy: Entropy, before: KeyChanges | None = None) -> None:
        """before: changes that are as good as kept. None: this transaction only reads."""
        self._chest = chest
        self.entropy = entropy
        self._read_only = before is None
        self._before = before if before is not None else KeyChanges()
        self.changes = KeyChanges()

    def seal(self, ref: GuestRef, kind: str, plain: bytes) -> bytes:
        key = self._current(ref)
        nonce = self.entropy.token_bytes(NONCE_BYTES)
        bound = _bound(_SEAL, ref, key.generation, kind)
        return key.generation.to_bytes(1, "big") + nonce + key.cipher.encrypt(nonce, plain, bound)

    def unseal(self, ref: GuestRef, kind: str, sealed: bytes) -> bytes:
        if len(sealed) < OVERHEAD_BYTES:
            raise _moved(ref, kind)
        generation = sealed[0]
        key = None if generation <= self._destroyed(ref) else self._find(ref, generation)
        if key is None:
            raise Erased(ref)
        try:
            return key.cipher.decrypt(
                sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :], _bound(_SEAL, ref, generation, kind)
            )
        except InvalidTag:
            raise _moved(ref, kind) from None

    def names(self, rows: Iterable[tuple[GuestRef, bytes]], holds: Callable[[str], bool]) -> list[tuple[str, GuestRef]]:
        """Those of the names sealed as `name` that `holds` is true of; what was unsealed once is remembered."""
        known, found = self._chest.names.known, []
        for ref, sealed in rows:
            cached = known.get(ref)
            name = cached[1] if cached is not None and cached[0] == sealed else self._name(ref, sealed)
            if holds(name) and sealed[0] > self._destroyed(ref):
                found.append((name, ref))
        return found

    def _name(self, ref: GuestRef, sealed: bytes) -> str:
        try:
            name = self.unseal(ref, "name", sealed).decode()
        except Erased:
            return ""
        self._chest.names.put(ref, sealed, name)
        return name

    def random_key(self) -> bytes:
        return self.entropy.token_bytes(KEY_BYTES)

    def seal_with(self, material: bytes, kind: str, plain: bytes) -> bytes:
        return seal_with(material, kind, plain, self.entropy)

    def has_key(self, ref: GuestRef) -> bool:
        return self._newest(ref) > self._destroyed(ref)

    def is_erased(self, ref: GuestRef) -> bool:
        return self._destroyed(ref) == FOR_EVER

    def destroy(self, ref: GuestRef) -> int:
        """Returns up to which generation."""
        return self._destroy(ref, FOR_EVER)

    def renew(self, ref: GuestRef) -> int:
        """The same; the next sealing makes the next generation."""
        if self.is_erased(ref):
            raise Erased(ref)
        newest = max(self._newest(ref), self._destroyed(ref))
        if newest >= GENERATION_MAX:
            raise Conflict(f"the key of {ref} was renewed {GENERATION_MAX} times: erase the guest instead")
        return self._destroy(ref, newest)

    def drop(self, ref: GuestRef) -> None:
        """Forget the key of something that is no guest, without a trace: its ref is never used again."""
        self._check_writes()
        self.changes.dropped.add(ref)

    def mark(self, kind: str, value: str) -> bytes:
        return self._chest.data_key.mark(kind, value)

    def _current(self, ref: GuestRef) -> GuestKey:
        newest, destroyed = self._newest(ref), self._destroyed(ref)
        if destroyed == FOR_EVER:
            raise Erased(ref)
        known = self._find(ref, newest) if newest > destroyed else None
        return known if known is not None else self._make(ref, max(newest, destroyed, self._chest.lost(ref)) + 1)

    def _make(self, ref: GuestRef, generation: int) -> GuestKey:
        self._check_writes()
        if not ref or len(ref) > REF_CHARS_MAX or "\0" in ref:
            raise Conflict(f"a ref of 1 to {REF_CHARS_MAX} characters is needed to seal under")
        key = GuestKey.of(generation, self.entropy.token_bytes(KEY_BYTES))
        self.changes.made[ref, generation] = key
        self.changes.newest[ref] = generation
        return key

    def _find(self, ref: GuestRef, generation: int) -> GuestKey | None:
        for changes in (self.changes, self._before):
            if changes.made and (found := changes.made.get((ref, generation))) is not None:
                return found
            if ref in changes.dropped:
                return None
        return self._chest.find(ref, generation)

    def _newest(self, ref: GuestRef) -> int:
        for changes in (self.changes, self._before):
            if changes.newest and (found := changes.newest.get(ref)) is not None:
                return found
            if ref in changes.dropped:
                return 0
        return self._chest.newest(ref)

    def _destroyed(self, ref: GuestRef) -> int:
        upto = self._chest.destroyed(ref)
        for changes in (self._before, self.changes):
            if changes.destroyed:
                upto = max(upto, changes.destroyed.get(ref, 0))
        return upto

    def _destroy(self, ref: GuestRef, upto: int) -> int:
        self._check_writes()
        self.changes.destroyed[ref] = upto
        return upto

    def _check_writes(self) -> None:
        if self._read_only:
            raise ReadOnlyError


class MemoryChest:
    """A chest of a memory store: it lives as long as the process, and is not in the store's backups."""

    def __init__(self, data_key: DataKey) -> None:
        self.data_key = data_key
        self._keys: dict[tuple[GuestRef, int], GuestKey] = {}
        self._newest: dict[GuestRef, int] = {}
        self._destroyed: dict[GuestRef, int] = {}
        self.late = False
        self.names = NameCache()

    def find(self, ref: GuestRef, generation: int) -> GuestKey | None:
        return self._keys.get((ref, generation))

    def newest(self, ref: GuestRef) -> int:
        return self._newest.get(ref, 0)

    def destroyed(self, ref: GuestRef) -> int:
        return self._destroyed.get(ref, 0)

    def lost(self, ref: GuestRef) -> int:
        return 0  # it is not kept in copies

    def keep(self, made: Mapping[tuple[GuestRef, int], GuestKey]) -> None:
        self._keys.update(made)
        for ref, generation in made:
            self._newest[ref] = max(generation, self._newest.get(ref, 0))

    def forget(self, destroyed: Mapping[GuestRef, int], dropped: set[GuestRef]) -> None:
        for ref, upto in destroyed.items():
            self._destroyed[ref] = max(upto, self._destroyed.get(ref, 0))
        for ref, generation in list(self._keys):
            if ref in dropped or generation <= destroyed.get(ref, 0):
                del self._keys[ref, generation]
        for ref in dropped:
            self._newest.pop(ref, None)
        self.names.drop(destroyed)


def _derived(material: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, None, info).derive(material)


def _bound(use: str, ref: GuestRef, generation: int, kind: str) -> bytes:
    return f"{use}\0{ref}\0{generation}\0{kind}".encode()


def _moved(ref: GuestRef, kind: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"the database: {kind} of {ref} is damaged, or was sealed as something else: restore the last backup"
    )
