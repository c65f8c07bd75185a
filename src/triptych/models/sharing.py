"""What all users of one backbone share: a lock, the skills that are on, and what was encoded, kept by content."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Generic, TypeVar

import torch
from torch import Tensor

from triptych.models.backbone import Adapter, Backbone, Text

__all__ = ["Kept", "Shared"]

_T = TypeVar("_T")

_MOST_BYTES = 256 * 2**20
_MEMORY_BYTES = 512 * 2**20


class Kept(Generic[_T]):
    """Values by content, the least recently used forgotten first where they take more than `most_bytes`."""

    def __init__(self, size: Callable[[_T], int], *, most_bytes: int = _MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self.held_bytes = 0
        self._size = size
        self._entries: OrderedDict[Hashable, tuple[_T, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: Hashable) -> _T | None:
        """What is kept under `key`, which is now the most recently used."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def keep(self, key: Hashable, value: _T) -> _T:
        """Keep `value`, unless it alone is too large."""
        size = self._size(value)
        if size <= self.most_bytes and key not in self._entries:
            self._entries[key] = (value, size)
            self.held_bytes += size
        while self.held_bytes > self.most_bytes:
            self.held_bytes -= self._entries.popitem(last=False)[1][1]
        return value

    def get(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """What is kept under `key`, made now where nothing is."""
        found = self.find(key)
        return self.keep(key, make()) if found is None else found

    def clear(self) -> None:
        self._entries.clear()
        self.held_bytes = 0


class Shared:
    """Whoever computes with a backbone does so inside `using`: one thread at a time, with its own skills on."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.encodings: Kept[Tensor | Text] = Kept(_bytes)
        """Tokens of pictures and encoded prompts."""
        self.memories: Kept[Tensor] = Kept(_bytes, most_bytes=_MEMORY_BYTES)
        """Keys and values of what was read."""
        self.reads_bare = False
        """Conditions are read as if no adapter were there: what is on was trained so."""
        self.is_changing = False
        """What is read now holds for the moment only."""
        self._room_is_chosen = False
        self._adapter: Adapter | None = None
        self._on = ExitStack()
        self._depth = 0

    @contextmanager
    def using(self, backbone: Backbone, adapter: Adapter | None) -> Iterator[None]:
        """Inside the `with`, nobody else computes, and `adapter` is on, or no skill where it is None.

        It stays on after it, until another is asked for or `release` is called: the same skill is not put on again at
        every step. Raises SkillError for a skill of another backbone, which leaves none on.
        """
        with self.lock:
            before = self._adapter
            self._switch(backbone, adapter)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth:
                    self._switch(backbone, before)

    def make_room(self, device: torch.device, most_bytes: int | None) -> None:
        """How much of `memories` is kept; None leaves an earlier choice, or takes an eighth of a GPU's memory."""
        if most_bytes is None and self._room_is_chosen:
            return
        if most_bytes is None and device.type == "cuda":
            most_bytes = torch.cuda.get_device_properties(device).total_memory // 8
        self._room_is_chosen = True
        self.memories.most_bytes = most_bytes or _MEMORY_BYTES

    @property
    def holds(self) -> bool:
        """Whether anything is kept."""
        return bool(len(self.encodings) or len(self.memories))

    def forget(self) -> None:
        """Drop all that is kept."""
        with self.lock:
            self.encodings.clear()
            self.memories.clear()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Inside the `with`, the network's weights change, as in training: what it reads is not kept for later."""
        self.is_changing = True
        try:
            yield
        finally:
            self.is_changing = False

    def release(self, backbone: Backbone) -> None:
        """Leave the backbone as it was loaded, unless somebody is computing with it on this very thread."""
        with self.lock:
            if not self._depth:
                self._switch(backbone, None)

    def _switch(self, backbone: Backbone, adapter: Adapter | None) -> None:
        if adapter == self._adapter:
            return
        self._adapter = None
        self._on.close()
        if adapter is not None:
            self._on.enter_context(adapter.applied(backbone))
            self._adapter = adapter


def _bytes(value: Tensor | Text) -> int:
    tensors = (
        [value]
        if isinstance(value, Tensor)
        else [
            value.embeds,
            value.positions,
            value.pooled,
            value.mask,
            value.seen,
        ]
    )
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)
