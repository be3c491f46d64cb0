"""A guest's card in the words of the page: codes become texts, nothing is added and nothing guessed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steward.domain.viewing import Field, Viewer, allowed, break_glass_fields
from steward.services.lookups import GuestCard, SearchHit
from steward.services.offers import Suggestion
from steward.web.pages.base import PageCall
from steward.web.pages.language import Translator
from steward.web.pages.whys import say


def card_facts(call: PageCall, viewer: Viewer, card: GuestCard, suggestions: Sequence[Suggestion]) -> dict[str, Any]:
    """What the template shows. `allergies`: None is not shown at all; see `allergies_state` for the rest."""
    t, seen = call.t, card.look.fields
    name = card.preferred_name or card.full_name or t("crew.card.unnamed")
    return {
        "ref": card.ref,
        "name": name,
        "initial": name[:1].upper(),
        "full_name": card.full_name if card.full_name != name else None,
        "language": spoken(card.language, t) if card.language else None,
        "cabins": card.cabins,
        "age": card.age_group,
        "has_photo": card.has_photo,
        "allergies_state": allergies_state(card),
        "allergies": [t(f"words.allergen.{code}") for code in card.allergies or ()],
        "diet": [t(f"words.diet.{code}") for code in card.diet or ()],
        "notes": [{"id": n.id, "text": n.text, "until": call.time(n.expires_s)} for n in card.notes],
        "cases": [
            {"id": c.id, "what": c.what, "since": call.time(c.opened_s), "outlet": _title(call, c.outlet)}
            for c in card.cases
        ],
        "may_note": Field.NOTES in allowed(viewer) and Field.NOTES not in card.withheld,
        "may_mend": Field.RECOVERY in allowed(viewer),
        "may_offer": Field.SUGGESTIONS in allowed(viewer),
        "may_find": Field.PRESENCE in allowed(viewer),
        "holdout_percent": call.services.offers.holdout_percent,
        "objects": Field.SUGGESTIONS in card.withheld,
        "may_break": bool(break_glass_fields(viewer.role)) and not card.look.broke_glass,
        "broke_glass": card.look.broke_glass,
        "tapped": card.look.tapped,
        "seen": [t(f"words.field.{field}") for field in sorted(seen, key=list(Field).index)],
        "suggestion": _suggestion(suggestions[0], t) if suggestions else None,
        "help": _help(call, card),
        "news": _news(card, name, t),
    }


def _help(call: PageCall, card: GuestCard) -> str | None:
    """What comes first while something is being put right, in a sentence."""
    found = call.services.offers.help_first(card.cases)
    return None if found is None else call.t(f"words.help.{found.trouble}")


def hit_facts(hit: SearchHit, call: PageCall) -> dict[str, Any]:
    name = hit.preferred_name or hit.full_name or call.t("crew.card.unnamed")
    return {
        "ref": hit.ref,
        "name": name,
        "initial": name[:1].upper(),
        "full_name": hit.full_name if hit.full_name != name else None,
        "cabins": hit.cabins,
        "has_photo": hit.has_photo,
    }


def allergies_state(card: GuestCard) -> str:
    """ "hidden": not for these eyes. "unknown" is not "none": nobody has written down what this guest cannot eat."""
    if Field.ALLERGIES not in card.look.fields:
        return "hidden"
    if card.allergies is None:
        return "unknown"
    return "some" if card.allergies else "none"


def spoken(tag: str, t: Translator) -> str:
    """A language's name, with its tag if it is one we have no word for."""
    return t.known(f"words.language.{tag.partition('-')[0]}", tag)


def _suggestion(suggestion: Suggestion, t: Translator) -> dict[str, Any]:
    item, named = suggestion.item, suggestion.named
    said = say(
        suggestion.reasons, suggestion.why, t, lambda id_: named[id_].title(t.language) if id_ in named else None
    )
    return {
        "id": suggestion.offer,
        "title": item.title(t.language),
        "price": t.money(item.price_minor, item.currency),
        "reasons": said.short,
        "more": said.more,
    }


def _news(card: GuestCard, name: str, t: Translator) -> str:
    """What a screen reader says when the card arrives: who, and what must not be missed."""
    said = [t("crew.news.guest", name=name)]
    if card.cases:
        said.append(t("crew.news.recovery"))
    state = allergies_state(card)
    if state == "some":
        said.append(t("crew.news.allergies", list=", ".join(t(f"words.allergen.{a}") for a in card.allergies or ())))
    elif state == "unknown":
        said.append(t("crew.card.allergies_unknown"))
    return " ".join(said)


def _title(call: PageCall, outlet: str) -> str:
    known = {str(id_): place.title for id_, place in call.services.outlets.items()}
    return known.get(outlet, outlet)
