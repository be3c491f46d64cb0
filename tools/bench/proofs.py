"""The look-up log's proofs at a million rows: how large, how long to make and to check; and what a leaf costs a look.

The peer is a log without a tree: whoever is to believe one row must be given all of them and hash them, which is done
here over the same leaves. The limit of an append is the bare row, written by the same connection in the same run.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.table import Table

from steward.adapters.sqlite.connect import connect, create_file
from steward.adapters.sqlite.looktree import ADD_LEAF, ADD_NODE, NODE
from steward.adapters.sqlite.migrations import scripts
from steward.domain.lookleaf import OpenRow, closed_hash, origin, row_bytes, row_leaf
from steward.domain.lookproof import LookProof, ProofKey, check_proof, proof_json, read_proof
from steward.domain.merkle import Place, consistency_proof, grow, inclusion_proof, is_consistent, node_hash, root
from steward.domain.signednote import Checkpoint, Note, log_line

ROWS = 1_000_000
PROOFS = 400
APPENDS = 3000
_SALT = bytes(32)
_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_PUBLIC = _KEY.public_key().public_bytes_raw()
_LOG = """
CREATE TABLE look_up (seq INTEGER PRIMARY KEY, at_s INTEGER, actor TEXT, role TEXT, outlet TEXT, outlet_kind TEXT,
purpose TEXT, guest TEXT, fields TEXT, way TEXT, reason TEXT) STRICT;
CREATE TRIGGER look_up_never_changes BEFORE UPDATE ON look_up BEGIN SELECT 1; END;
"""
ADD_ROW = "INSERT INTO look_up VALUES (?, ?, 'c1', ?, ?, ?, ?, ?, ?, ?, '')"


@dataclass(frozen=True, slots=True)
class Figure:
    """What was done, how long it took and how large it was."""

    what: str
    p50_ms: float
    p99_ms: float
    size_bytes: int = 0
    hashes: int = 0


def run(rows: int = ROWS, proofs: int = PROOFS) -> dict[str, Any]:
    """In a folder of its own, removed afterwards."""
    place = Path(tempfile.mkdtemp(prefix="bench-proofs-", dir=Path.cwd()))
    try:
        with closing(_open(place / "log.db")) as connection:
            return {"rows": rows, "figures": [asdict(figure) for figure in _measure(connection, rows, proofs)]}
    finally:
        shutil.rmtree(place)


def _measure(connection: sqlite3.Connection, rows: int, proofs: int) -> list[Figure]:
    tree_bytes = _fill(connection, rows)
    fetch = _fetch(connection)
    point = Checkpoint(origin("aurora", "main", 1), rows, root(rows, fetch))
    note = Note(point.text, (log_line(point.origin, _PUBLIC, _KEY.sign(point.text.encode())),))
    files: list[bytes] = []

    def make(index: int) -> None:
        path = tuple(inclusion_proof(index, rows, fetch))
        closed = closed_hash("c1", "", _SALT)
        keys = (ProofKey(point.origin, _PUBLIC),)
        files.append(json.dumps(proof_json(LookProof(_row(index + 1), closed, _SALT, path, note, keys))).encode())

    def whole(_index: int) -> None:
        if _hash_all(rows) != point.root:
            raise RuntimeError("the peer's root is another")

    spread = [index * 7919 % rows for index in range(proofs)]
    made = _timed("make a proof of one row", make, spread)
    largest = max(map(len, files))
    checked = _timed("check that proof: path, checkpoint, signature", lambda index: _check(files[index]), range(proofs))
    peer = _timed("peer: hash the whole log for one row", whole, range(1))
    extends = _timed("make and check that a head extends an older one", _extends(rows, point, fetch), spread)
    depth = (rows - 1).bit_length()
    return [
        Figure(made.what, made.p50_ms, made.p99_ms, largest, depth),
        Figure(checked.what, checked.p50_ms, checked.p99_ms, largest, depth),
        Figure(peer.what, peer.p50_ms, peer.p99_ms, len(_SALT + row_bytes(_row(rows), _SALT)) * rows, 2 * rows),
        Figure(extends.what, extends.p50_ms, extends.p99_ms, 32 * (depth + 1), depth + 1),
        *_appends(connection, rows),
        Figure("the tree on disk, rows apart", 0, 0, tree_bytes, 2 * rows),
    ]


def _appends(connection: sqlite3.Connection, rows: int) -> list[Figure]:
    """The row of a look and its leaf, each in a transaction that goes on: a look is committed anyhow."""
    fetch = _fetch(connection)

    def bare(number: int) -> None:
        connection.execute(ADD_ROW, _values(_row(rows + number + 1)))

    def leaf(number: int) -> None:
        size = rows + number
        connection.execute(ADD_LEAF, (size + 1, 1_800_000_000, _SALT, _SALT))
        for place, node in grow(size, _leaf(size + 1), fetch):
            connection.execute(ADD_NODE, (*place, node))

    connection.execute("BEGIN")
    figures = [
        _timed("limit: the bare row of a look", bare, range(APPENDS)),
        _timed("its leaf besides: hashes, nodes, salts", leaf, range(APPENDS)),
    ]
    connection.execute("COMMIT")
    return figures


def _fill(connection: sqlite3.Connection, rows: int) -> int:
    """`rows` looks with their leaves, kept as the gateway keeps them; returns the bytes of the tree alone."""
    latest: dict[int, bytes] = {}
    nodes: list[tuple[int, int, bytes]] = []
    for size in range(rows):
        for place, node in grow(size, _leaf(size + 1), lambda places: [latest[level] for level, _ in places]):
            latest[place[0]] = node
            nodes.append((*place, node))
    connection.execute("BEGIN")
    connection.executemany(ADD_ROW, (_values(_row(seq)) for seq in range(1, rows + 1)))
    bare = _pages(connection)
    connection.executemany(ADD_LEAF, ((seq, 1_800_000_000, _SALT, _SALT) for seq in range(1, rows + 1)))
    connection.executemany(ADD_NODE, sorted(nodes))
    connection.execute("COMMIT")
    return _pages(connection) - bare


def _leaf(seq: int) -> bytes:
    return row_leaf(_row(seq), closed_hash("c1", "", _SALT), _SALT)


def _values(row: OpenRow) -> tuple[str | int, ...]:
    shown = " ".join(row.fields)
    return (row.seq, row.at_s, row.role, row.outlet, row.outlet_kind, row.purpose, row.guest, shown, row.way)


def _pages(connection: sqlite3.Connection) -> int:
    """Bytes of the database."""
    return int(
        connection.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()[0]
    )


def _row(seq: int) -> OpenRow:
    fields = ("allergies", "preferred_name")
    return OpenRow(seq, 1_800_000_000 + seq, "service", "pool-bar", "food_and_drink", "food_and_drink",
                   f"{seq:016x}", fields, "tapped", 1_800_000_000 + seq)  # fmt: skip


def _check(file: bytes) -> None:
    check_proof(read_proof(file))


def _extends(rows: int, point: Checkpoint, fetch: Callable[[Sequence[Place]], list[bytes]]) -> Callable[[int], None]:
    def once(index: int) -> None:
        old = index + 1
        proof = consistency_proof(old, rows, fetch)
        if not is_consistent(old, root(old, fetch), rows, point.root, proof):
            raise RuntimeError(f"no proof from {old}")

    return once


def _hash_all(rows: int) -> bytes:
    """The root by hashing everything, level after level: of each row the leaf, then the nodes."""
    level = [_leaf(seq) for seq in range(1, rows + 1)]
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        level = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)] + odd
    return level[0]


def _fetch(connection: sqlite3.Connection) -> Callable[[Sequence[Place]], list[bytes]]:
    return lambda places: [connection.execute(NODE, place).fetchone()[0] for place in places]


def _open(path: Path) -> sqlite3.Connection:
    create_file(path)
    connection = connect(path)
    connection.executescript(_LOG + scripts()[12])  # the tree's own, with every trigger
    return connection


def _timed(what: str, once: Callable[[int], None], numbers: Sequence[int]) -> Figure:
    times_ms = []
    for number in numbers:
        before_s = time.perf_counter()
        once(number)
        times_ms.append((time.perf_counter() - before_s) * 1000)
    return Figure(what, median(times_ms), quantiles(times_ms, n=100)[98] if len(times_ms) > 100 else max(times_ms))


def show(figures: dict[str, Any], console: Console) -> None:
    table = Table(title=f"Proofs of the look-up log at {figures['rows']:,} rows")
    for heading in ("what", "p50 ms", "p99 ms", "bytes", "hashes"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for row in figures["figures"]:
        times = [f"{row[name]:.3f}" if row[name] else "" for name in ("p50_ms", "p99_ms")]
        counts = [f"{row[name]:,}" if row[name] else "" for name in ("size_bytes", "hashes")]
        table.add_row(row["what"], *times, *counts)
    console.print(table)
