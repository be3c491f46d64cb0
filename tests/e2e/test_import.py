"""Imports as the desk types them, over a real gateway: dry run, report, photos, repeats, and everything refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.gatewaykit import Aboard, aboard, prepare, settings_of
from tests.e2e.tlskit import issue, make_ca, tls_settings
from tests.stewardkit import steward
from tests.unit.manifestkit import SECRET, guest, jpeg, manifest, party, png

from steward.app import Gateway
from steward.domain.manifest import FILE_BYTES_MAX, ROWS_MAX, example
from steward.domain.photos import clean_photo
from steward.web.gate import BODY_BYTES_MAX, LARGE_BODIES

LIMIT_S = 120
DESK = "desk"
NO_PHOTOS: dict[str, str] = {}


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[Aboard]:
    (tmp_path / "ship").mkdir()
    async with aboard(tmp_path / "ship") as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """The folder of whoever imports: a file, photos."""
    folder = tmp_path / "desk"
    (folder / "photos").mkdir(parents=True)
    (folder / "photos" / "mia.jpg").write_bytes(jpeg())
    (folder / "photos" / "bo.PNG").write_bytes(png())
    rows = [guest(photo="mia.jpg"), guest(guest="2", photo="bo.PNG"), guest(guest="3")]
    (folder / "guests.csv").write_bytes(manifest(*rows, delimiter=";", end="\r\n"))
    return folder


async def command(*words: object, url: str = "", token: Path | None = None) -> tuple[int, str, str]:
    """`steward import manifest ...` as a process of its own: (exit code, stdout, stderr)."""
    more = [*(("--url", url) if url else ()), *(("--token-file", token) if token else ())]
    proxies = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    done = await asyncio.to_thread(steward, "import", *map(str, [*words, *more]), COLUMNS="160", **proxies)
    return done.returncode, done.stdout, done.stderr


def token_file(folder: Path, token: str) -> Path:
    path = folder / "desk.token"
    path.write_text(token + "\n")
    path.chmod(0o600)
    return path


def rows_of(ship: Aboard, table: str) -> int:
    with closing(sqlite3.connect(f"file:{ship.folder}/data/steward.db?mode=ro", uri=True)) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


async def test_a_dry_run_an_import_and_the_same_again(ship: Aboard, desk: Path) -> None:
    words = ("manifest", desk / "guests.csv", "--photos", desk / "photos")
    gateway = {"url": ship.gateway.url, "token": token_file(desk, ship.tokens[DESK])}
    events = rows_of(ship, "event")
    code, out, err = await command(*words, "--dry-run", **gateway)
    assert (code, err) == (0, "")
    assert "guests.csv: would be imported (dry run): 3 new, 0 changed, 0 unchanged" in out
    assert "2 photos would be sent" in out
    assert (rows_of(ship, "guest"), rows_of(ship, "picture"), rows_of(ship, "event")) == (0, 0, events)
    code, out, err = await command(*words, **gateway)
    assert (code, err) == (0, "")
    assert "guests.csv: imported: 3 new, 0 changed, 0 unchanged" in out
    assert [rows_of(ship, table) for table in ("guest", "profile", "photo", "picture", "staged_picture")] == [
        3,
        3,
        2,
        2,
        0,
    ]
    events = rows_of(ship, "event")
    code, out, _ = await command(*words, **gateway)
    assert (code, "imported: 0 new, 0 changed, 3 unchanged" in out) == (0, True)
    code, out, _ = await command(*words, "--json", **gateway)
    told = json.loads(out)["guests"]
    assert (code, [line["row"] for line in told]) == (0, [2, 3, 4])
    made = await ship.call(DESK, "POST", f"/v1/guests/{told[0]['ref']}/bands", {"encoder": "desk"})
    assert made.status_code == 202
    assert (rows_of(ship, "guest"), rows_of(ship, "event")) == (3, events)
    content = (ship.folder / "data" / "steward.db").read_bytes() + (
        ship.folder / "data" / "steward.db-wal"
    ).read_bytes()
    assert clean_photo(jpeg())[:300] not in content  # sealed
    assert SECRET not in content


async def test_every_problem_is_listed_by_row(ship: Aboard, desk: Path) -> None:
    rows = [
        guest(photo="mia.jpg"),
        guest(guest="2", full_name="Mia\nAnna"),
        guest(guest="3", allergies="penuts", photo="nobody.jpg"),
        guest(guest="4", zones="moon", photo="torn.jpg"),
    ]
    (desk / "photos" / "torn.jpg").write_bytes(jpeg()[:100])
    (desk / "guests.csv").write_bytes(b"\xef\xbb\xbf" + manifest(*rows).replace(b"R-1,2,", b"R-1,2,", 1))
    words = ("manifest", desk / "guests.csv", "--photos", desk / "photos")
    gateway = {"url": ship.gateway.url, "token": token_file(desk, ship.tokens[DESK])}
    code, out, err = await command(*words, **gateway)
    lines = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]
    assert lines[0] == ["Row", "Column", "Problem", "What to do"]
    assert [line[:3] for line in lines[1:] if line[0].isdigit()] == [
        ["4", "allergies", "has penuts, which is no allergen (did you mean peanuts?)"],
        ["5", "photo", "is damaged or cut off"],
        ["5", "zones", "has moon, which is no zone of this ship"],
    ]
    assert (code, "guests.csv: 3 problems, nothing was imported" in err) == (1, True)
    assert (rows_of(ship, "guest"), rows_of(ship, "picture")) == (0, 0)
    code, out, err = await command(*words, "--json", "--dry-run", **gateway)
    report = json.loads(out)
    assert (code, err, report["committed"], report["problem_count"], report["rows"]) == (1, "", False, 3, 3)
    assert report["problems"][1] == {
        "row": 5,
        "column": "photo",
        "problem": "is damaged or cut off",
        "remedy": "open it and save it again as JPEG",
    }


async def test_without_a_folder_or_a_file_the_photo_is_a_problem(ship: Aboard, desk: Path) -> None:
    gateway = {"url": ship.gateway.url, "token": token_file(desk, ship.tokens[DESK])}
    code, out, _ = await command("manifest", desk / "guests.csv", **gateway)
    assert (code, out.count("is named, but there is no folder of photos"), out.count("give --photos")) == (1, 2, 2)
    (desk / "photos" / "mia.jpg").unlink()
    (desk / "photos" / "bo.PNG").unlink()
    os.mkfifo(desk / "photos" / "mia.jpg")  # never read, whatever it would say
    (desk / "photos" / "bo.PNG").symlink_to("/dev/zero")
    code, out, _ = await command("manifest", desk / "guests.csv", "--photos", desk / "photos", **gateway)
    assert (code, out.count("is no plain file")) == (1, 2)


async def test_over_tls_with_a_ca_of_ones_own(tmp_path: Path, desk: Path) -> None:
    ca = make_ca(tmp_path / "ca")
    issue(tmp_path / "ca")
    (tmp_path / "ship").mkdir()
    tokens = prepare(tmp_path / "ship", tls_settings(tmp_path / "ca"))
    gateway = await Gateway.start(settings_of(tmp_path / "ship"))
    try:
        words = ("manifest", desk / "guests.csv", "--photos", desk / "photos")
        reach = {"url": gateway.url, "token": token_file(desk, tokens[DESK])}
        code, out, err = await command(*words, **reach)
        assert (code, out) == (1, "")
        assert "cannot be reached" in err
        assert "certificate verify failed" in err.lower()
        assert tokens[DESK] not in err
        code, out, err = await command(*words, "--ca", ca, **reach)
        assert (code, err, "3 new" in out) == (0, "", True)
    finally:
        await gateway.stop()


async def test_who_is_not_the_desk_imports_nothing(ship: Aboard, desk: Path) -> None:
    words = ("manifest", desk / "guests.csv", "--photos", desk / "photos")
    for who in ("purser", "monitor", "bar"):
        token = token_file(desk, ship.tokens[who])
        code, _, err = await command(*words, url=ship.gateway.url, token=token)
        assert (code, "403: role_not_allowed" in err) == (1, True), err
    code, _, err = await command(*words, url=ship.gateway.url, token=token_file(desk, "stw_" + "x" * 43))
    assert (code, "401: token_unknown" in err) == (1, True)
    assert rows_of(ship, "guest") == 0


async def test_mistakes_of_the_command_are_told_before_anything_is_sent(ship: Aboard, desk: Path) -> None:
    token, url = token_file(desk, ship.tokens[DESK]), ship.gateway.url
    file = desk / "guests.csv"
    wrong: list[tuple[tuple[object, ...], dict[str, Any], str]] = [
        (("manifest", desk / "none.csv"), {"url": url, "token": token}, "cannot be read"),
        (("manifest", file), {"url": "ftp://127.0.0.1", "token": token}, "--url: is no address"),
        (("manifest", file), {"url": "http://gw1.aurora.ship:8470", "token": token}, "in clear: use https"),
        (("manifest", file), {"url": "http://u:p@127.0.0.1", "token": token}, "--url: is no address"),
        (("manifest", file, "--ca", file), {"url": url, "token": token}, "--ca"),
        (("manifest", file), {"url": url, "token": file}, "chmod 600"),
        (("manifest", file), {"url": "http://127.0.0.1:9", "token": token}, "cannot be reached"),
    ]
    for words, reach, told in wrong:
        code, _, err = await command(*words, **reach)
        assert code in (1, 2)
        assert told in err, err
        assert ship.tokens[DESK] not in err
    file.write_bytes(b"x" * (FILE_BYTES_MAX + 1))
    code, _, err = await command("manifest", file, url=url, token=token)
    assert (code, "is larger than" in err) == (2, True)


async def test_the_example_can_be_imported_as_it_is(ship: Aboard, desk: Path) -> None:
    code, out, _ = await command("example")
    assert (code, out) == (0, example())
    text = out.replace("gangway pool", "gangway").replace(",service,bar,", ",service,,")  # this ship's names
    (desk / "guests.csv").write_text(text)
    token = token_file(desk, ship.tokens[DESK])
    code, out, err = await command("manifest", desk / "guests.csv", url=ship.gateway.url, token=token)
    assert (code, err, "imported: 3 new" in out) == (0, "", True)
    assert rows_of(ship, "crew_member") == 1


# the API itself


def body(*rows: dict[str, str], photos: dict[str, str] = NO_PHOTOS) -> dict[str, Any]:
    return {"manifest": base64.b64encode(manifest(*rows)).decode(), "photos": photos}


async def stage(ship: Aboard, raw: bytes, sha256: str = "") -> httpx.Response:
    headers = {"Authorization": f"Bearer {ship.tokens[DESK]}"}
    path = f"/v1/photos/{sha256 or hashlib.sha256(raw).hexdigest()}"
    return await ship.client.request("PUT", path, content=raw, headers=headers)


async def test_a_photo_is_called_by_what_was_kept_of_it(ship: Aboard) -> None:
    answer = await stage(ship, jpeg())
    kept = hashlib.sha256(clean_photo(jpeg())).hexdigest()
    assert (answer.status_code, answer.json()) == (200, {"photo": kept})
    assert (await stage(ship, clean_photo(jpeg()))).json() == {"photo": kept}
    torn = await stage(ship, jpeg(), "0" * 64)
    assert (torn.status_code, torn.json()["code"]) == (422, "photo_torn")
    for raw in (b"", b"GIF89a", jpeg()[:99]):
        answer = await stage(ship, raw)
        assert (answer.status_code, answer.json()["code"]) == (409, "photo_unfit")
    assert (await stage(ship, jpeg(), "xyz")).status_code in (413, 422)
    imported = await ship.call(DESK, "POST", "/v1/manifest", body(guest(photo="a.jpg"), photos={"a.jpg": kept}))
    assert imported.json()["committed"] is True


async def test_the_answer_names_rows_and_the_log_names_nothing(ship: Aboard, caplog: pytest.LogCaptureFixture) -> None:
    rows = [guest(full_name="Zaphod\x1b"), guest(guest="2", preferred_name="Trillian" * 20), guest(guest="3")]
    for path in ("/v1/manifest/check", "/v1/manifest"):
        report = (await ship.call(DESK, "POST", path, body(*rows))).json()
        assert [(p["row"], p["column"]) for p in report["problems"]] == [(2, "full_name"), (3, "preferred_name")]
        assert report["committed"] is False
    assert (await ship.call(DESK, "POST", "/v1/manifest", {"manifest": "no base64", "photos": {}})).status_code == 422
    bad = await ship.call(DESK, "POST", "/v1/manifest", body(guest()) | {"photos": {"Zaphod.jpg": "Zaphod"}})
    assert (bad.status_code, bad.json()["code"]) == (422, "request_invalid")
    assert not any(name in caplog.text for name in ("Zaphod", "Trillian", "Mia"))


async def test_only_these_calls_take_large_bodies_and_only_from_the_desk(ship: Aboard) -> None:
    large = {"manifest": base64.b64encode(b"x" * 40_000).decode(), "photos": {}}
    assert (await ship.call(DESK, "POST", "/v1/manifest/check", large)).status_code == 200
    assert (await ship.call("purser", "POST", "/v1/manifest/check", large)).status_code == 413
    for path in ("/v1/guests", "/v1/manifest/other", "/v1/manifest/check/"):
        assert (await ship.call(DESK, "POST", path, large)).status_code == 413, path
    assert (await stage(ship, bytes(BODY_BYTES_MAX + 1))).status_code == 409
    for limit, path in zip(LARGE_BODIES, ("/v1/manifest", "/v1/blanks", "/v1/photos/" + "0" * 64), strict=True):
        assert await declared(ship, limit.method, path, limit.bytes_max + 1) == 413
        assert await declared(ship, limit.method, path + "/x", BODY_BYTES_MAX + 1) == 413


async def declared(ship: Aboard, method: str, path: str, length: int) -> int:
    """The answer to a request that only says how long its body is going to be."""
    url = ship.client.base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    lines = f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {ship.tokens[DESK]}"
    writer.write("\r\n".join((*lines, f"Content-Length: {length}", "", "")).encode())
    async with asyncio.timeout(LIMIT_S):
        answer = await reader.read()
    writer.close()
    return int(answer.split()[1])


async def test_ten_thousand_guests_while_the_gateway_answers(ship: Aboard) -> None:
    rows = party(ROWS_MAX)
    importing = asyncio.create_task(ship.call(DESK, "POST", "/v1/manifest", body(*rows)))
    answers = 0
    while not importing.done():
        assert (await ship.call("monitor", "GET", "/v1/board")).status_code == 200
        answers += 1
    report = (await importing).json()
    assert (report["committed"], report["new"], report["problem_count"]) == (True, ROWS_MAX, 0)
    assert answers > 3
    assert rows_of(ship, "guest") == ROWS_MAX
    again = (await ship.call(DESK, "POST", "/v1/manifest", body(*rows))).json()
    assert (again["unchanged"], again["changes"]) == (ROWS_MAX, [])
