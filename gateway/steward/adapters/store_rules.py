"""What every store checks before it keeps a record, so that the memory and the SQLite store refuse alike."""

from __future__ import annotations

from collections.abc import Mapping

import cbor2

from steward.domain.batches import DOWN_BODY_BYTES_MAX
from steward.domain.charges import Charge
from steward.domain.context import PortCalls, WeatherWord, port_calls_problem
from steward.domain.events import Scalar
from steward.domain.guests import Guest
from steward.domain.ids import AccountId, GuestRef
from steward.domain.ledger import AMOUNT_MAX_MINOR, LedgerTransaction, is_amount, is_currency
from steward.errors import LocalError
from steward.ports.sync import DownRecord

POSTING_COUNT_MAX = 100
PAYLOAD_BYTES_MAX = 4096
CABIN_COUNT_MAX = 2
BYTES_DAYS_KEPT = 31
DOWNS_KEPT = 16  # versions of one kind

_GUEST_PREFIX = "guest:"


class ReadOnlyError(LocalError):
    """A closure given to `Store.read` tried to write."""

    code = "read_only"

    def __init__(self) -> None:
        super().__init__("this transaction only reads: use Store.write to change anything")


class TransactionOverError(LocalError):
    """A closure kept its transaction and used it after it had ended."""

    code = "transaction_over"

    def __init__(self) -> None:
        super().__init__("this transaction has ended: do all the work inside the closure given to the store")


def encode_payload(payload: Mapping[str, Scalar]) -> bytes:
    """CBOR of an event's payload. Raises ValueError for anything but scalars under text keys, or too much."""
    for key, value in payload.items():
        if not isinstance(key, str):
            raise ValueError("event payload keys must be text")
        if value is not None and not isinstance(value, (str, int, bool, bytes)):
            raise ValueError(f"event payload {key!r} is {type(value).__name__}, not a scalar")
    encoded = cbor2.dumps(dict(payload))
    if len(encoded) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"event payload is {len(encoded)} bytes, more than {PAYLOAD_BYTES_MAX}")
    return encoded


def event_kind(epoch: int, seq: int) -> str:
    """As what an event's payload is sealed: it opens at its own place in the log alone."""
    return f"event {epoch} {seq}"


def decode_payload(encoded: bytes) -> dict[str, Scalar]:
    """Raises ValueError for bytes that are no such payload."""
    try:
        decoded: dict[str, Scalar] = cbor2.loads(encoded)
    except cbor2.CBORDecodeError as error:
        raise ValueError("the payload is no CBOR") from error
    if not isinstance(decoded, dict):
        raise ValueError("the payload is no map")
    return decoded


def check_guest(guest: Guest) -> None:
    """Raises ValueError."""
    if not 1 <= len(guest.cabins) <= CABIN_COUNT_MAX:
        raise ValueError(f"a guest has one or two cabins, not {len(guest.cabins)}")
    _check_currency(guest.currency)


def check_charge(charge: Charge) -> None:
    """Raises ValueError."""
    request = charge.request
    if not is_amount(request.amount_minor):
        raise ValueError(f"a charge is 1 to {AMOUNT_MAX_MINOR} minor units, not {request.amount_minor!r}")
    if not 0 <= charge.refunded_minor <= request.amount_minor:
        raise ValueError(f"cannot have refunded {charge.refunded_minor} of {request.amount_minor}")
    _check_currency(request.currency)


def check_down(record: DownRecord) -> None:
    """Raises ValueError."""
    if not record.kind or record.version < 1 or len(record.sha256) != 32 or len(record.body) > DOWN_BODY_BYTES_MAX:
        raise ValueError(f"a kind, a version from 1, a SHA-256 and up to {DOWN_BODY_BYTES_MAX} bytes are needed")


def check_posting_count(transaction: LedgerTransaction) -> None:
    """Raises ValueError. The other rules of a transaction are the domain's `check_transaction`."""
    if len(transaction.postings) > POSTING_COUNT_MAX:
        raise ValueError(f"a transaction has at most {POSTING_COUNT_MAX} postings")


def guest_of_account(account: AccountId) -> GuestRef | None:
    """The guest whose account this is; None for an account of the house."""
    return GuestRef(account.removeprefix(_GUEST_PREFIX)) if account.startswith(_GUEST_PREFIX) else None


def _check_currency(currency: str) -> None:
    if not is_currency(currency):
        raise ValueError(f"currency must be three capital letters, not {currency!r}")


def check_port_calls(calls: PortCalls) -> None:
    """Raises ValueError."""
    if calls.version < 1:
        raise ValueError("an itinerary has a version from 1")
    if (problem := port_calls_problem(calls.calls)) is not None:
        raise ValueError(problem)


def check_weather(word: WeatherWord) -> None:
    """Raises ValueError."""
    if word.until_s <= word.said_s:
        raise ValueError("weather is believed for some time")
