"""One MQTT 3.1.1 connection: paho-mqtt knows the protocol, asyncio moves the bytes.

paho is given an object that behaves as a socket and is an asyncio transport. So connecting, TLS and closing block
nobody and end in time, reading stops when nobody takes what arrives, and a message is acknowledged to the broker
only when it was dealt with: none is ever dropped here.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from steward.adapters.bytemeter import ByteMeter
from steward.adapters.dial import Dialler, reason
from steward.errors import RemoteError
from steward.ports.sync import LinkDown

PACKET_BYTES_MAX = 2_097_152
ANSWER_LIMIT_S = 30.0  # to CONNECT and SUBSCRIBE: a cluster without a leader takes up to 14 s
PUBLISH_LIMIT_S = 60.0
PUBLISHING_MAX = 20
TICK_S = 1.0
END_LIMIT_S = 2.0
WRITE_BUFFER_BYTES = 65_536


class LinkRefused(RemoteError):
    """The broker does not take us: wrong certificate or password, or the client id is not allowed."""

    code = "link_refused"


@dataclass(frozen=True, slots=True)
class Will:
    """Published by the broker, retained, when the connection is lost without a good-bye."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message that wants `MqttLine.done`."""

    topic: str
    payload: bytes
    retained: bool
    mid: int
    qos: int


class MqttLine:
    """Made by `open`. `lost` is done when the connection is over, with the reason in a few words."""

    def __init__(
        self,
        client: _Client,
        wire: _Wire,
        on_message: Callable[[MqttLine, Arrived], None],
        on_lost: Callable[[MqttLine], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._client = client
        self._wire = wire
        self._on_message = on_message
        self._on_lost = on_lost
        self._answers: dict[tuple[str, int], asyncio.Future[Sequence[ReasonCode]]] = {}
        self._publishing = asyncio.Semaphore(PUBLISHING_MAX)
        self._tick: asyncio.TimerHandle | None = None
        self._flushing = False
        self._paused = False
        self.lost: asyncio.Future[str] = self._loop.create_future()

    @classmethod
    async def open(
        cls,
        client_id: str,
        dialler: Dialler,
        meter: ByteMeter,
        on_message: Callable[[MqttLine, Arrived], None],
        on_lost: Callable[[MqttLine], None],
        *,
        keep_alive_s: int,
        will: Will | None = None,
        login: tuple[str, str] | None = None,
    ) -> MqttLine:
        """Connect and be accepted. Raises OSError, TimeoutError, LinkDown, LinkRefused."""
        wire = await dialler.dial(lambda: _Wire(meter), meter)
        client = _Client(client_id, wire)
        if will is not None:
            client.will_set(will.topic, will.payload, qos=1, retain=True)
        if login is not None:
            client.username_pw_set(*login)
        line = cls(client, wire, on_message, on_lost)
        with contextlib.ExitStack() as unless_done:
            unless_done.callback(line.abort, "not accepted")
            line._listen()
            client.connect("broker", keepalive=keep_alive_s)  # the name is not used: the wire is connected
            await line._answer("connect", 0, ANSWER_LIMIT_S)
            unless_done.pop_all()
        assert wire.transport is not None
        dialler.keep_session(wire.transport)
        return line

    async def publish(self, topic: str, payload: bytes, retain: bool) -> None:
        """Return when the broker has taken it. Raises LinkDown; without an answer in time the connection is ended."""
        try:
            async with asyncio.timeout(PUBLISH_LIMIT_S):
                await self._publishing.acquire()
                await asyncio.shield(self._send(topic, payload, retain))
        except TimeoutError:
            self.abort("no answer to a message")
            raise LinkDown(f"the broker did not take a message within {PUBLISH_LIMIT_S:g} s") from None

    def _send(self, topic: str, payload: bytes, retain: bool) -> asyncio.Future[Sequence[ReasonCode]]:
        """Begin to publish. The place among PUBLISHING_MAX is taken until there is an answer, awaited or not."""
        answer: asyncio.Future[Sequence[ReasonCode]] = self._loop.create_future()
        answer.add_done_callback(self._answered)
        if self.lost.done():
            answer.set_exception(LinkDown("the connection is lost"))
            return answer
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            answer.set_exception(LinkDown("the connection breaks"))
            return answer
        self._answers[("publish", info.mid)] = answer
        answer.add_done_callback(lambda _: self._answers.pop(("publish", info.mid)))
        return answer

    def _answered(self, answer: asyncio.Future[Sequence[ReasonCode]]) -> None:
        self._publishing.release()
        if not answer.cancelled():
            answer.exception()  # looked at, also if its publisher is gone

    async def subscribe(self, filters: Sequence[str]) -> list[str]:
        """Subscribe at QoS 1; returns those that the broker refuses. Raises LinkDown."""
        code, mid = self._client.subscribe([(topic, 1) for topic in filters])
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            raise LinkDown("the connection is lost")
        try:
            answers = await self._answer("subscribe", mid, ANSWER_LIMIT_S)
        except TimeoutError:
            self.abort("no answer to a subscription")
            raise LinkDown(f"the broker did not answer a subscription within {ANSWER_LIMIT_S:g} s") from None
        return [topic for topic, answer in zip(filters, answers, strict=False) if answer.is_failure]

    def done(self, message: Arrived) -> None:
        """Tell the broker that this message need not be sent again."""
        if not self.lost.done():
            self._client.ack(message.mid, message.qos)

    def pause(self) -> None:
        """Hand out no more messages, and read no more."""
        self._paused = True
        self._wire.pause_reading()

    def resume(self) -> None:
        self._paused = False
        self._wire.resume_reading()
        self._loop.call_soon(self._pump)  # what was read before

    async def end(self) -> None:
        """Say good-bye, so that the will is not published, and close within END_LIMIT_S."""
        self._client.disconnect()
        self._flush()
        await asyncio.wait([self._wire.closed], timeout=END_LIMIT_S)
        self.abort("ended")

    def abort(self, why: str) -> None:
        self._over(why)
        self._wire.abort()

    def _listen(self) -> None:
        client = self._client
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_paho_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_socket_register_write = lambda *_: self._flush_soon()
        self._wire.on_data, self._wire.on_writable, self._wire.on_lost = self._pump, self._flush, self._broken
        self._tick = self._loop.call_later(TICK_S, self._on_tick)

    async def _answer(self, what: str, mid: int, limit_s: float) -> Sequence[ReasonCode]:
        future: asyncio.Future[Sequence[ReasonCode]] = self._loop.create_future()
        self._answers[(what, mid)] = future
        try:
            if self.lost.done():
                raise LinkDown("the connection is lost")
            async with asyncio.timeout(limit_s):
                return await future
        finally:
            del self._answers[(what, mid)]

    def _settle(self, what: str, mid: int, answers: Sequence[ReasonCode]) -> None:
        future = self._answers.get((what, mid))
        if future is not None and not future.done():
            future.set_result(answers)

    def _pump(self) -> None:
        """Hand paho what has arrived, packet by packet. Bytes that are not MQTT end the connection."""
        try:
            while self._wire.readable and not self._paused and not self.lost.done():
                if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    self.abort("the connection broke")
        except (ValueError, IndexError, KeyError, TypeError, struct.error):  # what paho raises for malformed packets
            self.abort("the broker speaks no MQTT")

    def _broken(self) -> None:
        """The wire is lost. What was read before it was is still taken, unless nobody takes anything."""
        self._pump()
        self._over(self._wire.why)

    def _flush_soon(self) -> None:
        """Write in the next turn of the loop: several packets in one segment."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._wire.writable and not self.lost.done():
            self._client.loop_write()

    def _on_tick(self) -> None:
        """Keep-alive."""
        self._client.loop_misc()
        if not self.lost.done():
            self._tick = self._loop.call_later(TICK_S, self._on_tick)

    def _over(self, why: str) -> None:
        if self.lost.done():
            return
        self.lost.set_result(why)
        if self._tick is not None:
            self._tick.cancel()
        for future in self._answers.values():
            if not future.done():
                future.set_exception(LinkDown(f"the connection is lost: {why}"))
        self._on_lost(self)

    def _on_connect(
        self, _client: object, _data: object, _flags: object, code: ReasonCode, _more: Properties | None
    ) -> None:
        future = self._answers.get(("connect", 0))
        if future is None or future.done():
            return
        if code.is_failure:
            future.set_exception(LinkRefused(f"the broker refuses this client: {code.getName().lower()}"))
        else:
            future.set_result([code])

    def _on_disconnect(
        self, _client: object, _data: object, _flags: object, code: ReasonCode, _more: Properties | None
    ) -> None:
        self._over(self._wire.why or code.getName().lower())

    def _on_publish(self, _client: object, _data: object, mid: int, code: ReasonCode, _more: Properties | None) -> None:
        self._settle("publish", mid, [code])

    def _on_subscribe(
        self, _client: object, _data: object, mid: int, codes: list[ReasonCode], _more: Properties | None
    ) -> None:
        self._settle("subscribe", mid, codes)

    def _on_paho_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        arrived = Arrived(message.topic, bytes(message.payload), message.retain, message.mid, message.qos)
        self._on_message(self, arrived)


class _Client(paho.Client):
    """paho's protocol engine on a connection that exists already."""

    def __init__(self, client_id: str, wire: _Wire) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=False,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self.max_inflight_messages_set(PUBLISHING_MAX)
        self.__wire = wire

    def _create_socket(self) -> _Wire:
        return self.__wire


class _Wire(asyncio.Protocol):
    """An asyncio connection with the face of a socket, for paho."""

    def __init__(self, meter: ByteMeter) -> None:
        self._meter = meter
        self._buffer = bytearray()
        self._paused = False
        self.transport: asyncio.Transport | None = None
        self.why = ""  # the connection was lost
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_data: Callable[[], None] = _nothing
        self.on_writable: Callable[[], None] = _nothing
        self.on_lost: Callable[[], None] = _nothing

    @property
    def readable(self) -> bool:
        """Whether recv has something to say: bytes, or that there will be no more."""
        return bool(self._buffer) or self.closed.done()

    @property
    def writable(self) -> bool:
        return not (self._paused or self.closed.done())

    # for paho
    def recv(self, size: int) -> bytes:
        if size > PACKET_BYTES_MAX:  # it asks for the rest of a packet at once
            raise OSError(errno.EMSGSIZE, "a packet is too large")
        if not self._buffer:
            if self.closed.done():
                return b""
            raise BlockingIOError
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def send(self, data: bytes | bytearray) -> int:
        if self.closed.done() or self.transport is None:
            raise ConnectionResetError(errno.ECONNRESET, "the connection is lost")
        if self._paused:
            raise BlockingIOError
        self.transport.write(bytes(data))
        self._meter.passed(len(data), 0)
        return len(data)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def fileno(self) -> int:
        return -1

    def setblocking(self, flag: bool) -> None:
        assert not flag

    # for MqttLine
    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def pause_reading(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    # for asyncio
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        self._meter.passed(0, len(data))
        self._buffer += data
        self.on_data()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.on_writable()

    def connection_lost(self, error: Exception | None) -> None:
        self.why = "closed by the broker" if error is None else reason(error)
        if not self.closed.done():
            self.closed.set_result(None)
        self._meter.settle()
        self.on_lost()


def _nothing() -> None:
    pass
