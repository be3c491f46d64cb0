"""`steward verify`: whether what the ship gave somebody holds, and whether its look-up log is as it was written."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress

from steward import config
from steward.adapters.sqlite.snapshot import snapshot
from steward.cli_common import EXIT_FAILED, ConfigOption, plain_errors
from steward.domain.consent import Said
from steward.domain.erasure import Kept, Part
from steward.domain.erasureread import CertificateFacts, read_certificate
from steward.domain.lookproof import (
    FINGERPRINT_MIN,
    PROOF_BYTES_MAX,
    ProofFault,
    Proven,
    check_proof,
    keys_named,
    read_proof,
)
from steward.domain.receiptread import ReceiptFacts, read_receipt
from steward.domain.signedrecord import FILE_BYTES_MAX, RecordFault, Signed, holds, is_named, read_signed
from steward.services.lookcheck import LATE_S, LookCheck, LookChecker, TrustedKeys
from steward.wiring import open_data_key, open_key_ring

Facts = TypeVar("Facts")

app = typer.Typer(
    name="verify",
    help="Check what a ship has given you, without asking the ship; or the ship's own look-up log.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

KeyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--key", help="The ship's key, by its fingerprint as printed aboard. May be repeated.", show_default=False
    ),
]


@app.callback()
def verify() -> None:
    """Nothing here needs a network, and nothing is sent anywhere."""


@app.command("lookup")
def lookup(
    file: Annotated[Path, typer.Argument(help="The proof, as the page or the export gave it.", show_default=False)],
    key: KeyOption = None,
    witness: Annotated[
        str | None,
        typer.Option(
            "--witness", help="Shore's key, by its fingerprint. Ashore: steward shore key.", show_default=False
        ),
    ] = None,
) -> None:
    """Check the proof of one look at a guest: that the ship's log says it, and has said so since it was witnessed.

    Compare the fingerprints yourself, or give them: without --key this shows that somebody signed it, not who.

    \b
    Exit status: 0 the proof holds, 1 it does not.

    \b
    Examples:
      steward verify lookup look-17.json
      steward verify lookup look-17.json --key "4f0c 91d2 0b5e 6a77 c3f1 88ad 2e90 5b3c"
    """
    with _faults(file):
        proven = check_proof(read_proof(read_file(file, PROOF_BYTES_MAX)))
        for wanted in key or ():
            if not keys_named(proven, wanted):
                found = ", ".join(one.fingerprint for one in proven.keys)
                problem = f"is not of the ship with the key {wanted}: it is signed by {found}. Is it another ship's?"
                raise ProofFault("other_key", f"{problem} (a fingerprint has {FINGERPRINT_MIN} hex digits at least)")
        if witness is not None:
            _check_witness(proven, witness)
    for line in _proven_lines(proven, compared=bool(key), witness_compared=witness is not None):
        typer.echo(line)


@app.command("receipt")
def receipt(
    file: Annotated[Path, typer.Argument(help="The receipt, as the page or the export gave it.", show_default=False)],
    key: KeyOption = None,
) -> None:
    """Check a receipt of consent: who agreed to what, when, and that the ship signed exactly this.

    Compare the fingerprint yourself with the one that is posted aboard, or give it: without --key this shows that
    somebody signed it, not who.

    \b
    Exit status: 0 the receipt holds, 1 it does not.

    \b
    Examples:
      steward verify receipt receipt-5b1d6a0e.json
      steward verify receipt receipt-5b1d6a0e.json --key "4f0c 91d2 0b5e 6a77 c3f1 88ad 2e90 5b3c"
    """
    signed, facts = _read_record(file, key, "not_a_receipt", "no receipt", read_receipt)
    for line in _receipt_lines(facts, signed, compared=bool(key)):
        typer.echo(line)


@app.command("certificate")
def certificate(
    file: Annotated[Path, typer.Argument(help="The certificate of erasure, as the page gave it.", show_default=False)],
    key: KeyOption = None,
) -> None:
    """Check a certificate of erasure: what the ship says it destroyed and kept, and that it signed exactly this.

    Compare the fingerprint yourself with the one that is posted aboard, or give it: without --key this shows that
    somebody signed it, not who.

    \b
    Exit status: 0 the certificate holds, 1 it does not.

    \b
    Examples:
      steward verify certificate steward-erasure-5b1d6a0e.json
      steward verify certificate steward-erasure-5b1d6a0e.json --key "4f0c 91d2 0b5e 6a77 c3f1 88ad 2e90 5b3c"
    """
    signed, facts = _read_record(file, key, "not_a_certificate", "no certificate of erasure", read_certificate)
    for line in _certificate_lines(facts, signed, compared=bool(key)):
        typer.echo(line)


@app.command("log")
def log(
    file: ConfigOption = None,
) -> None:
    """Walk the whole look-up log against its tree, its signed heads and what shore has witnessed of them.

    Says the first row that does not fit: removed, changed, put in or dated back. Rows since the last head that was
    signed are held together by the tree alone, and those since the last that was witnessed by the ship's key as well:
    so this says up to which row each of them reaches. The gateway may be running.

    \b
    Exit status: 0 all of it fits, 1 something does not.

    \b
    Examples:
      steward verify log
      steward verify log --config /etc/steward/steward.toml
    """
    with plain_errors():
        settings = config.load(config.find_file(file))
        ring, shore = open_key_ring(settings), settings.link.shore_keys if settings.link is not None else ()
        data_key = open_data_key(settings)
        keys = TrustedKeys((*ring.verify_keys().values(), data_key.heads_key), shore)
        with snapshot(settings.gateway.database, data_key) as tx, _progress() as progress:
            task = progress.add_task("Look-ups", total=None)
            found = LookChecker(tx, settings.gateway.name, keys).check(
                lambda done, total: progress.update(task, completed=done, total=total)
            )
            head = tx.last_look_head()
    for line in _check_lines(found, None if head is None else head.at_s):
        typer.echo(line)
    if not found.fits:
        raise typer.Exit(EXIT_FAILED)


def read_file(path: Path, bytes_max: int) -> bytes:
    """No more than one byte beyond what is wanted. Raises ProofFault."""
    try:
        with path.open("rb") as opened:
            return opened.read(bytes_max + 1)
    except OSError as error:
        raise ProofFault("no_file", f"cannot be read ({error.strerror}): check its name") from None


@contextlib.contextmanager
def _faults(path: Path) -> Iterator[None]:
    """What does not hold ends the command with one line."""
    try:
        yield
    except ProofFault as fault:
        typer.echo(f"steward: {fault.code}: {path} {fault}", err=True)
        raise typer.Exit(EXIT_FAILED) from None


def _read_record(
    file: Path, keys: list[str] | None, code: str, other: str, read: Callable[[Signed], Facts]
) -> tuple[Signed, Facts]:
    """A record the ship signed, with what it says; code and other: what is said of a file that is none such."""
    with _faults(file):
        try:
            signed = read_signed(read_file(file, FILE_BYTES_MAX))
            facts = read(signed)
        except RecordFault as fault:
            raise ProofFault(code, f"is {other}: {fault}") from None
        _check_signed(signed, keys)
    return signed, facts


def _check_signed(signed: Signed, keys: list[str] | None) -> None:
    """Raises ProofFault."""
    if not holds(signed):
        problem = "does not hold: what is in it is not what was signed. It was changed since, or never signed"
        raise ProofFault("not_signed", problem)
    for wanted in keys or ():
        if not is_named(signed.fingerprint, wanted):
            problem = f"is signed, but by the key {signed.fingerprint}, not by {wanted}. Is it another ship's?"
            raise ProofFault("other_key", problem)


def _check_witness(proven: Proven, wanted: str) -> None:
    """Raises ProofFault."""
    if proven.witness is None:
        raise ProofFault("not_witnessed", "has not been witnessed by anybody yet: ask for it again in some hours")
    digits = "".join(wanted.split()).lower()
    named = len(digits) >= FINGERPRINT_MIN and proven.witness.fingerprint.replace(" ", "").startswith(digits)
    if not named and digits != proven.witness.public.hex():
        raise ProofFault("other_key", f"was witnessed by {proven.witness.fingerprint}, not by {wanted}")


def _proven_lines(proven: Proven, *, compared: bool, witness_compared: bool) -> Iterator[str]:
    row, point = proven.row, proven.checkpoint
    yield "The proof holds."
    yield f"  On {_time(row.at_s)} somebody in the role {row.role} looked at guest {row.guest},"
    yield f"  at {row.outlet} ({row.outlet_kind}), for {row.purpose}, and was shown: {', '.join(row.fields)}."
    if row.way == "broke_glass":
        yield "  It was an emergency look (glass broken), with a reason that this proof does not open."
    if row.gateway:
        yield f"  It was made at the gateway {row.gateway}, and entered on {_time(row.logged_s)}, when that told of it."
    elif row.at_s < row.logged_s - LATE_S:
        yield f"  But it was entered on {_time(row.logged_s)} or later: dated back, or by a clock that was wrong."
    yield f"This is row {row.seq} of {point.size} in the log {point.origin}."
    for key in proven.keys:
        yield f"Signed by the key {key.fingerprint} ({_note(compared)})."
    if proven.witness is None or proven.witnessed_s is None:
        yield "Not witnessed ashore yet: so far only the ship's own key says that the log was not written anew."
    else:
        note = "as you gave it" if witness_compared else "compare it with the one that shore shows"
        yield f"Witnessed on {_time(proven.witnessed_s)} by the key {proven.witness.fingerprint} ({note}):"
        yield "  since then the ship cannot remove, change or date back this row or any before it unnoticed."
    yield "Not proven: that nobody looked without a row being written, and who it was (the name is not opened here)."


def _note(compared: bool) -> str:
    """Of a fingerprint."""
    return "as you gave it" if compared else "compare it with the one that the ship shows"


def _receipt_lines(facts: ReceiptFacts, signed: Signed, *, compared: bool) -> Iterator[str]:
    yield "The receipt holds."
    said = "said yes to" if facts.given else "said no to"
    yield f"  On {facts.at:%Y-%m-%d %H:%M:%S} UTC guest {facts.guest} {said}: {facts.purpose}{_by_way(facts.way)}."
    yield f"  To: {facts.controller} ({facts.ship}). Receipt {facts.number}."
    for use in facts.uses:
        yield f"  Told then: {use.title}. {use.why}"
        yield f"  Who receives it: {', '.join(use.recipients) or 'nobody'}."
    if not facts.uses:
        yield "  What the guest was told then was not written down."
    yield f"Signed by the key {signed.fingerprint} ({_note(compared)}), version {signed.key_version}."
    yield "Not proven: that nothing was said since. A later word has a receipt of its own."


def _certificate_lines(facts: CertificateFacts, signed: Signed, *, compared: bool) -> Iterator[str]:
    yield "The certificate holds."
    yield f"  {facts.ship} says of guest {facts.guest}, as of {facts.issued} (certificate {facts.number}):"
    for done in facts.done:
        what = "everything" if done.part is Part.ALL else "what keys, muster and money do not need"
        counted = ", ".join(f"{table} {count}" for table, count in sorted(done.destroyed.items()))
        yield f"  {done.at}: destroyed {what}, with the key it was sealed with: {counted or 'nothing was held'}."
    if facts.again is not None:
        yield f"  {facts.again}: done again, after a backup had brought it back."
    if not facts.finished:
        yield f"  Not finished. The rest waits for: {', '.join(facts.waits) or 'the gateway to look again'}."
    for kept, until in facts.kept:
        yield f"  Kept: {_KEPT_WORDS[kept]}{'' if until is None else f' (until {until})'}."
    for gateway, at in facts.gateways:
        yield f"  Gateway {gateway}: {'not confirmed yet' if at is None else f'confirmed {at}'}."
    ashore = {"none": "there is no link", "pending": "not confirmed yet", "confirmed": f"confirmed {facts.ashore_at}"}
    yield f"  Ashore: {ashore[facts.ashore]}."
    yield f"Signed by the key {signed.fingerprint} ({_note(compared)}), version {signed.key_version}."
    yield "Not proven: that no copy was made elsewhere before. It is the ship's word, which it cannot take back."


_KEPT_WORDS = {
    Kept.STAY: "key, band, booking, limits and muster, while the stay lasts",
    Kept.FOLIO: "charges and postings, without a name",
    Kept.INVOICE: "name, booking and what was sold, sealed apart, because bookkeeping law wants it",
    Kept.BANDS_REFUSED: "the chip numbers of bands that no door may take",
    Kept.LIST_MARK: "a mark, so that a passenger list that comes again brings nobody back",
    Kept.LOOK_LEAVES: "hashes of the look-up log, which say nothing of the guest",
    Kept.PROOF: "this certificate",
}


def _by_way(way: str) -> str:
    words = {
        Said.PAGE: "on their own page",
        Said.PARENT: "by an adult of the same booking",
        Said.DESK: "at the desk",
        Said.LIST: "with the booking",
        Said.SHORE: "ashore",
        Said.BROWSER: "by their browser's Global Privacy Control",
    }
    return f", {words[Said(way)]}" if way in set(Said) else ""


def _check_lines(found: LookCheck, head_s: int | None) -> Iterator[str]:
    if found.bent is not None:
        yield f"{_rows(found.bent.first, found.bent.last)}: {found.bent.problem}."
        yield f"Rows before {found.bent.first} fit. Keep this database as it is, and tell the privacy officer."
        return
    yield f"{found.rows} rows fit, {found.blank} of them blank because their guests were erased."
    if found.unexplained:
        yield f"{found.unexplained} blank rows more than erasures and retention account for: somebody blanked them."
        yield "Keep this database as it is, and tell the privacy officer."
    if found.behind:
        yield f"{found.behind} rows from before there was a tree have no leaf yet: the gateway makes them."
    if head_s is None:
        yield "No head has been signed yet: nothing but this database speaks for them."
    else:
        yield f"{found.heads} signed heads fit, the last of {_time(head_s)}."
        ashore = f"up to row {found.witnessed}" if found.witnessed else "none of them"
        yield f"Witnessed ashore: {ashore}."
    if found.late_count:
        yield f"Dated over {LATE_S // 60} minutes before they were entered: {found.late_count} rows, {_few(found)}."
        yield "They were dated back, or written while the gateway's clock was wrong: compare with its events."
    yield from _peer_lines(found)


def _peer_lines(found: LookCheck) -> Iterator[str]:
    """Of the ship's other gateways."""
    if found.told:
        yield f"{found.told} of these rows are looks that other gateways told of."
    for head in found.peer_bent:
        yield (
            f"Gateway {head.gateway}: its head of {head.size} rows is over other rows than it told here. "
            "Look into that gateway, and tell the privacy officer."
        )
    if found.peer_heads:
        yield f"{found.peer_heads} heads of other gateways' logs are over the rows they told."
    if found.peer_open:
        yield f"{found.peer_open} heads of other gateways' logs cannot be compared: rows under them were never told."


def _few(found: LookCheck) -> str:
    shown = ", ".join(map(str, found.late))
    return f"{shown} and more" if found.late_count > len(found.late) else shown


def _rows(first: int, last: int) -> str:
    return f"Row {first}" if first == last else f"One or more of rows {first} to {last}"


def _time(at_s: int) -> str:
    try:
        return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"second {at_s} of the unix clock"


def _progress() -> Progress:
    return Progress(console=Console(stderr=True))
