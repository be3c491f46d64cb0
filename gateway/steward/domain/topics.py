"""Topic names of the link. No dots, spaces or empty levels: some brokers turn `/` into `.`; no personal data."""

from __future__ import annotations

import re
from dataclasses import dataclass

from steward.domain.events import EventType
from steward.domain.ids import GuestRef
from steward.errors import RemoteError

ROOT = "steward/1"
CLASSES = (1, 2, 3, 4, 5)  # the hundreds of an event's type
IDENTITY, SAFETY, MONEY, TELEMETRY, INSIGHT = CLASSES
CLASS_WORDS = {IDENTITY: "identity", SAFETY: "safety", MONEY: "money", TELEMETRY: "telemetry", INSIGHT: "insight"}
PEERS = ("shore", "ship")
# Consent comes down in shards by the first digits of a guest's reference: a change sends one of them, not all.
CONSENT_KINDS = tuple(f"consent-{shard:02x}" for shard in range(32))
DOWN_KINDS = ("deny", "freeze", "catalogue", "release", "band-release", "erasures", "witness", *CONSENT_KINDS)

_CLASS_OF_WORD = {word: cls for cls, word in CLASS_WORDS.items()}
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


class BadTopic(RemoteError):
    """A topic that is none of ours."""

    code = "bad_topic"


@dataclass(frozen=True, slots=True)
class UpTopic:
    """Who says what it is that comes up."""

    ship: str
    gateway: str
    cls: int


def is_name(text: object) -> bool:
    """Whether this may name a ship or a gateway in a topic: 1 to 32 of a-z, 0-9 and dash."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def class_of(type_: EventType) -> int:
    return int(type_) // 100


def up_topic(ship: str, gateway: str, cls: int) -> str:
    return f"{ROOT}/{ship}/{gateway}/up/{CLASS_WORDS[cls]}"


def ack_topic(ship: str, gateway: str, peer: str) -> str:
    return f"{ROOT}/{ship}/{gateway}/ack/{peer}"


def link_topic(ship: str, gateway: str, peer: str) -> str:
    """Retained presence: "here", and by the last will "gone"."""
    return f"{ROOT}/{ship}/{gateway}/link/{peer}"


def down_topic(ship: str, kind: str) -> str:
    return f"{ROOT}/{ship}/down/{kind}"


def parse_up(topic: str) -> UpTopic:
    """Raises BadTopic."""
    levels = topic.split("/")
    if len(levels) == 6 and "/".join(levels[:2]) == ROOT and levels[4] == "up" and levels[5] in _CLASS_OF_WORD:
        ship, gateway = levels[2], levels[3]
        if is_name(ship) and is_name(gateway):
            return UpTopic(ship, gateway, _CLASS_OF_WORD[levels[5]])
    raise BadTopic(f"{len(topic)} characters that are no steward/1/SHIP/GATEWAY/up/CLASS")


def parse_down(topic: str) -> tuple[str, str]:
    """(ship, kind). Raises BadTopic."""
    levels = topic.split("/")
    ours = len(levels) == 5 and "/".join(levels[:2]) == ROOT and levels[3] == "down"
    if ours and is_name(levels[2]) and levels[4] in DOWN_KINDS:
        return levels[2], levels[4]
    raise BadTopic(f"{len(topic)} characters that are no steward/1/SHIP/down/KIND")


def consent_kind(ref: GuestRef) -> str:
    """The shard that this guest's words come down in."""
    return CONSENT_KINDS[int(ref[:2], 16) * len(CONSENT_KINDS) // 256]


def kind_word(kind: str) -> str:
    """A kind of decision as people are shown it: the shards of consent are one."""
    return "consent" if kind in CONSENT_KINDS else kind


def matches(wanted: str, topic: str) -> bool:
    """Whether an MQTT topic filter takes this topic."""
    levels = topic.split("/")
    for n, part in enumerate(wanted.split("/")):
        if part == "#":
            return True
        if n >= len(levels) or part not in ("+", levels[n]):
            return False
    return wanted.count("/") + 1 == len(levels)
