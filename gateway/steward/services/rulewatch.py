"""What is wrong with the rules that are in force, beside the catalogue as it is: logged when found, counted for all."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from steward.domain.rulecheck import Finding, check_rules
from steward.domain.rulekinds import Rules
from steward.ports import Tx

_LOG = logging.getLogger(__name__)


class RuleWatch:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._looked: tuple[int, Sequence[Finding]] | None = None  # for which version of the catalogue

    def look(self, tx: Tx) -> Sequence[Finding]:
        """Looked for anew when the catalogue is another; logged is what was not found before.

        While there is no catalogue at all, nothing is said of what it does not have.
        """
        version, looked = tx.catalogue_version(), self._looked
        if looked is not None and looked[0] == version:
            return looked[1]
        items = tx.catalogue().items
        found = check_rules(self._rules, items or None)
        before = () if looked is None else looked[1]
        for one in found:
            if one not in before:
                _LOG.warning("offers.rules_finding line=%d rule=%s kind=%s %s", one.line, one.rule, one.kind, one.says)
        self._looked = (version, found)
        return found
