"""The gateway's error tree. Each class has a stable `code`; facts are fields, never hidden in the text."""

from __future__ import annotations


class StewardError(Exception):
    """Root of everything the gateway raises on purpose."""

    code = "steward"


class LocalError(StewardError):
    """Our side: a misuse, a missing key, a full disk."""

    code = "local"


class RemoteError(StewardError):
    """The other side: a card, a till, a file somebody handed us."""

    code = "remote"


class ConfigError(LocalError):
    """A setting that cannot work; `where` names the file and key."""

    code = "config"

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem


class KeyNotHeld(LocalError):
    """This gateway's role does not hold the key that the operation needs."""

    code = "key_not_held"

    def __init__(self, key: str, role: str) -> None:
        super().__init__(f"{key} is not held by a gateway of role {role}")
        self.key = key
        self.role = role


class KeyFileError(LocalError):
    """The sealed key file is missing, damaged, or the passphrase is wrong."""

    code = "key_file"


class CertificateError(LocalError):
    """A certificate or its key cannot serve: missing, damaged, out of date, for other names."""

    code = "certificate"


class StoreUnavailable(LocalError):
    """The database could not take the write (disk full, closed, damaged). Nothing of it was kept."""

    code = "store_unavailable"


class RankerFailed(LocalError):
    """A model could not rank: it failed, or was closed meanwhile."""

    code = "ranker_failed"


class Busy(LocalError):
    """A bounded queue is full; the caller may try again."""

    code = "busy"


class NotFound(RemoteError):
    """The named thing does not exist here."""

    code = "not_found"

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"no {kind} {name}")
        self.kind = kind
        self.name = name


class Erased(NotFound):
    """What was sealed for this guest cannot be read any more: its key was destroyed."""

    code = "erased"

    def __init__(self, ref: str) -> None:
        super().__init__("data left of the erased guest", ref)
        self.ref = ref


class Conflict(RemoteError):
    """The request contradicts what is already recorded."""

    code = "conflict"


class Refused(RemoteError):
    """A rule says no. `code` on the instance is the stable refusal code."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class ModelRefused(RemoteError):
    """A model file that may not be used: not there, damaged, not what was signed, made for another program."""

    code = "model_refused"


class ReaderFault(RemoteError):
    """The reader itself failed or went away."""

    code = "reader_fault"


class BandAway(RemoteError):
    """A band did not answer over the radio: out of reach, switched off, or it did not know our passkey."""

    code = "band_away"


class CardRemoved(RemoteError):
    """The card left the field before the exchange was over."""

    code = "card_removed"


class CardRefused(RemoteError):
    """The card answered, but not as one of ours; `sw` is its status word if there was one."""

    code = "card_refused"

    def __init__(self, code: str, detail: str, sw: int | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.sw = sw
