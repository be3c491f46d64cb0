"""The folio: deposits, the guest's statement, and settlement to exactly zero."""

from __future__ import annotations

from dataclasses import replace

from steward.domain import ledger
from steward.domain.charges import ChargeRefusal, is_operation_id
from steward.domain.events import EventType, fact
from steward.domain.guests import Guest
from steward.domain.ids import GuestRef, TapId
from steward.domain.ledger import LedgerTransaction
from steward.domain.statement import Settlement, Statement, build_settlement, build_statement
from steward.errors import Conflict, NotFound, Refused
from steward.ports import Clock, Store, Tx
from steward.services.chargebook import ChargeBook, PaymentSettings
from steward.services.corrections import find


class ChargesHeld(Conflict):
    """A folio cannot be settled while charges wait for a PIN or a photo: verify or cancel `tap_ids` first."""

    code = "charges_held"

    def __init__(self, tap_ids: tuple[TapId, ...]) -> None:
        super().__init__(f"{len(tap_ids)} charges are held: verify or cancel {', '.join(tap_ids)} first")
        self.tap_ids = tap_ids


class FolioService:
    def __init__(self, store: Store, clock: Clock, settings: PaymentSettings | None = None) -> None:
        self._store = store
        self._clock = clock
        self._book = ChargeBook(settings or PaymentSettings())

    async def deposit(self, ref: GuestRef, amount_minor: int, deposit_id: str, by: str = "") -> LedgerTransaction:
        """Take a deposit, in the guest's currency. deposit_id names it for ever: the same again changes nothing.

        Raises Refused (amount_invalid, request_invalid, folio_settled), NotFound, and Conflict if deposit_id stood
        for another amount.
        """
        if not ledger.is_amount(amount_minor):
            raise Refused("amount_invalid", f"amount_minor is a whole number from 1 to {ledger.AMOUNT_MAX_MINOR}")
        if not is_operation_id(deposit_id):
            raise Refused("request_invalid", "deposit_id is 1 to 64 of letters, digits, dot, dash, underscore")
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

        def work(tx: Tx) -> Statement:
            guest = _guest(tx, ref)
            return build_statement(guest, tx.ledger_of(ledger.guest_account(ref)), tx.charges_of(ref))

        return await self._store.read(work)

    async def settle(self, ref: GuestRef, by: str = "") -> Settlement:
        """End the folio at zero: what is owed goes on the card, what is left of the deposit back to the guest.

        Open disputes are listed and do not stop it; holds do (ChargesHeld), unless they have expired. Afterwards
        the folio takes no more charges. Settling again returns the same settlement.
        """
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> Settlement:
            guest = _guest(tx, ref)
            if not guest.settled:
                self._settle(tx, guest, now_s, by)
            account = ledger.guest_account(ref)
            return build_settlement(guest, tx.ledger_of(account), tx.charges_of(ref), repeated=guest.settled)

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


def _guest(tx: Tx, ref: GuestRef) -> Guest:
    guest = tx.guest(ref)
    if guest is None:
        raise NotFound("guest", ref)
    return guest
