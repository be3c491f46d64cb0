"""The status page's rows about what keeps bands in service: their program, the radios that hear them, the stock."""

from __future__ import annotations

from steward.domain.bandstages import Tally
from steward.ports.radio import RadioState
from steward.services.bandreleases import ReleaseStatus
from steward.services.blanks import LOW, ready_count
from steward.web.bundle import Services
from steward.web.facts import StoreFacts
from steward.web.machine_view import Row, span
from steward.web.pages.language import Translator

_RADIOS_NAMED_MAX = 5
_WORD = "status.service."


def service_rows(services: Services, facts: StoreFacts, now_s: int, t: Translator) -> list[Row]:
    release, versions = facts.band_release, services.machine.versions.keys
    radios = [radio for radio in services.presence.radios() if radio.state != "away"]
    rows = [_radios(services, radios, t)]
    rows += [_silent_radio(radio, t) for radio in radios if radio.state != "on"][:_RADIOS_NAMED_MAX]
    if release is not None:
        rows.insert(0, _band_release(release, now_s, t))
    if facts.blanks:
        ready = ready_count(facts.blanks, next(iter(versions), 0))
        more = "" if ready >= LOW else t(f"{_WORD}stock_low", low=LOW)
        rows.append(
            Row(t(f"{_WORD}stock"), t.count(f"{_WORD}stock_ready", ready), "ok" if ready >= LOW else "bad", more)
        )
    return rows


def _radios(services: Services, radios: list[RadioState], t: Translator) -> Row:
    """Radios that listen for bands, here and at gateways that were heard of; how many bands are listened for."""
    if not radios:
        return Row(t(f"{_WORD}radio"), t(f"{_WORD}radio_none"), "calm")
    on = sum(radio.state == "on" for radio in radios)
    more = [t.count(f"{_WORD}radio_bands", services.presence.size())]
    if dropped := sum(radio.dropped for radio in radios):
        more.append(t.count(f"{_WORD}radio_dropped", dropped))
    if contested := services.presence.counts.contested:
        more.append(t.count(f"{_WORD}radio_contested", contested))
    listening = t(f"{_WORD}radio_on", on=on, all=len(radios))
    return Row(t(f"{_WORD}radio"), listening, "ok" if on == len(radios) else "bad", ", ".join(more))


def _silent_radio(radio: RadioState, t: Translator) -> Row:
    """One that does not listen: which, where, and what to try."""
    said, todo = t.known(f"{_WORD}radio_is.{radio.state}", radio.state), t(f"{_WORD}radio_todo")
    light = "calm" if radio.state == "starting" else "bad"
    return Row(t(f"{_WORD}radio_at", name=radio.name, zone=radio.zone), said, light, todo if light == "bad" else "")


def _band_release(status: ReleaseStatus, now_s: int, t: Translator) -> Row:
    """Where it stands and since when; what became of it, and what halts it."""
    order, rollout = status.order, status.rollout
    title = t(f"{_WORD}release", number=t.number(order.number))
    if not status.here:
        said = t(f"{_WORD}release_unfit" if status.problem else f"{_WORD}release_awaited")
        return Row(title, said, "bad" if status.problem else "calm", status.problem)
    if rollout is None:
        return Row(title, t(f"{_WORD}release_awaited"), "calm")
    where = {"stage": rollout.stage + 1, "stages": len(order.stages), "span": span(now_s - rollout.since_s, t)}
    stage, counts = t(f"{_WORD}release_stage", **where), _counts(status.tally, order.limit_percent, t)
    if rollout.halted:
        return Row(title, stage, "bad", f"{t(f'{_WORD}release_halted_{rollout.halted}')} {counts}")
    if status.problem:
        return Row(title, stage, "bad", f"{t(f'{_WORD}release_held')} {counts}")
    return Row(title, stage, "ok", counts)


def _counts(tally: Tally, limit_percent: int, t: Translator) -> str:
    said = [t(f"{_WORD}release_counts", kept=t.number(tally.kept), failed=t.number(tally.failed))]
    if tally.silent:
        said.append(t.count(f"{_WORD}release_silent", tally.silent))
    return ", ".join([*said, t(f"{_WORD}release_limit", percent=limit_percent)])
