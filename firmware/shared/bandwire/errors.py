"""Everything bandwire raises. LocalError: our own misuse. RemoteError: the peer's bytes.

Messages name the field and the rule, never the bytes of a key, a random number or a plain text.
"""


class WireError(Exception):
    code = "wire"


class LocalError(WireError):
    code = "wire.local"


class RemoteError(WireError):
    code = "wire.remote"


class BadArgument(LocalError):
    code = "wire.argument"


class BadFrame(RemoteError):
    """A length or a shape is wrong (a card answers 917E or 6700)."""

    code = "wire.frame"


class BadParameter(RemoteError):
    """The shape is right and a value is not allowed (a card answers 919E)."""

    code = "wire.parameter"


class BadMac(RemoteError):
    """A MAC or CRC does not fit, or the command counter is used up (a card answers 911E)."""

    code = "wire.mac"


class BadPadding(RemoteError):
    """The MAC fits and the padding under the cipher does not (a card answers 911E)."""

    code = "wire.padding"


class AuthFailed(RemoteError):
    """The peer does not hold the key, or speaks another protocol (a card answers 91AE)."""

    code = "wire.auth"


class BadToken(RemoteError):
    code = "wire.token"


class BadRelease(RemoteError):
    """A release of the band's program, or an answer about one, is not as it should be."""

    code = "wire.release"


class StatusError(RemoteError):
    """The card answered `sw`, which the caller did not expect."""

    code = "wire.status"

    def __init__(self, sw: int) -> None:
        from .apdu import describe  # apdu imports this module, so this import has to wait

        super().__init__("card answered %04X: %s" % (sw, describe(sw)))
        self.sw = sw
