"""Configuration files for nats-server and mosquitto: listeners, who may connect, and the rights of brokerrights.py.

Both refuse anonymous clients and everything that is not granted. With TLS a client is whoever its certificate says
(common name): passwords are for loopback only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from steward.adapters.brokerrights import Grant
from steward.adapters.natsadmin import ADMIN_PUBLISH, ADMIN_SUBSCRIBE

MESSAGE_BYTES_MAX = 1_048_576
CONNECTIONS_MAX = 1024
IN_FLIGHT_MAX = 64  # messages sent to one client and not yet acknowledged
QUEUED_MAX = 10_000  # messages kept for one client that is away
QUEUED_BYTES_MAX = 64 * 1_048_576
ACK_WAIT_S = 30  # before nats-server sends again what a client did not acknowledge, also one that came back
AWAY_DAYS_MAX = 30
# mosquitto writes all it holds at each save: a smaller step costs more than it keeps. What it loses when it is killed
# is sent again.
SAVE_EVERY_S = 60
NATS_MEMORY_BYTES = 16 * 1_048_576
_NOTE = "# Written by steward. What is not granted is refused.\n"


@dataclass(frozen=True, slots=True)
class BrokerTls:
    """The broker's own certificate, and the CA whose client certificates it accepts. crl: mosquitto only."""

    certificate: Path
    private_key: Path
    client_ca: Path
    crl: Path | None = None


@dataclass(frozen=True, slots=True)
class BrokerPlan:
    """One broker. Exactly one of tls and passwords says who a client is; passwords are for loopback only."""

    name: str
    host: str
    port: int
    folder: Path  # what it keeps
    grants: Sequence[Grant]
    tls: BrokerTls | None = None
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    disk_bytes_max: int = 256 * 1_048_576
    native_port: int = -1  # of nats-server's own protocol, on loopback; -1: any free one
    admin: tuple[str, str] | None = field(default=None, repr=False)  # user and password of natsadmin.py

    def __post_init__(self) -> None:
        assert (self.tls is None) == bool(self.passwords), "either certificates or passwords"


def nats_file(plan: BrokerPlan, log_file: Path | None = None) -> str:
    """A nats-server configuration: one node with MQTT. JSON, which it reads as its own format."""
    mqtt: dict[str, object] = {
        "host": plan.host,
        "port": plan.port,
        "max_ack_pending": IN_FLIGHT_MAX,
        "ack_wait": f"{ACK_WAIT_S}s",
    }
    if plan.tls is not None:
        mqtt["tls"] = _nats_tls(plan.tls)
    settings: dict[str, object] = {
        "server_name": plan.name,
        # Its own protocol cannot be turned off: it is on loopback, and no MQTT user may log in there.
        "host": "127.0.0.1",
        "port": plan.native_port,
        "max_payload": MESSAGE_BYTES_MAX,
        "max_connections": CONNECTIONS_MAX,
        "jetstream": {
            "store_dir": str(plan.folder),
            "max_memory_store": NATS_MEMORY_BYTES,
            "max_file_store": plan.disk_bytes_max,
        },
        "mqtt": mqtt,
        "authorization": {"timeout": 10, "users": [_nats_user(plan, grant) for grant in plan.grants] + _admin(plan)},
    }
    if log_file is not None:
        settings |= {"log_file": str(log_file), "log_size_limit": 1_048_576, "logfile_max_num": 3}
    return _NOTE + json.dumps(settings, indent=2) + "\n"


def _nats_tls(tls: BrokerTls) -> dict[str, object]:
    return {
        "cert_file": str(tls.certificate),
        "key_file": str(tls.private_key),
        "ca_file": str(tls.client_ca),
        "verify_and_map": True,
        "timeout": 20,  # a handshake over a slow link takes seconds
    }


def _nats_user(plan: BrokerPlan, grant: Grant) -> dict[str, object]:
    if plan.tls is not None:
        who: dict[str, object] = {"user": f"CN={grant.user}"}
    else:
        who = {"user": grant.user, "password": plan.passwords[grant.user]}
    return who | {
        "allowed_connection_types": ["MQTT"],
        "permissions": {
            "publish": {"allow": [_subject(topic) for topic in grant.publish]},
            "subscribe": {"allow": [subject for topic in grant.subscribe for subject in _subjects(topic)]},
        },
    }


def _admin(plan: BrokerPlan) -> list[dict[str, object]]:
    if plan.admin is None:
        return []
    user, password = plan.admin
    return [
        {
            "user": user,
            "password": password,
            "allowed_connection_types": ["STANDARD"],
            "permissions": {
                "publish": {"allow": list(ADMIN_PUBLISH)},
                "subscribe": {"allow": [ADMIN_SUBSCRIBE]},
            },
        }
    ]


def _subject(topic: str) -> str:
    """An MQTT filter as a NATS subject: levels, one level, all levels below."""
    return topic.replace("/", ".").replace("+", "*").replace("#", ">")


def _subjects(topic: str) -> list[str]:
    """What an MQTT subscription asks for there: `a/#` takes in `a` itself, so it is two subscriptions."""
    return [_subject(topic)] + ([_subject(topic.removesuffix("/#"))] if topic.endswith("/#") else [])


def mosquitto_files(plan: BrokerPlan, acl_file: Path, password_file: Path | None = None) -> tuple[str, str]:
    """(mosquitto.conf, access control list). acl_file: where the second will be; password_file: without TLS."""
    lines = [
        _NOTE.strip(),
        f"listener {plan.port} {plan.host}",
        "allow_anonymous false",
        f"acl_file {acl_file}",
        "persistence true",
        f"persistence_location {plan.folder}/",
        f"autosave_interval {SAVE_EVERY_S}",
        f"max_inflight_messages {IN_FLIGHT_MAX}",
        f"max_queued_messages {QUEUED_MAX}",
        f"max_queued_bytes {QUEUED_BYTES_MAX}",
        f"message_size_limit {MESSAGE_BYTES_MAX}",
        f"max_connections {CONNECTIONS_MAX}",
        f"persistent_client_expiration {AWAY_DAYS_MAX}d",
        "allow_zero_length_clientid false",
        "sys_interval 0",  # no $SYS topics
        "set_tcp_nodelay true",
    ]
    if plan.tls is not None:
        lines += [
            f"cafile {plan.tls.client_ca}",
            f"certfile {plan.tls.certificate}",
            f"keyfile {plan.tls.private_key}",
            *([f"crlfile {plan.tls.crl}"] if plan.tls.crl else []),
            "require_certificate true",
            "use_identity_as_username true",
        ]
    else:
        lines.append(f"password_file {password_file}")
    return "\n".join(lines) + "\n", _NOTE + "\n".join(_acl(grant) for grant in plan.grants)


def _acl(grant: Grant) -> str:
    rights = [f"topic write {topic}" for topic in grant.publish] + [f"topic read {topic}" for topic in grant.subscribe]
    return "\n".join([f"user {grant.user}", *rights]) + "\n"
