"""[privacy]: who is responsible, whom guests turn to, and the real names of those who receive anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from steward.domain.usecases import REGISTER
from steward.settings_table import Table

_NAME = re.compile(r"\S[^\x00-\x1f\x7f]{0,198}\S")
_NAME_RULE = "2 to 200 printable characters"


@dataclass(frozen=True, slots=True)
class PrivacySettings:
    """Empty: not said, and the reports say so. recipients: real names, by their id in the register of use cases."""

    controller: str = ""
    contact: str = ""
    officer: str = ""
    complaints: str = ""  # the authority that guests can complain to
    recipients: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def read_privacy(table: Table) -> PrivacySettings:
    """Raises ConfigError."""
    settings = PrivacySettings(
        controller=table.optional_text("controller", _NAME, _NAME_RULE) or "",
        contact=table.optional_text("contact", _NAME, _NAME_RULE) or "",
        officer=table.optional_text("officer", _NAME, _NAME_RULE) or "",
        complaints=table.optional_text("complaints", _NAME, _NAME_RULE) or "",
        recipients=_recipients(table.table("recipients")),
    )
    table.finish()
    return settings


def _recipients(table: Table) -> Mapping[str, str]:
    for id_ in table.names():
        if id_ not in REGISTER.recipients:
            table.fail(id_, f"is no recipient of the register: name one of {', '.join(REGISTER.recipients)}")
    return MappingProxyType({id_: table.text(id_, None, _NAME, _NAME_RULE) for id_ in table.names()})
