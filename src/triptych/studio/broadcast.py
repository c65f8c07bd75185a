"""Events to every open page: numbered, kept for a while, and resumed where a page left off."""

import asyncio
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from triptych.studio.store import packed

__all__ = ["Broadcast", "Message"]

_KEPT = 2000
_KEPT_BYTES = 8 * 2**20
_UNREAD = 500
_PING_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One event; `number` is 0 for those that are not resumed."""

    number: int
    event: str
    data: str

    def text(self, boot: str) -> bytes:
        """As server-sent events are written."""
        head = f"id: {boot}-{self.number}\n" if self.number else ""
        return f"{head}event: {self.event}\ndata: {self.data}\n\n".encode()


class Broadcast:
    """A ring of the last events, and a queue for each page that listens."""

    def __init__(self, version: str) -> None:
        self._boot, self._version = secrets.token_hex(4), version
        self._number, self._bytes = 0, 0
        self._ring: deque[Message] = deque()
        self._lock = threading.Lock()
        self._listeners: dict[asyncio.Queue[Message | None], asyncio.AbstractEventLoop] = {}
        self._taps: dict[asyncio.Queue[tuple[str, Any]], asyncio.AbstractEventLoop] = {}

    @property
    def listeners(self) -> int:
        """How many pages listen."""
        return len(self._listeners)

    def send(self, event: str, data: object) -> None:
        """Tell every page; callable from any thread."""
        with self._lock:
            self._number += 1
            message = Message(number=self._number, event=event, data=packed(data))
            self._ring.append(message)
            self._bytes += len(message.data)
            while len(self._ring) > _KEPT or (self._bytes > _KEPT_BYTES and len(self._ring) > 1):
                self._bytes -= len(self._ring.popleft().data)
            listeners, taps = list(self._listeners.items()), list(self._taps.items())
        for queue, loop in listeners:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_put, queue, message)
        for queue, loop in taps:
            if not loop.is_closed():
                loop.call_soon_threadsafe(queue.put_nowait, (event, data))

    @contextmanager
    def tapped(self) -> "Iterator[asyncio.Queue[tuple[str, Any]]]":
        """All events from now on, as they are, for code of the server that waits for a job."""
        queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        with self._lock:
            self._taps[queue] = asyncio.get_running_loop()
        try:
            yield queue
        finally:
            with self._lock:
                del self._taps[queue]

    async def listen(self, last_id: str | None) -> AsyncIterator[bytes]:
        """The events from now on, and those missed since `last_id`."""
        queue: asyncio.Queue[Message | None] = asyncio.Queue(_UNREAD)
        with self._lock:
            missed = self._since(last_id)
            self._listeners[queue] = asyncio.get_running_loop()
        try:
            yield b"retry: 1000\n\n"
            hello = packed({"boot": self._boot, "version": self._version})
            yield Message(number=0, event="hello", data=hello).text(self._boot)
            if missed is None:
                yield Message(number=0, event="reset", data="{}").text(self._boot)
            for message in missed or ():
                yield message.text(self._boot)
            while True:
                try:
                    message = await asyncio.wait_for(queue.get(), _PING_S)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if message is None:
                    return
                yield message.text(self._boot)
        finally:
            with self._lock:
                self._listeners.pop(queue, None)

    def close(self) -> None:
        """End every stream."""
        with self._lock:
            listeners = list(self._listeners.items())
        for queue, loop in listeners:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_put, queue, None)

    def _since(self, last_id: str | None) -> list[Message] | None:
        """What came after an event; None where that cannot be told any more."""
        if not last_id:
            return []
        boot, _, number = last_id.rpartition("-")
        if boot != self._boot or not number.isascii() or not number.isdigit() or len(number) > 15:
            return None
        after = int(number)
        first = self._ring[0].number if self._ring else self._number + 1
        if after > self._number or after + 1 < first:
            return None
        return [message for message in self._ring if message.number > after]


def _put(queue: "asyncio.Queue[Message | None]", message: Message | None) -> None:
    """A page that reads too slowly is cut off: it comes back with its last id, and is then told what it missed."""
    try:
        queue.put_nowait(message)
    except asyncio.QueueFull:
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)
