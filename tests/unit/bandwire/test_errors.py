import pytest

from bandwire import apdu, errors

ALL = [thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, errors.WireError)]


def test_every_class_has_its_own_code() -> None:
    codes = [cls.code for cls in ALL]
    assert len(ALL) == 12
    assert len(set(codes)) == len(codes)
    assert all(code == "wire" or code.startswith("wire.") for code in codes)


def test_each_error_is_ours_or_the_peers() -> None:
    sides = (errors.LocalError, errors.RemoteError)
    for cls in ALL:
        if cls is not errors.WireError:
            assert sum(issubclass(cls, side) for side in sides) == 1, cls


@pytest.mark.parametrize(("sw", "words"), [(0x91AE, "key"), (0x6CFE, "length"), (0x1234, "unknown")])
def test_status_error_says_the_status_in_words(sw: int, words: str) -> None:
    error = errors.StatusError(sw)
    assert error.sw == sw
    assert f"{sw:04X}" in str(error)
    assert words in str(error)
    assert apdu.describe(sw) in str(error)


def test_every_status_constant_has_words() -> None:
    names = [name for name in vars(apdu) if name.startswith(("SW_", "ISO_"))]
    assert len(names) == 24
    for name in names:
        assert apdu.describe(getattr(apdu, name)) != "unknown status", name
