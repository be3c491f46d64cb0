"""Voids, refunds and disputes as the purser's office carries them out, with a second person where one is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from voyage.client import Purser, Refused
from voyage.crewacts import BAD, PLAIN, CrewActs
from voyage.observed import Correction, Observed
from voyage.steps import Correcting, Dispute, Refund, Void

PENDING = "pending"


class Amends:
    """charges: a step's name -> (tap id, amount)."""

    def __init__(
        self,
        purser: Purser,
        crew: CrewActs,
        charges: Mapping[str, tuple[str, int]],
        seen: Observed,
        tell: Callable[[str, str], None],
    ) -> None:
        self._purser = purser
        self._crew = crew
        self._charges = charges
        self._seen = seen
        self._tell = tell

    async def do(self, step: Correcting) -> None:
        tap_id, amount_minor = self._charges[step.charge]
        kind, back_minor, evidence, detail = type(step).__name__.lower(), amount_minor, None, ""
        waited, approved = False, 0
        try:
            match step:
                case Void():
                    waited = _waits(await self._purser.void(tap_id))
                    approved = await self._agree(step.second) if step.second else 0
                case Refund():
                    back_minor = step.amount_minor
                    await self._purser.refund(tap_id, back_minor)
                case Dispute():
                    back_minor = amount_minor if step.outcome == "uphold" else 0
                    await self._purser.dispute(tap_id)
                    evidence = (await self._purser.evidence(tap_id))["verified"]
                    await self._purser.resolve(tap_id, step.outcome)
        except Refused as error:
            detail = str(error)
        correction = Correction(kind, tap_id, back_minor, not detail, detail, evidence, waited, approved)
        self._seen.corrections.append(correction)
        said = {"uphold": "upheld", "reject": "rejected"}[step.outcome] if isinstance(step, Dispute) else "done"
        back = f", {back_minor / 100:.2f} back" if back_minor else ""
        agreed = ", a second person agreed" if approved else ""
        self._tell(f"purser · {kind} of {step.charge} {said}{back}{agreed}", BAD if detail else PLAIN)

    async def _agree(self, second: str) -> int:
        handheld = await self._crew.at_work(second)
        async with handheld.lock:
            return await handheld.approve_all()


def _waits(answer: Mapping[str, Any]) -> bool:
    """Whether it is a question for a second person, rather than the charge."""
    return answer.get("state") == PENDING
