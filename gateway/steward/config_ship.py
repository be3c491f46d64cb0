"""[ship_link]: the ship's own network, where several gateways share one folio authority. Optional."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from steward.adapters.brokerrights import TAKEN
from steward.config_link import LinkSettings, read_link
from steward.domain.allowance import Sizing
from steward.domain.ids import TillId
from steward.domain.replica import MemberRole
from steward.services.allowances import AllowanceSettings, Member
from steward.settings_table import Table

MEMBERS_MAX = 64
TILLS_MAX = 64
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_NAME_RULE = "a gateway's name, 1 to 32 lower-case letters, digits and dashes"
_TILL = re.compile(r"[!-~]{1,8}")
_SHORE_ONLY = ("shore_keys", "budget_kib_per_day")
_MINOR_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ShipSettings:
    """members: at the folio authority, every other gateway; nobody at those."""

    link: LinkSettings  # the ship's broker
    allowances: AllowanceSettings
    members: tuple[Member, ...]


def read_ship(table: Table, folder: Path, gateway: str) -> ShipSettings | None:
    """The section; None without one. gateway: our name. Raises ConfigError."""
    if not table.names():
        return None
    for key in _SHORE_ONLY:
        if key in table.names():
            table.fail(key, "belongs to [link]: it is about shore")
    sizing = Sizing(
        advance_minor=table.number("advance_minor", 2_000, 0, _MINOR_MAX),
        grant_minor=table.number("grant_minor", 5_000, 0, _MINOR_MAX),
        low_minor=table.number("low_minor", 1_000, 0, _MINOR_MAX),
        percent_max=table.number("grant_percent_max", 25, 0, 100),
    )
    allowances = AllowanceSettings(
        sizing,
        wait_ms=table.number("allowance_wait_ms", 1000, 0, 10_000),
        settle_wait_ms=table.number("settle_wait_ms", 3000, 0, 30_000),
    )
    members = tuple(_member(member) for member in table.tables("gateway", MEMBERS_MAX))
    _check_members(table, members, gateway)
    link = read_link(table, folder, gateway)
    assert link is not None
    return ShipSettings(link, allowances, members)


def _member(table: Table) -> Member:
    name = table.text("name", None, _NAME, _NAME_RULE)
    role = MemberRole(table.choice("role", tuple(MemberRole)))
    tills = table.texts("tills", _TILL, "a till's id", TILLS_MAX)
    if (role is MemberRole.TILL) != bool(tills):
        table.fail("tills", "names the tills of a gateway of role till: nobody else's charges are booked")
    table.finish()
    return Member(name, role, frozenset(TillId(till) for till in tills))


def _check_members(table: Table, members: tuple[Member, ...], gateway: str) -> None:
    names = [member.name for member in members]
    for name in names:
        if name in TAKEN or name == gateway or names.count(name) > 1:
            table.fail("gateway", f"has {name}, which is this gateway itself, there twice, or a topic's word")
    tills = [till for member in members for till in member.tills]
    for till in tills:
        if tills.count(till) > 1:
            table.fail("gateway", f"has till {till} at two gateways: a till is at one")
