"""Crew at their handhelds: who may, logging in with band and PIN, sessions, shifts.

A session's secret is known to the handheld alone: the store keeps its SHA-256. Every use of a session looks again at
the crew member and the band that began it, so a freeze ends it at the next click.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from steward.domain.crew import (
    PIN_FAILURES_MAX,
    TRUSTED,
    CrewMember,
    CrewSession,
    LoginId,
    LoginState,
    SessionId,
    is_alive,
    shift_problem,
    viewer_at,
)
from steward.domain.events import EventType, fact
from steward.domain.guests import PinHash
from steward.domain.ids import GuestRef, OutletId
from steward.domain.outlets import Outlet
from steward.domain.viewing import CrewRole, Purpose, Viewer
from steward.errors import NotFound, Refused
from steward.ports import Clock, Entropy, Store, Tx
from steward.services.logins import CrewTap, Logins
from steward.services.pins import PinAttempt, PinService, check_pin

SESSIONS_EACH_MAX = 4
SEEN_EVERY_S = 60  # how exactly the last use is remembered
LOGGED_OUT = "logged_out"
_SECRET_SIZE = 32


class CrewService:
    """outlets: by id, from the settings. stations: names of the readers of purpose crew."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        pins: PinService,
        outlets: Mapping[OutletId, Outlet],
        stations: Mapping[str, OutletId],
    ) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._pins = pins
        self._logins = Logins(clock, entropy)
        self.outlets = outlets
        self.stations = stations

    # who may

    async def add(
        self,
        ref: GuestRef,
        role: CrewRole,
        outlets: Sequence[OutletId],
        pin: str,
        by: str,
        *,
        may_appoint: bool = False,
    ) -> CrewMember:
        """Give a checked-in crew member a role, outlets (none: all) and a PIN; again, to change them, and to unlock.

        Ends their sessions. may_appoint: also to a role of trust, or to whoever has one now: who could set their PIN
        could be them. Raises NotFound, Refused (not_crew, unknown_outlet, pin_invalid, not_yours_to_appoint).
        """
        unknown = [outlet for outlet in outlets if outlet not in self.outlets]
        if unknown:
            known = ", ".join(self.outlets) or "none: add [[outlet]] tables"
            raise Refused("unknown_outlet", f"{unknown[0]!r}; the settings name: {known}")
        hashed = await self._pins.hash(pin)
        now_s = self._clock.now().unix_s
        member = CrewMember(ref, role, tuple(sorted(set(outlets))), hashed, 0, now_s)

        def work(tx: Tx) -> CrewMember:
            guest = tx.guest(ref)
            if guest is None:
                raise NotFound("guest", ref)
            if not guest.crew:
                raise Refused("not_crew", "this guest was not checked in as crew")
            _check_appoints((role, _role_of(tx, ref)), may_appoint)
            tx.put_crew(member)
            _end_sessions(tx, ref)
            tx.append_event(fact(EventType.CREW_ADDED, now_s, crew=ref, role=role.value, by=by))
            return member

        return await self._store.write(work)

    async def remove(self, ref: GuestRef, by: str, *, may_appoint: bool = False) -> None:
        """Take the role away and end the sessions. Raises NotFound, Refused not_yours_to_appoint."""
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> None:
            _check_appoints((_member(tx, ref).role,), may_appoint)
            tx.drop_crew(ref)
            _end_sessions(tx, ref)
            tx.append_event(fact(EventType.CREW_REMOVED, now_s, crew=ref, by=by))

        await self._store.write(work)

    async def unlock(self, ref: GuestRef, by: str, *, may_appoint: bool = False) -> CrewMember:
        """Forget the wrong PINs. Nobody unlocks themselves. Raises NotFound, Refused (own_lock, not_yours_to_appoint).

        may_appoint: also of a role of trust. Whoever could unlock it again and again could guess it.
        """
        if by == ref:
            raise Refused("own_lock", "another crew member or the desk unlocks a PIN")
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> CrewMember:
            member = _member(tx, ref)
            _check_appoints((member.role,), may_appoint)
            unlocked = replace(member, pin_failures=0)
            if member.pin_failures:
                tx.put_crew(unlocked)
                tx.append_event(fact(EventType.CREW_UNLOCKED, now_s, crew=ref, by=by))
            return unlocked

        return await self._store.write(work)

    async def members(self) -> Sequence[CrewMember]:
        return await self._store.read(lambda tx: tx.crew_members())

    async def member(self, ref: GuestRef) -> CrewMember:
        """Raises NotFound."""
        return await self._store.read(lambda tx: _member(tx, ref))

    async def acting(self, ref: GuestRef, role: CrewRole) -> GuestRef:
        """Who acts with a token of theirs. Raises Refused token_holder_gone once they no longer have this role."""
        if await self._store.read(lambda tx: _role_of(tx, ref)) is not role:
            raise Refused("token_holder_gone", f"this token's holder is no {role} any more: revoke it")
        return ref

    # logging in

    def begin(self, station: str, client: str, peer: str = "") -> LoginId:
        """A handheld (`client`: what tells it from others, `peer`: the address it calls from) waits for a crew band.

        Several at one station take turns: a tap must never log in the wrong one. Raises NotFound for a station that
        does not exist, Refused login_too_often, Busy.
        """
        if station not in self.stations:
            raise NotFound("station", station)
        return self._logins.begin(station, client, peer)

    def tapped(self, station: str, tap: CrewTap) -> bool:
        """A crew band was read there. Whether a handheld was waiting for it."""
        return self._logins.tapped(station, tap)

    async def wait_tap(self, login: LoginId, timeout_s: float, seen: LoginState = LoginState.WAITING) -> LoginState:
        """How the login stands, as soon as it is not as it was `seen` or after `timeout_s`."""
        return await self._logins.wait(login, timeout_s, seen)

    async def finish(self, login: LoginId, pin: str) -> tuple[str, CrewSession]:
        """The PIN after the tap: the secret for the cookie, and the session.

        Raises Refused: login_over, login_not_tapped, pin_invalid, pin_wrong, pin_locked, not_crew; Busy.
        """
        check_pin(pin)
        tap = self._logins.tap_of(login)
        with self._pins.place():
            attempt = await self._store.write(lambda tx: _count_guess(tx, tap.ref))
            matched = await self._pins.matches(pin, attempt)
            secret = self._entropy.token_bytes(_SECRET_SIZE).hex()
            now_s = self._clock.now().unix_s
            # Right or wrong, this guess has come to its end: only then does a login that is over say so.
            if matched and not self._logins.use(login):
                matched = False
            session = await self._store.write(lambda tx: _conclude(tx, attempt, tap, matched, secret, now_s))
        if session is None:
            left = PIN_FAILURES_MAX - attempt.number
            if left <= 0:
                raise _locked()
            raise Refused("pin_wrong", f"{left} more, then it is locked")
        return secret, session

    # while logged in

    async def session(self, secret: str) -> CrewSession:
        """The session of this cookie, if it is alive; remembers that it was used. Raises Refused logged_out."""
        id_, now_s = session_id(secret), self._clock.now().unix_s
        found = await self._store.read(lambda tx: live_session(tx, id_, now_s))
        if found is not None and now_s - found.seen_s >= SEEN_EVERY_S:
            found = await self._store.write(lambda tx: _seen(tx, id_, now_s))
        if found is None:
            raise Refused(LOGGED_OUT, "log in again with band and PIN")
        return found

    async def set_shift(self, session: CrewSession, outlet: OutletId, purpose: Purpose) -> CrewSession:
        """Name outlet and purpose for what follows. Raises Refused (logged_out, unknown_outlet, shift_not_allowed)."""
        place = self.outlets.get(outlet)
        if place is None:
            raise Refused("unknown_outlet", f"{outlet!r}; the settings name: {', '.join(self.outlets)}")
        now_s = self._clock.now().unix_s

        def work(tx: Tx) -> CrewSession:
            found = live_session(tx, session.id, now_s)
            if found is None:
                raise Refused(LOGGED_OUT, "log in again with band and PIN")
            if (problem := shift_problem(_member(tx, found.crew), place, purpose)) is not None:
                raise Refused("shift_not_allowed", problem)
            placed = replace(found, outlet=outlet, purpose=purpose, seen_s=max(found.seen_s, now_s))
            tx.put_session(placed)
            return placed

        return await self._store.write(work)

    def viewer(self, session: CrewSession) -> Viewer:
        """As whom this session looks at guests. Raises Refused no_shift until outlet and purpose are named."""
        outlet = self.outlets.get(session.outlet) if session.outlet is not None else None
        if outlet is None or session.purpose is None:
            raise Refused("no_shift", "name the outlet and the purpose of the shift first")
        return viewer_at(session, outlet, session.purpose)

    async def log_out(self, secret: str) -> None:
        """End the session of this cookie. Idempotent."""
        await self._store.write(lambda tx: tx.drop_session(session_id(secret)))


def session_id(secret: str) -> SessionId:
    return SessionId(hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest())


def live_session(tx: Tx, id_: SessionId, now_s: int) -> CrewSession | None:
    """The session if it may still be used: in time, its crew member still one, its band neither frozen nor replaced."""
    session = tx.session(id_)
    if session is None or not is_alive(session, now_s):
        return None
    member, guest = tx.crew(session.crew), tx.guest(session.crew)
    if member is None or member.role is not session.role:
        return None
    if session.outlet is not None and not member.works_at(session.outlet):
        return None
    if guest is None or not guest.crew or now_s >= guest.not_after_s:
        return None
    denied_at = tx.denied_at(session.uid)
    if denied_at is not None and session.deny_epoch < denied_at:
        return None
    return session if session.serial >= tx.serial_of(session.crew) else None


def _count_guess(tx: Tx, ref: GuestRef) -> PinAttempt:
    """Count a guess before it is looked at, so that guesses side by side and after a restart share one budget."""
    member = tx.crew(ref)
    if member is None:
        raise Refused("not_crew", "this band's holder has no role here: see the desk")
    if member.locked:
        raise _locked()
    counted = replace(member, pin_failures=member.pin_failures + 1)
    tx.put_crew(counted)
    return PinAttempt(ref, counted.pin_failures, member.pin)


def _conclude(tx: Tx, attempt: PinAttempt, tap: CrewTap, matched: bool, secret: str, now_s: int) -> CrewSession | None:
    member = tx.crew(attempt.ref)
    if member is None or not _same_pin(member.pin, attempt.stored):
        return None  # changed at the desk meanwhile
    if not matched:
        if attempt.number >= PIN_FAILURES_MAX:
            tx.append_event(fact(EventType.CREW_LOCKED, now_s, crew=member.ref, attempts=member.pin_failures))
        return None
    tx.put_crew(replace(member, pin_failures=max(0, member.pin_failures - attempt.number)))
    session = CrewSession(
        id=session_id(secret),
        crew=member.ref,
        role=member.role,
        uid=tap.uid,
        serial=tap.serial,
        deny_epoch=tap.deny_epoch,
        created_s=now_s,
        seen_s=now_s,
    )
    tx.put_session(session)
    if live_session(tx, session.id, now_s) is None:  # frozen or ended between tap and PIN
        tx.drop_session(session.id)
        return None
    for old in list(tx.sessions_of(member.ref))[:-SESSIONS_EACH_MAX]:
        tx.drop_session(old.id)
    tx.append_event(
        fact(EventType.CREW_LOGGED_IN, now_s, crew=member.ref, role=member.role.value, station=tap.station, uid=tap.uid)
    )
    return session


def _seen(tx: Tx, id_: SessionId, now_s: int) -> CrewSession | None:
    session = live_session(tx, id_, now_s)
    if session is None:
        return None
    used = replace(session, seen_s=max(session.seen_s, now_s))
    tx.put_session(used)
    return used


def _end_sessions(tx: Tx, ref: GuestRef) -> None:
    for session in tx.sessions_of(ref):
        tx.drop_session(session.id)


def _member(tx: Tx, ref: GuestRef) -> CrewMember:
    member = tx.crew(ref)
    if member is None:
        raise NotFound("crew member", ref)
    return member


def _role_of(tx: Tx, ref: GuestRef) -> CrewRole | None:
    member = tx.crew(ref)
    return None if member is None else member.role


def _check_appoints(roles: Sequence[CrewRole | None], may_appoint: bool) -> None:
    """Raises Refused if one of these roles, as it was or is to be, is not this caller's to give, change or unlock."""
    if not may_appoint and any(role in TRUSTED for role in roles):
        trusted = ", ".join(sorted(TRUSTED))
        raise Refused("not_yours_to_appoint", f"{trusted}: only a token made by `steward tokens add --role admin` may")


def _same_pin(one: PinHash, other: PinHash) -> bool:
    return one == other


def _locked() -> Refused:
    return Refused("pin_locked", "too many wrong PINs: another purser or the desk unlocks it")
