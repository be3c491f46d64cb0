"""The folio: deposits, the guest's statement, and settlement to exactly zero."""

from __future__ import annotations

from dataclasses import dataclass, replace

from steward.domain import ledger
from steward.domain.charges import Charge, ChargeRefusal, is_operation_id, sale_of
from steward.domain.events import EventType, Scalar, fact
from steward.domain.guests import Guest
from steward.domain.ids import GuestRef, TapId
from steward.domain.ledger import LedgerTransaction
from steward.domain.statement import Settlement, Statement, build_settlement, build_statement
from steward.errors import Conflict, NotFound, Refused
from steward.ports import Clock, Store, Tx
from steward.services.allowances import AllowanceBook, check_gathered
from steward.services.chargebook import ChargeBook, PaymentSettings
from steward.services.corrections import find


class ChargesHeld(Conflict):
    """A folio cannot be settled while charges wait for a PIN or a photo: verify or cancel `tap_ids` first."""

    code = "charges_held"

    def __init__(self, tap_ids: tuple[TapId, ...]) -> None:
        super().__init__(f"{len(tap_ids)} charges are held: verify or cancel {', '.join(tap_ids)} first")
        self.tap_ids = tap_ids


@dataclass(frozen=True, slots=True)
class LateCharge:
    charge: Charge
    open_minor: int


class FolioService:
    """allowances: at the authority of several gateways, what the others may still spend."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        settings: PaymentSettings | None = None,
        allowances: AllowanceBook | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._book = ChargeBook(settings or PaymentSettings())
        self._allowances = allowances

    async def deposit(self, ref: GuestRef, amount_minor: int, deposit_id: str, by: str = "") -> LedgerTransaction:
        """Take a deposit, in the guest's currency. deposit_id names it for ever: the same again changes nothing.

        Raises Refused (amount_invalid, request_invalid, folio_settled), NotFound, and Conflict if deposit_id stood
        for another amount.
        """
        if not ledger.is_amount(amount_minor):
            raise Refused("amount_invalid", f"amount_minor is a whole number from 1 to {ledger.AMOUNT_MAX_MINOR}")
        if not is_operation_id(deposit_id):
            raise Refused("request_invalid", "deposit_id is 1 to 64 of letters, digits, dot, dash, underscore")
        self._book.check_authority()
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> LedgerTransaction:
            guest = _guest(tx, ref)
            account = ledger.guest_account(ref)
            known = find(tx.ledger_of(account), ledger.deposit_transaction_id(ref, deposit_id))
            if known is not None:
                if ledger.posted_to(account, (known,)) != -amount_minor:
                    raise Conflict(f"deposit {deposit_id} was of another amount")
                return known
            if guest.settled:
                raise Refused(ChargeRefusal.FOLIO_SETTLED.value, "the folio is settled: no more money can go in")
            taken = ledger.deposit(ref, amount_minor, guest.currency, now_s, deposit_id)
            tx.post(taken)
            tx.append_event(
                fact(
                    EventType.DEPOSIT_TAKEN,
                    now_s,
                    guest=ref,
                    amount_minor=amount_minor,
                    currency=guest.currency,
                    deposit_id=deposit_id,
                    by=by,
                )
            )
            return taken

        return await self._store.write(work)

    async def statement(self, ref: GuestRef) -> Statement:
        """Every line so far, the running balance and what is open. Raises NotFound."""
        return await self._store.read(lambda tx: statement_in(tx, ref))

    async def settle(self, ref: GuestRef, by: str = "", *, despite_away: bool = False) -> Settlement:
        """End the folio at zero: what is owed goes on the card, what is left of the deposit back to the guest.

        Open disputes are listed and do not stop it; holds do (ChargesHeld), unless they have expired. Afterwards
        the folio takes no more charges. Settling again returns the same settlement.

        What other gateways may still spend is recalled first. Raises AllowancesOut if one of them does not answer;
        despite_away: settle all the same. A charge of theirs that comes in later is set aside, see late_charges.
        """
        self._book.check_authority()
        if self._allowances is None:
            return await self._settle_now(ref, by, True)
        with self._allowances.closing(ref):
            await self._allowances.gather(ref, despite_away=despite_away)
            return await self._settle_now(ref, by, despite_away)

    async def _settle_now(self, ref: GuestRef, by: str, despite_away: bool) -> Settlement:
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Settlement:
            guest = _guest(tx, ref)
            if not guest.settled:
                if not despite_away:
                    check_gathered(tx, ref)
                self._settle(tx, guest, now_s, by)
            account = ledger.guest_account(ref)
            return build_settlement(guest, tx.ledger_of(account), tx.charges_of(ref), repeated=guest.settled)

        return await self._store.write(work)

    async def late_charges(self) -> list[LateCharge]:
        """Charges that came in from another gateway after their folio was settled, and were not dealt with yet.

        The purser collects one (collect_late), or refunds it like any charge: nothing is paid out then.
        """

        return await self._store.read(late_in)

    async def collect_late(self, tap_id: TapId, by: str) -> int:
        """Put a late charge on the guest's card after all; how much that was. Again: 0."""
        self._book.check_authority()
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> int:
            charge = tx.charge(tap_id)
            if charge is None or charge.evidence is None:
                raise NotFound("charge", tap_id)
            sale = sale_of(charge)
            minor = ledger.late_minor(tap_id, tx.ledger_of(ledger.guest_account(sale.ref)))
            if minor:
                for transaction in ledger.collect_late(sale, minor, now_s):
                    tx.post(transaction)
                more: dict[str, Scalar] = {"guest": sale.ref, "currency": sale.currency, "tap_id": tap_id, "by": by}
                tx.append_event(fact(EventType.FOLIO_SETTLED, now_s, settled_minor=minor, returned_minor=0, **more))
            return minor

        return await self._store.write(work)

    def _settle(self, tx: Tx, guest: Guest, now_s: int, by: str) -> None:
        self._book.give_up_expired(tx, guest.ref, now_s)
        held = [charge.request.tap_id for charge in tx.held_of(guest.ref)]
        if held:
            raise ChargesHeld(tuple(held))
        balance_minor = tx.balance(ledger.guest_account(guest.ref))
        last = ledger.settlement(guest.ref, balance_minor, guest.currency, now_s)
        if last is not None:
            tx.post(last)
        tx.put_guest(replace(guest, settled=True))
        tx.append_event(
            fact(
                EventType.FOLIO_SETTLED,
                now_s,
                guest=guest.ref,
                currency=guest.currency,
                settled_minor=max(balance_minor, 0),
                returned_minor=max(-balance_minor, 0),
                by=by,
            )
        )


def late_in(tx: Tx, ref: GuestRef | None = None) -> list[LateCharge]:
    """See FolioService.late_charges, in the order they came in; ref: only this guest's. Whoever shows them logs it."""
    open_minor: dict[TapId, int] = {}
    for transaction in tx.ledger_of(ledger.LATE_CLEARING if ref is None else ledger.guest_account(ref)):
        if (tap_id := transaction.tap_id) is not None:
            owed_minor = ledger.posted_to(ledger.LATE_CLEARING, (transaction,))
            open_minor[tap_id] = open_minor.get(tap_id, 0) + owed_minor
    charges = ((tx.charge(tap_id), minor) for tap_id, minor in open_minor.items() if minor)
    return [LateCharge(charge, minor) for charge, minor in charges if charge is not None]


def statement_in(tx: Tx, ref: GuestRef) -> Statement:
    """For whoever shows it to a person: services/lookups.py logs that in the same transaction. Raises NotFound."""
    guest = _guest(tx, ref)
    return build_statement(guest, tx.ledger_of(ledger.guest_account(ref)), tx.charges_of(ref))


def _guest(tx: Tx, ref: GuestRef) -> Guest:
    guest = tx.guest(ref)
    if guest is None:
        raise NotFound("guest", ref)
    return guest
