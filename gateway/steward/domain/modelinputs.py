"""Every input of the preference model, the use case that allows it, and the switch a guest has for it. Pure.

A feature that no use case names has no place here, and without its place nothing is ranked: this is made when the
program starts, and it does not start with one that is missing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from steward.domain.features import ITEM_NAMES, MOMENT_NAMES, MOMENT_SLICES, PAST_NAMES, Deed, Signal, signal_of
from steward.domain.policywords import ConsentPurpose
from steward.domain.usecases import REGISTER, Register, Sort

_PAST_SWITCHES: Mapping[str, frozenset[Signal]] = MappingProxyType(
    {
        **{f"past.deed={deed.value}": frozenset({signal_of(deed)}) for deed in Deed},
        "past.hour_sin": frozenset({Signal.HOUR}),
        "past.hour_cos": frozenset({Signal.HOUR}),
        "past.log_age": frozenset({Signal.HISTORY, Signal.ANSWERS}),  # it goes with its deed
        "past.here": frozenset({Signal.PLACE}),
    }
)
_HASHED = ("category", "tag", "outlet", "open")  # of an item: one name for all buckets of a kind


@dataclass(frozen=True, slots=True)
class ModelInput:
    """use_case, consent: None if it is about nobody. switches: what a guest can switch it off with."""

    name: str
    use_case: str | None
    consent: ConsentPurpose | None
    switches: frozenset[Signal]


def feature_names() -> frozenset[str]:
    """As the register names them: moment.weekend, past.here, item.tag."""
    items = {name.partition("=")[0] if name.startswith(_HASHED) else name for name in ITEM_NAMES}
    return frozenset(
        {f"moment.{name}" for name in MOMENT_NAMES}
        | {f"past.{name}" for name in PAST_NAMES}
        | {f"item.{name}" for name in items}
    )


def model_inputs(register: Register, names: Collection[str]) -> Mapping[str, ModelInput]:
    """Raises ValueError for a feature of a guest that no use case names, asks no consent for, or cannot switch off."""
    found: dict[str, ModelInput] = {}
    for name in sorted(names):
        if name not in register.names(Sort.FEATURE):
            raise ValueError(f"the model's feature {name} is named by no use case: declare it in usecases.toml")
        case, switches = register.use_case_of(Sort.FEATURE, name), _switches(name)
        if case is not None and (case.consent is None or not switches):
            raise ValueError(f"the model's feature {name} of {case.id} needs a consent to ask for and a switch")
        found[name] = ModelInput(name, case.id if case else None, case.consent if case else None, switches)
    return MappingProxyType(found)


def _switches(name: str) -> frozenset[Signal]:
    whole, _, part = name.partition(".")
    if whole != "moment" or part not in MOMENT_NAMES:
        return _PAST_SWITCHES.get(name, frozenset())
    place = MOMENT_NAMES.index(part)
    return frozenset(signal for signal, span in MOMENT_SLICES.items() if span.start <= place < span.stop)


MODEL_INPUTS = model_inputs(REGISTER, feature_names())
MODEL_CONSENTS = frozenset(each.consent for each in MODEL_INPUTS.values() if each.consent is not None)


def may_choose(given: Collection[ConsentPurpose]) -> bool:
    """Whether the model may be told what it is told of a guest: every consent that its inputs need was given."""
    return MODEL_CONSENTS.issubset(given)
