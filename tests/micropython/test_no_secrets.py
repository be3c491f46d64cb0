"""No key, random number or plain text ever reaches an error's text: by the source, and by driving the firmware wild."""

import ast
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.micropython.bandlab import KEYS, UID

from voyage.bandproc import BandOptions, command_line

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
# What may stand in an error's text beside constants, len(..) and an error number. Each is a count, a number or a name
# that our own source gave: never bytes from a peer or out of flash. Think before you add one.
COUNTS = {"size", "key_no", "limit", "number", "room", "test", "kind", "sw", "sw_limit", "sw_overflow", "sw_at_mf"}
NAMES = {"name", "what", "folder", "wrong", "cut_bytes", "err"}
VERSION_BYTE = "data[0]"  # of a token: which layout it claims to be
WINDOW = 4  # bytes of a secret that would be too many


def raises() -> Iterator[tuple[str, ast.expr]]:
    """(place, argument) of every raise, and of every line that goes to stderr."""
    for path in sorted(FIRMWARE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            called: ast.expr | None = None
            if isinstance(node, ast.Raise):
                called = node.exc
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "sys.stderr.write":
                called = node
            if isinstance(called, ast.Call):
                place = f"{path.relative_to(FIRMWARE)}:{called.lineno}"
                for argument in [*called.args, *(keyword.value for keyword in called.keywords)]:
                    yield place, argument


def harmless(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.Name):
        return node.id in COUNTS | NAMES or node.id.lstrip("_").isupper()
    if isinstance(node, ast.Attribute):
        return node.attr.isupper() or node.attr == "errno"
    if isinstance(node, ast.Tuple):
        return all(harmless(item) for item in node.elts)
    if isinstance(node, ast.IfExp):
        return harmless(node.body) and harmless(node.orelse)
    if isinstance(node, ast.BoolOp):
        return all(harmless(value) for value in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add):
        return harmless(node.left) and harmless(node.right)
    if isinstance(node, ast.Call):
        if ast.unparse(node.func) == "len":
            return True
        joined = isinstance(node.func, ast.Attribute) and node.func.attr == "join"
        return joined and ast.unparse(node.args[0]) in ("sorted(_CAUSES)", "PARTS", "card.damaged")
    return ast.unparse(node) == VERSION_BYTE


def test_every_error_text_is_made_of_harmless_parts() -> None:
    found = list(raises())
    assert len(found) > 150, "the walk sees the firmware"
    assert [f"{place}: {ast.unparse(node)}" for place, node in found if not harmless(node)] == []


@pytest.mark.parametrize(
    "text",
    ["key", "'%s' % key.hex()", "f'{key}'", "repr(data)", "'bad: %s' % data", "data[1]", "str(rnd_b)", "'x' + text"],
)
def test_the_walk_would_find_a_secret(text: str) -> None:
    assert not harmless(ast.parse(text, mode="eval").body)


def leaks(text: bytes, secrets: list[bytes]) -> list[bytes]:
    """Pieces of secrets in the text: as they are, in hex of either case, or as Python writes bytes."""
    found = []
    for secret in secrets:
        for at in range(len(secret) - WINDOW + 1):
            piece = secret[at : at + WINDOW]
            shapes = (piece, piece.hex().encode(), piece.hex().upper().encode(), repr(piece)[2:-1].encode())
            found += [piece for shape in shapes if shape in text]
    return found


def run(options: BandOptions, lines: bytes, *extra: str, link: str = "hex") -> bytes:
    """Everything the band says that is not an answer to a command."""
    line, environment = command_line(options, link)
    done = subprocess.run([*line, *extra], input=lines, env=environment, capture_output=True, timeout=60, check=False)
    told = [text for text in done.stdout.splitlines() if not _answer(text)] if link == "hex" else []
    return done.stderr + b"\n".join(told)


def _answer(text: bytes) -> bool:
    try:
        bytes.fromhex(text.decode())
    except ValueError:
        return False
    return True


def hostile(rng: random.Random) -> Iterator[bytes]:
    """Lines of hex: commands of the card, torn, stretched and with keys of the band as data."""
    select, first = b"00A4040007D276000085010100", b"9071000002000000"
    for _ in range(30):
        yield select
        yield first
        yield b"90AF000020" + rng.randbytes(32).hex().encode() + b"00"
        ins = rng.choice(
            (0x51, 0x5C, 0x5F, 0x64, 0x6F, 0x71, 0x77, 0x8D, 0xAD, 0xAF, 0xC4, 0xF5, 0xF6, 0xB0, 0xD6, 0x20)
        )
        data = rng.choice((rng.randbytes(rng.randrange(60)), KEYS[rng.randrange(5)]))
        yield bytes((rng.choice((0x90, 0x00)), ins, 0, 0, len(data))).hex().encode() + data.hex().encode() + b"00"
        yield rng.randbytes(rng.randrange(1, 30)).hex().encode()
        yield b"not hex at all"
        yield KEYS[0].hex().encode()[:31]


def test_a_band_driven_wild_tells_nothing(tmp_path: Path) -> None:
    rng = random.Random(7)
    lines = b"\n".join(hostile(rng)) + b"\nquit\n"
    state = tmp_path / "flash"
    told = run(BandOptions(state, uid=UID, keys=KEYS), lines)
    told += run(BandOptions(state, heap="210k"), lines)
    told += run(BandOptions(state, flash_fail=3), lines)
    told += run(BandOptions(state, cut="2"), lines)
    (state / "keys.0").write_bytes(b"S" + bytes(9) + b"".join(KEYS))
    (state / "keys.1").write_bytes(b"S" + bytes(9) + b"".join(KEYS))
    told += run(BandOptions(state), lines)
    told += run(BandOptions(state), rng.randbytes(5000), link="station")
    (state / "enrol").write_bytes(KEYS[2])
    told += run(BandOptions(state), b"quit\n")
    assert b"error" in told, "it did complain"
    assert leaks(told, KEYS) == []


def test_wrong_arguments_repeat_no_key(tmp_path: Path) -> None:
    given = ",".join(key.hex() for key in KEYS)
    told = b""
    for number, text in enumerate((given[:-2], given + ",00", given + "zz", given.replace(",", ";"))):
        told += run(BandOptions(tmp_path / str(number), uid=UID), b"quit\n", "--keys", text)
    told += run(BandOptions(tmp_path / "good", uid=UID, keys=KEYS), b"quit\n")
    told += run(BandOptions(tmp_path / "good", keys=[bytes(16), *KEYS[1:]]), b"quit\n")
    told += run(BandOptions(tmp_path / "good"), b"quit\n", "--random", KEYS[3].hex()[:-1])
    assert told.count(b"error") >= 6, told
    assert leaks(told, KEYS) == []


def test_the_search_would_find_a_leak() -> None:
    for text in (KEYS[1], KEYS[1].hex().encode(), b"error " + repr(KEYS[1]).encode(), KEYS[1].hex().upper().encode()):
        assert leaks(b"error " + text + os.urandom(0), KEYS)
    assert leaks(b"error record keys is damaged", KEYS) == []
