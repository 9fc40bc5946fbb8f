"""The line to the broker: opened again by itself where it is lost, complained of once. Only this module has paho."""

from __future__ import annotations

import logging
import queue
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edgecl.mqtt.account import Account, Hearing, Message

log = logging.getLogger(__name__)

KEEPALIVE_S = 20  # a broker that hears nothing for one and a half of it tells that we are gone
CONNECT_S = 5.0
GREETING_S = 10.0  # in which a broker has to have said whether we may come in
RETRY_FIRST_S, RETRY_LONGEST_S = 1.0, 60.0
STAYED_S = 10.0  # a line that held so long was a good one
PACKET_BYTES_MAX = 4 * 2**20  # the broker keeps larger ones to itself
UNSENT_MAX = 2000  # messages
QOS = 1


class _Client(paho.Client):
    """Says when its thread has ended, however it did."""

    def __init__(self, client_id: str, wake: Callable[[], None]) -> None:
        version = MQTTProtocolVersion.MQTTv5
        super().__init__(CallbackAPIVersion.VERSION2, client_id, protocol=version, reconnect_on_failure=False)
        self.ended, self.greeted, self.reason, self._told = threading.Event(), False, "", wake

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:
        """See paho; whatever goes wrong with what is heard ends the line, and nothing else."""
        try:
            return super().loop_forever(timeout, retry_first_connection)
        except Exception as error:  # said by `Connection`, on its own thread
            self.reason = self.reason or f"what it sent cannot be used: {error!r}"
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        finally:
            self.ended.set()
            self._told()


class Connection:
    """The line. `tend` and `close` are called by one thread, `publish` by any.

    Attributes:
        due: s, monotonic, of the next attempt to open it.
    """

    def __init__(
        self,
        account: Account,
        will: tuple[str, bytes],
        hearing: Mapping[str, Hearing],
        hear: Callable[[Message], None],
        wake: Callable[[], None],
    ) -> None:
        """Open nothing yet.

        Args:
            account: of the broker.
            will: topic and payload of what the broker keeps once we are gone without a word.
            hearing: filter → how it is listened to.
            hear: called with all that comes, on paho's thread; it must be quick.
            wake: called when `tend` has something to do.
        """
        self._account, self._will, self._hearing, self._hear, self._wake = account, will, hearing, hear, wake
        self._client: _Client | None = None
        self._up = False
        self._begun = self.due = float("-inf")
        self._wait_s = RETRY_FIRST_S
        self._complained: set[str] = set()
        self._number = 0

    @property
    def up(self) -> int | None:
        """Number of the line that is open, rising by one; None while none is."""
        return self._number if self._up else None

    def tend(self, now: float) -> None:
        """Open the line if it is time to, and note if it was lost; may take some seconds while there is none."""
        client = self._client
        if client is not None:
            greeted = self._up or now - self._begun < GREETING_S
            if greeted and not client.ended.is_set():
                return
            self._lose(client, now)
        elif now >= self.due:
            self._open(now)

    def publish(self, topic: str, payload: bytes, retain: bool) -> bool:
        """Send; whether it is on its way. What cannot go now is not kept for later: by then it may be wrong."""
        client = self._client
        if client is None or not self._up:
            return False
        return client.publish(topic, payload, QOS, retain).rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def close(self, wait_s: float) -> None:
        """Say the last word ourselves, and hang up."""
        client = self._client
        if client is None:
            return
        if self._up:
            last = client.publish(*self._will, QOS, retain=True)
            if last.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
                last.wait_for_publish(wait_s)
            self._up = False
        client.disconnect()
        client.ended.wait(wait_s)
        self._client = None

    # Inside

    def _open(self, now: float) -> None:
        account, client = self._account, _client(self._account, self._wake)
        client.max_queued_messages = UNSENT_MAX
        client.will_set(*self._will, QOS, retain=True)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_subscribe, client.on_message = self._on_subscribe, self._on_message
        limits = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's own omission
        limits.MaximumPacketSize = PACKET_BYTES_MAX
        self._begun = now
        try:
            client.connect(account.host, account.port, KEEPALIVE_S, clean_start=True, properties=limits)
        except (OSError, ValueError) as error:  # ValueError: a host's name that is none
            self._retry(str(error), now)
            return
        self._client = client
        client.loop_start()

    def _lose(self, client: _Client, now: float) -> None:
        self._client, self._up, reason = None, False, client.reason or "it does not answer"
        if client.greeted and now - self._begun >= STAYED_S:
            self._wait_s = RETRY_FIRST_S
        elif client.greeted:  # so it looks where two have the same name, and each throws out the other
            reason += f" soon after it was opened; see that no other client is called {self._account.client_id!r}"
        client.on_connect = client.on_disconnect = client.on_message = None
        client.disconnect()
        self._retry(reason, now)

    def _retry(self, reason: str, now: float) -> None:
        self.due = now + self._wait_s
        self._wait_s = min(2 * self._wait_s, RETRY_LONGEST_S)
        if reason not in self._complained:  # each is said once until it is well again, not at every attempt
            self._complained.add(reason)
            log.warning(
                "found no MQTT broker at %s: %s; expected one; all else goes on, and it is tried again",
                self._account.place,
                reason,
            )

    # On paho's thread

    def _on_connect(
        self,
        client: paho.Client,
        data: object,
        flags: paho.ConnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if client is not self._client or not isinstance(client, _Client):
            return
        if code.is_failure:
            client.reason = _refusal(code)
            return
        client.subscribe([(topic, _options(how)) for topic, how in self._hearing.items()])
        log.info("found the MQTT broker at %s", self._account.place)
        self._complained.clear()
        client.greeted = True
        self._number += 1
        self._up = True
        self._wake()

    def _on_disconnect(
        self,
        client: paho.Client,
        data: object,
        flags: paho.DisconnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if client is self._client and isinstance(client, _Client):
            self._up = False
            why = str(code) if flags.is_disconnect_packet_from_server else "the line was cut"
            client.reason = client.reason or why

    def _on_subscribe(
        self, client: paho.Client, data: object, number: int, codes: list[ReasonCode], properties: Properties | None
    ) -> None:
        for topic, code in zip(self._hearing, codes, strict=False):
            if code.is_failure:
                log.warning(
                    "found the MQTT broker not letting us hear %s: %s; expected it to; see its rules", topic, code
                )

    def _on_message(self, client: paho.Client, data: object, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:  # it is none of ours
            return
        self._hear(Message(topic, bytes(message.payload), bool(message.retain)))


def refusal(account: Account) -> str | None:
    """Why the broker does not let us in, None where it does; tried once, beside a line that may be open."""
    said: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    account = replace(account, client_id=f"{account.client_id}-try")
    client = _client(account, lambda: said.put(client.reason or "it was no MQTT broker's answer, or the line was cut"))
    client.on_connect = lambda *come: said.put(_refusal(come[3]) if come[3].is_failure else None)
    try:
        client.connect(account.host, account.port, KEEPALIVE_S)
        client.loop_start()
        return said.get(timeout=GREETING_S)
    except (OSError, ValueError) as error:  # ValueError: a host's name that is none
        return str(error)
    except queue.Empty:
        return "it does not answer"
    finally:
        client.disconnect()
        client.loop_stop()


def _client(account: Account, wake: Callable[[], None]) -> _Client:
    client = _Client(account.client_id, wake)
    client.connect_timeout = CONNECT_S
    client.username, client.password = account.username, account.password
    if account.tls:
        client.tls_set_context(ssl.create_default_context())
    return client


def _refusal(code: ReasonCode) -> str:
    return f"it lets nobody in: {code}"


def _options(how: Hearing) -> SubscribeOptions:
    """Our own messages are never heard: some topics are both told and listened to."""
    kept = SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE if how.kept else SubscribeOptions.RETAIN_DO_NOT_SEND
    return SubscribeOptions(QOS, noLocal=True, retainAsPublished=how.as_published, retainHandling=kept)
