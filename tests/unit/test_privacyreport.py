"""The record, the DPIA annex and the notice follow the register and the settings, all three and at once."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.registerkit import edited
from typer.testing import CliRunner

from steward.__main__ import app
from steward.domain.usecases import REGISTER, Register
from steward.services.privacyreport import Running, dpia, notice, record
from steward.web.reports import draw

RUNNING = Running("aurora", "gw1", "1.0", 1_790_000_000, link=True, https=True, min_group=20, holdout_percent=10)
SETTINGS = """
[gateway]
ship = "aurora"
site = 7
{more}
"""


def made(register: Register = REGISTER, running: Running = RUNNING) -> dict[str, dict[str, Any]]:
    return {document["kind"]: document for document in (make(register, running) for make in (record, dpia, notice))}


def changed(register: Register = REGISTER, running: Running = RUNNING) -> set[str]:
    """Which of the three differ from the usual ones, as JSON and as pages alike."""
    usual, now = made(), made(register, running)
    as_json = {kind for kind, document in now.items() if document != usual[kind]}
    as_page = {kind for kind, document in now.items() if draw(document, "nb") != draw(usual[kind], "nb")}
    assert as_page == as_json
    return as_json


def test_nothing_changes_by_itself() -> None:
    assert changed() == set()


HEALTH = 'columns = ["stay_company: guest company"]'
MOVED = ('category = "company"', 'category = "health"')
TITLE = ('title = { en = "Allergies and diet, which', 'title = { en = "What you may not eat, which')


@pytest.mark.parametrize(
    "edit",
    [
        ('title = { en = "Keys and doors", nb = "Nøkler og dører" }', 'title = { en = "Doors", nb = "Dører" }'),
        ('id = "measuring"\n', 'id = "comparing"\n'),
    ],
    ids=["renamed", "another id"],
)
def test_a_changed_register_changes_the_record_and_the_notice(edit: tuple[str, str]) -> None:
    assert {"record", "notice"} <= changed(edited(edit))


def test_a_new_use_of_health_data_is_in_all_three() -> None:
    register = edited(
        ('uses = ["offers.answers"]\n\n[[use_case.group]]\nid = "decisions"', 'uses = ["dining.allergies"]\n'
         'special_basis = "eu-gdpr:A9-2-a"\nexplicit = { en = "You agree here.", nb = "Du samtykker her." }\n\n'
         '[[use_case.group]]\nid = "decisions"'),
    )  # fmt: skip
    assert changed(register) == {"record", "dpia", "notice"}
    risks = made(register)["dpia"]["risks"]
    assert ("measuring", "health_seen") in {(risk["use_case"], risk["code"]) for risk in risks}


def test_a_link_that_is_gone_is_gone_from_all_three() -> None:
    """Whether shore receives anything is for the settings to say, not for the register alone."""
    alone = replace(RUNNING, link=None)
    assert changed(running=alone) == {"record", "dpia", "notice"}
    for kind in ("record", "notice"):
        cases = made(running=alone)[kind]["use_cases"]
        assert all("ashore" not in case["places"] for case in cases)
        assert all(each["id"] != "shore_office" for case in cases for each in case["recipients"])
    assert all(risk["code"] != "sent_ashore" for risk in made(running=alone)["dpia"]["risks"])


def test_a_link_without_tls_is_said_and_weighs() -> None:
    bare = made(running=replace(RUNNING, link=False))
    assert bare["dpia"]["safeguards"]["link_tls"] is False
    assert "link_tls" in bare["record"]["not_in_force"]
    (risk,) = [r for r in bare["dpia"]["risks"] if (r["use_case"], r["code"]) == ("payment", "sent_ashore")]
    assert (risk["missing"], risk["left"]) == (["link_tls"], risk["weight"])
    (with_tls,) = [r for r in made()["dpia"]["risks"] if (r["use_case"], r["code"]) == ("payment", "sent_ashore")]
    assert (with_tls["missing"], with_tls["left"]) == ([], "low")


def test_how_long_is_what_the_program_keeps() -> None:
    shorter = edited(("keep_days = 14\n", "keep_days = 3\n"))
    assert {"record", "notice"} <= changed(shorter)
    assert "3 days after it was written" in draw(made(shorter)["notice"], "en")
    kept = made(running=replace(RUNNING, holdout_days=33))
    (group,) = [g for c in kept["record"]["use_cases"] if c["id"] == "measuring" for g in c["data"]]
    assert group["keep"]["days"] == 33


def test_who_is_responsible_is_said_or_said_to_be_missing() -> None:
    named = replace(RUNNING, controller="Example Lines", names={"card_acquirer": "Example Acquiring"})
    assert changed(running=named) == {"record", "dpia", "notice"}
    page = draw(made(running=named)["notice"], "en")
    assert "Example Acquiring (The card acquirer), ashore: a company or authority of its own" in page
    assert "Example Lines" in page
    assert made()["record"]["not_said"] == ["controller", "contact", "officer", "complaints"]
    assert page.count("not said in the settings") == 3


def test_the_notice_is_for_guests_and_names_every_use_of_theirs() -> None:
    cases = {case["id"] for case in made()["notice"]["use_cases"]}
    assert cases == {case.id for case in REGISTER.use_cases.values() if case.about == "guests"}
    page = draw(made()["notice"], "nb")
    for case in REGISTER.use_cases.values():
        assert (case.title["nb"] in page) == (case.about == "guests")
    assert set(made()["notice"]["asked"]) == {
        case.id for case in REGISTER.use_cases.values() if case.consent is not None
    }


def test_every_page_is_whole_and_needs_nothing_from_outside() -> None:
    for document in made().values():
        for language in ("en", "nb"):
            page = draw(document, language)
            assert f'<html lang="{language}">' in page
            assert re.findall(r"""(?:src|href)=["'](?!#)|@import|url\(""", page) == []


def test_what_settings_say_cannot_break_a_page() -> None:
    page = draw(made(running=replace(RUNNING, controller="<script>alert(1)</script>"))["record"], "en")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_every_code_has_its_words() -> None:
    """Each risk and safeguard, also those that the usual settings do not show."""
    for link in (None, False, True):
        for document in made(running=replace(RUNNING, link=link, served_beyond_machine=True, https=False)).values():
            assert draw(document, "en") != draw(document, "nb")


# the command


def written(folder: Path, more: str) -> dict[str, Any]:
    folder.mkdir(parents=True)
    file = folder / "steward.toml"
    file.write_text(SETTINGS.format(more=more), encoding="utf-8")
    done = CliRunner().invoke(app, ["privacy", "report", "--out", str(folder / "out"), "--config", str(file)])
    assert done.exit_code == 0, done.output
    names = {path.name for path in (folder / "out").iterdir()}
    assert names == {f"{kind}.{end}" for kind in ("record", "dpia", "notice") for end in ("json", "en.html", "nb.html")}
    found = {kind: json.loads((folder / "out" / f"{kind}.json").read_text()) for kind in ("record", "dpia", "notice")}
    return {kind: {**document, "made": ""} for kind, document in found.items()}


def test_the_command_writes_what_the_settings_say(tmp_path: Path) -> None:
    bare = written(tmp_path / "a", "")
    served = written(
        tmp_path / "b", '[privacy]\ncontroller = "Example Lines"\n[privacy.recipients]\nrescue = "Rescue"\n'
    )
    assert all(bare[kind] != served[kind] for kind in bare)
    assert bare["dpia"]["safeguards"]["https"] is True
    assert served["record"]["controller"] == "Example Lines"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('[privacy]\ncontroler = "x y"', "did you mean controller?"),
        ('[privacy.recipients]\ngossip = "x y"', "is no recipient of the register"),
        ('[privacy]\ncontroller = "a\\nb"', "printable characters"),
        ("[privacy]\nrecipients = 3", "write it as a table"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, more: str, words: str) -> None:
    file = tmp_path / "steward.toml"
    file.write_text(SETTINGS.format(more=more), encoding="utf-8")
    done = CliRunner().invoke(app, ["privacy", "report", "--out", str(tmp_path / "out"), "--config", str(file)])
    assert done.exit_code == 2
    assert words in done.output
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    file = tmp_path / "steward.toml"
    file.write_text(SETTINGS.format(more=""), encoding="utf-8")
    (tmp_path / "out").write_text("in the way")
    done = CliRunner().invoke(app, ["privacy", "report", "--out", str(tmp_path / "out"), "--config", str(file)])
    assert (done.exit_code, "cannot be made" in done.output) == (2, True)


@pytest.mark.parametrize("language", ["en", "nb"])
def test_the_register_is_printed_in_both_languages(language: str) -> None:
    done = CliRunner().invoke(app, ["privacy", "register", "--language", language, "--names"], env={"COLUMNS": "400"})
    assert done.exit_code == 0, done.output
    assert all(case.title[language] in done.output for case in REGISTER.use_cases.values())
    assert "guest.cabin_a" in done.output


def test_another_language_is_refused() -> None:
    done = CliRunner().invoke(app, ["privacy", "register", "--language", "de"])
    assert (done.exit_code, "choose one of en, nb" in done.output) == (2, True)
