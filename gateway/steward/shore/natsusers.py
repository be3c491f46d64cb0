"""users.conf for the NATS cluster: the shore service and every registered gateway, with the rights they need.

Whoever is not named is refused. The shore service may read its own stream and nothing else of JetStream's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from steward.adapters.brokerrights import SHORE, Grant, shore_broker
from steward.shore.cluster import CONSUMER, STREAM

_NOTE = "# Written by `steward shore nats-users`: write it again when ships or gateways change.\n"
_SHORE_MAY_SEND = (
    f"$JS.API.STREAM.INFO.{STREAM}",
    f"$JS.API.STREAM.CREATE.{STREAM}",
    f"$JS.API.STREAM.UPDATE.{STREAM}",
    f"$JS.API.CONSUMER.INFO.{STREAM}.{CONSUMER}",
    f"$JS.API.CONSUMER.CREATE.{STREAM}.{CONSUMER}",
    f"$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.{CONSUMER}",
    f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER}",
    f"$JS.ACK.{STREAM}.{CONSUMER}.>",
)
_SHORE_MAY_READ = ("_INBOX.>",)


def users_file(ships: Mapping[str, Sequence[str]]) -> str:
    """ships: the names of each ship's gateways. A map in JSON, which nats-server reads as its own format."""
    return _NOTE + _lines([_user(grant) for grant in shore_broker(ships)])


def _user(grant: Grant) -> dict[str, object]:
    is_shore = grant.user == SHORE
    publish = [*map(_subject, grant.publish), *(_SHORE_MAY_SEND if is_shore else ())]
    subscribe = [*map(_subject, grant.subscribe), *(_SHORE_MAY_READ if is_shore else ())]
    return {
        "user": f"CN={grant.user}",
        "allowed_connection_types": ["MQTT", "STANDARD"] if is_shore else ["MQTT"],
        "permissions": {"publish": {"allow": publish}, "subscribe": {"allow": subscribe}},
    }


def _subject(topic: str) -> str:
    """An MQTT filter as a NATS subject."""
    return topic.replace("/", ".").replace("+", "*").replace("#", ">")


def _lines(users: list[dict[str, object]]) -> str:
    entries = ",\n".join(f"  {json.dumps(user)}" for user in users)
    return f"users: [\n{entries}\n]\n"
