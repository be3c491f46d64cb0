"""The documents of services/privacyreport.py as HTML, each a file that needs no other."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from steward.services.privacyreport import Document
from steward.web.pages.language import Catalogue, Translator

_WEB = Path(__file__).parent


def draw(document: Document, language: str) -> str:
    """One document in one language."""
    css = (_WEB / "static" / "report.css").read_text(encoding="utf-8")
    template = _environment().get_template(f"report_{document['kind']}.html")
    t = _catalogue().translator(language, "")
    return template.render(doc=document, t=t, css=Markup(css))  # noqa: S704 a file of ours


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_WEB / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["place"] = _place
    return environment


@cache
def _catalogue() -> Catalogue:
    return Catalogue()


def _place(place: str, t: Translator) -> str:
    return t(f"report.place.{place}")
