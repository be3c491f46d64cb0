"""What a guest's phone saw in the demo on a good day, and days on which one thing of it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from voyage.checks_trust import DRILL_FILES, TAKEN
from voyage.observed import ErasedSeen, Observed, TrustSeen
from voyage.trust import PAGES


def good_trust() -> TrustSeen:
    return TrustSeen(
        pages=list(PAGES),
        links=(True, False),
        verified=dict.fromkeys(TAKEN, "it holds"),
        bent=dict.fromkeys(TAKEN, True),
        log="9 rows fit.",
        erased=[ErasedSeen("a", False, True, "confirmed", ()), ErasedSeen("b", True, True, "confirmed", ())],
        searched=1_000,
        drill=DRILL_FILES,
        drill_s=1.0,
    )


def _with(name: str, value: object) -> Callable[[Observed], object]:
    return lambda seen: setattr(seen.trust, name, value)


def _erased(**changes: object) -> Callable[[Observed], object]:
    def spoil(seen: Observed) -> None:
        assert seen.trust is not None
        seen.trust.erased[1] = replace(seen.trust.erased[1], **changes)  # type: ignore[arg-type]

    return spoil


BAD_TRUST: list[tuple[str, str, Callable[[Observed], object]]] = [
    ("a column without a use", "nothing_undeclared", _with("undeclared", ("column guest.shoe_size",))),
    ("the band's link opens nothing", "own_pages", _with("links", (False, False))),
    ("the band's link opens twice", "own_pages", _with("links", (True, True))),
    ("a page is not shown", "own_pages", _with("pages", list(PAGES[1:]))),
    ("no receipt", "proofs_hold", _with("verified", dict.fromkeys(TAKEN[1:], "it holds"))),
    ("a bent proof passes", "proofs_hold", _with("bent", dict.fromkeys(TAKEN, True) | {"lookup": False})),
    ("nobody checked the log", "proofs_hold", _with("log", "")),
    ("a name is left", "forgotten", _erased(found=("steward.db: Fern Example",))),
    ("a certificate that does not verify", "forgotten", _erased(verified=False)),
    ("shore never answered", "forgotten", _erased(ashore="pending")),
    ("nobody was erased altogether", "forgotten", _erased(whole=False)),
    ("nothing was searched", "forgotten", _with("searched", 0)),
    ("no letters", "breach_drill", _with("drill", DRILL_FILES[:-1])),
]
