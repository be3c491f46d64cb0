"""Questions over many guests: what there is, what is left of the voyage's budget, and answers with noise."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, Field

from steward.domain.aggregates import Answer
from steward.services.aggregates import AggregateService
from steward.web.endpoints import Caller, Endpoint
from steward.web.roles import Role
from steward.web.schemas import Body

READERS = frozenset({Role.PURSER, Role.MONITOR})
ASKERS = frozenset({Role.PURSER})
_ALL = "/v1/aggregates"
QuestionPath = Annotated[str, Path(pattern=r"^[a-z][a-z_]{0,31}$", examples=["guests_by_outlet"])]


class AskBody(Body):
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="Of sums; other money is not counted.")] = "EUR"


class QuestionView(BaseModel):
    """`cost_milli`: thousandths of epsilon that asking costs. `groups_max`: how many groups a guest counts in."""

    question: str
    over: str
    cost_milli: int
    groups_max: int
    cap: int


class AskedView(BaseModel):
    question: str
    cost_milli: int
    at_s: int


class AggregatesView(BaseModel):
    """What may be asked, and the account of the voyage in thousandths of epsilon."""

    voyage: str
    min_group: int
    budget_milli: int
    spent_milli: int
    left_milli: int
    questions: list[QuestionView]
    asked: list[AskedView]


class LineView(BaseModel):
    """Noisy figures of a group. `total`: minor units, null for a question without sums."""

    group: str
    guests: int
    total: int | None


class AnswerView(BaseModel):
    """`withheld`: how many groups are not shown. `shown_from`: the noisy count from which a group is.

    `currency`: of the totals, empty where there are none.
    """

    question: str
    lines: list[LineView]
    withheld: int
    shown_from: int
    cost_milli: int
    currency: str

    @classmethod
    def of(cls, answer: Answer) -> AnswerView:
        lines = [LineView(group=line.group, guests=line.guests, total=line.total) for line in answer.lines]
        return cls(
            question=answer.question,
            lines=lines,
            withheld=answer.withheld,
            shown_from=answer.shown_from,
            cost_milli=answer.cost_milli,
            currency=answer.currency,
        )


class AggregateApi:
    def __init__(self, aggregates: AggregateService) -> None:
        self._aggregates = aggregates

    def endpoints(self) -> list[Endpoint]:
        problems = {404: "No such question.", 409: "The budget is spent, or guests are kept elsewhere."}
        ask = f"{_ALL}/{{question}}"
        return [
            Endpoint("GET", _ALL, READERS, self.list_aggregates, "What may be asked, and what is left", "purser"),
            Endpoint("POST", ask, ASKERS, self.ask_aggregate, "Ask about many guests", "purser", problems=problems),
        ]

    async def list_aggregates(self) -> AggregatesView:
        """Only guests who agreed to analytics ashore are ever counted. Every answer is paid for, once and for all."""
        budget = await self._aggregates.budget()
        questions = [
            QuestionView(
                question=question.id,
                over=question.over.value,
                cost_milli=question.cost_milli,
                groups_max=question.groups_max,
                cap=question.cap,
            )
            for question in self._aggregates.questions.values()
        ]
        asked = [AskedView(question=s.question, cost_milli=s.cost_milli, at_s=s.at_s) for s in budget.asked]
        return AggregatesView(
            voyage=budget.voyage,
            min_group=budget.min_group,
            budget_milli=budget.budget_milli,
            spent_milli=budget.spent_milli,
            left_milli=budget.left_milli,
            questions=questions,
            asked=asked,
        )

    async def ask_aggregate(self, caller: Caller, question: QuestionPath, body: AskBody) -> AnswerView:
        """Pays from the voyage's budget, also if the answer is lost on the way. The noisy answer goes ashore too."""
        return AnswerView.of(await self._aggregates.ask(question, f"token {caller.id}", body.currency))
