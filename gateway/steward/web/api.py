"""The FastAPI application over a bundle of services."""

from __future__ import annotations

from fastapi import FastAPI

from steward.web.aggregates import AggregateApi
from steward.web.bandreleases import BandReleaseApi
from steward.web.bare import bare_app
from steward.web.blanks import Arrivals, BlankApi
from steward.web.bundle import Services
from steward.web.consents import ConsentApi
from steward.web.context import ContextApi
from steward.web.desk import DeskApi
from steward.web.endpoints import install
from steward.web.explaining import ExplainApi
from steward.web.facts import FactReader
from steward.web.imports import ImportApi
from steward.web.metrics import MetricsPage
from steward.web.monitor import MonitorApi
from steward.web.page import Page
from steward.web.pages.base import Pages
from steward.web.pages.common import CommonPages
from steward.web.pages.crew import CrewPages
from steward.web.pages.crew_find import CrewFindPages
from steward.web.pages.crew_whatif import WhatIfPages
from steward.web.pages.guest_band import GuestBandPages
from steward.web.pages.guest_consents import ConsentPages
from steward.web.pages.guest_data import DataPages
from steward.web.pages.guest_erase import GuestErasePages
from steward.web.pages.guest_folio import GuestFolioPages
from steward.web.pages.guest_looks import LookPages
from steward.web.pages.guest_radio import GuestRadioPages
from steward.web.pages.guest_requests import GuestRequestPages
from steward.web.pages.guest_signin import GuestSignInPages
from steward.web.pages.guest_take import GuestTakePages
from steward.web.pages.guest_why import WhyPages
from steward.web.pages.guestbase import GuestSite
from steward.web.pages.privacy import PrivacyPages
from steward.web.pages.privacy_records import PrivacyRecordPages
from steward.web.pages.privacy_requests import PrivacyRequestPages
from steward.web.pages.purser import PurserPages
from steward.web.pages.purser_bands import BandPages
from steward.web.pages.purser_desk import DeskPages
from steward.web.pages.purser_late import LatePages
from steward.web.pages.purser_stock import BlankPages
from steward.web.pages.searches import Searches
from steward.web.pages.signin import SignInPages
from steward.web.pages.sse import Streams
from steward.web.pages.stock import StockPages
from steward.web.pages.verify import VerifyPages
from steward.web.purser import PurserApi
from steward.web.roster import RosterApi
from steward.web.signals import SignalApi
from steward.web.stock import StockApi
from steward.web.takeouts import TakeoutApi
from steward.web.till import TillApi
from steward.web.waits import LongPolls

_DESCRIPTION = """
Keys and payment for one ship, decided on this gateway.

Every call under `/v1` needs `Authorization: Bearer TOKEN`; a token has one role, and each call names the roles that
may make it. Amounts are whole minor units. Times are unix seconds. Errors are `application/problem+json` with a
stable `code`. What a till, a desk or a purser sends carries an id of its own making (`tap_id`, `refund_id`,
`deposit_id`), so after a lost answer the same call can simply be sent again.
"""
_TAGS = [
    {"name": "till", "description": "Ask for a charge, see what came of it."},
    {"name": "desk", "description": "Guests and their bands."},
    {"name": "purser", "description": "Charges after the fact, folios, the books."},
    {"name": "crew", "description": "Who may log in at a handheld."},
    {"name": "monitor", "description": "Figures and readers."},
]


def create_app(services: Services) -> FastAPI:
    """The whole application."""
    app = bare_app(
        "Steward gateway",
        "Wristband keys and onboard payment.",
        _DESCRIPTION,
        _TAGS,
        services.find_token,
        services.front,
    )
    polls, arrivals = LongPolls(services.closing), Arrivals(services.blanks, services.clock)
    apis = (
        TillApi(services, polls),
        StockApi(services),
        DeskApi(services, polls),
        ConsentApi(services),
        ExplainApi(services),
        SignalApi(services),
        TakeoutApi(services),
        ContextApi(services),
        ImportApi(services.manifests),
        BlankApi(arrivals),
        BandReleaseApi(services.band_releases),
        PurserApi(services),
        RosterApi(services),
        MonitorApi(services),
        AggregateApi(services.aggregates),
    )
    for api in apis:
        install(app, api.endpoints())
    facts, streams = FactReader(services), Streams()
    pages = Pages(services)
    Page(pages, facts).install(app)
    MetricsPage(services, facts, streams).install(app)
    _install_pages(app, pages, streams)
    pages.install(app, BlankPages(services, arrivals).routes())
    _install_guest_pages(app, GuestSite(pages))
    return app


def _install_pages(app: FastAPI, pages: Pages, streams: Streams) -> None:
    app.add_route("/static/{name}", pages.assets.serve, include_in_schema=False)
    crew, signin = CrewPages(pages.services, streams), SignInPages(pages.services, streams)
    pages.install(app, CommonPages().routes())
    pages.install(app, crew.routes(), crew.nav())
    pages.install(app, WhatIfPages(pages.services).routes())
    pages.install(app, CrewFindPages(pages.services).routes())
    stock = StockPages(pages.services)
    pages.install(app, stock.routes(), stock.nav())
    for desk in (PurserPages(pages.services), DeskPages(pages.services), PrivacyPages(pages.services)):
        pages.install(app, desk.routes(), desk.nav())
    records = PrivacyRecordPages(pages.services)
    pages.install(app, records.routes(), records.nav())
    pages.install(app, PrivacyRequestPages(pages.services).routes())
    pages.install(app, BandPages(pages.services).routes())
    pages.install(app, LatePages(pages.services).routes())
    pages.install(app, signin.routes(), signin.nav())


def _install_guest_pages(app: FastAPI, site: GuestSite) -> None:
    """In the order of the bar."""
    searches = Searches(site.services)
    for part in (
        GuestSignInPages(site.services),
        DataPages(site.services),
        ConsentPages(site.services),
        LookPages(site.services),
        WhyPages(site.services),
        GuestFolioPages(site.services),
        GuestBandPages(site.services, searches),
        GuestRadioPages(site.services, searches),
        GuestRequestPages(site.services),
        GuestTakePages(site.services),
        GuestErasePages(site.services),
        VerifyPages(site.services.keys),
    ):
        site.install(app, part.routes(), part.nav())
