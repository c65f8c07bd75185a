"""A second device without hardware: `far`, which counts its memory and raises where devices meet.

torch's PrivateUse1 under another name. Its tensors wrap tensors of the CPU, so that every operation gives the CPU's
bits; an operation on tensors of both devices raises, as on a GPU, except for numbers (tensors of no dimensions). A
parameter that is moved stays the same object, as it does on its way to a GPU and back.
"""

import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_map_only
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

_COPIES = ("aten::_to_copy", "aten::copy_", "aten::_copy_from", "aten::set_data")
_TAKES_NO_NUMBERS = ("aten::cat", "aten::stack")
"""Numbers of another device are not taken either."""
_TAKES_INDICES = ("aten::index", "aten::_unsafe_index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")
"""Their indices may lie on the CPU, as on a GPU."""
_VIEWS = {"aten::_conj": torch.conj_physical, "aten::_neg_view": torch.neg}
"""Views whose values a mark on the tensor changes, which nothing would look at here: done at once."""


class MixedDevicesError(RuntimeError):
    """An operation was given tensors of both devices."""


class Meter:
    """Bytes that are alive on the device."""

    def __init__(self) -> None:
        self.now = self.peak = 0
        self._uses: Counter[int] = Counter()

    def count(self, raw: torch.Tensor) -> None:
        storage = raw.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if not self._uses[key]:
            self.now += size
            self.peak = max(self.peak, self.now)
        self._uses[key] += 1
        # Not of the wrapper: what weak references know cannot change its device and stay the same object.
        weakref.finalize(raw, self._release, key, size)

    def begin(self) -> None:
        """Forget the peak so far."""
        self.peak = self.now

    def _release(self, key: int, size: int) -> None:
        self._uses[key] -= 1
        if not self._uses[key]:
            del self._uses[key]
            self.now -= size


METER = Meter()


class Far(torch.Tensor):
    """A tensor on the device."""

    _raw: torch.Tensor

    @staticmethod
    def __new__(cls, raw: torch.Tensor) -> "Far":
        self = torch.Tensor._make_wrapper_subclass(
            cls,
            raw.size(),
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            device=torch.device("far", 0),
        )
        self._raw = raw
        METER.count(raw)
        return self

    def __init__(self, raw: torch.Tensor) -> None: ...

    def __repr__(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        return f"Far({self._raw!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {})

    __torch_function__ = torch._C._disabled_torch_function_impl


class _Here(TorchDispatchMode):
    """Sees what makes tensors from nothing, too."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(func, args, kwargs or {})


class _Copied(TorchFunctionMode):
    """Numbers become tensors, and tensors numbers, on the CPU: torch does either where no dispatch mode looks."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = dict(kwargs or {})
        if func is torch.Tensor.tolist and isinstance(args[0], Far):
            return args[0]._raw.tolist()
        if func in (torch.tensor, torch.as_tensor) and torch.device(named.get("device") or "cpu").type == "far":
            device = named.pop("device")
            # A list may hold numbers of the device.
            data = args[0] if isinstance(args[0], Far) else tree_map_only(Far, lambda each: each._raw, args[0])
            return func(data, *args[1:], **named).to(device)
        return func(*args, **named)


@contextmanager
def second_device() -> Iterator[Meter]:
    """Inside the `with`, tensors can be moved to the device `far`."""
    register()
    METER.begin()
    swaps = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        with _Copied(), _Here():
            yield METER
    finally:
        torch.__future__.set_swap_module_params_on_conversion(swaps)


class _Backend(_DummyBackendModule):
    """Random numbers are drawn on the CPU."""

    def get_rng_state(self, device: Any = None) -> torch.Tensor:  # noqa: ARG002
        return torch.empty(0, dtype=torch.uint8)

    def set_rng_state(self, state: torch.Tensor, device: Any = None) -> None: ...


@cache
def register() -> None:
    _setup_privateuseone_for_python_backend(rename="far", backend_module=_Backend())


def _compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name = func._schema.name
    tensors = list(_tensors(args, kwargs))
    far = [each for each in tensors if isinstance(each, Far)]
    asked = kwargs.get("device")
    to_far = bool(far) if asked is None else torch.device(asked).type == "far"
    if far and len(far) < len(tensors):
        if name.startswith("aten::_foreach_") and asked is None:
            return _one_by_one(func, args, kwargs)
        checked = (args[0], *args[2:]) if name in _TAKES_INDICES and isinstance(args[0], Far) else args
        apart = [each for each in _tensors(checked, kwargs) if not isinstance(each, Far)]
        if name not in _COPIES and any(each.ndim or name in _TAKES_NO_NUMBERS for each in apart):
            raise MixedDevicesError(f"{name}: tensors are on far and on cpu")
    if name == "aten::_fused_sdp_choice":
        return 0  # plain mathematics
    if not far and not to_far:
        return func(*args, **kwargs)
    if name in _VIEWS:
        return Far(_VIEWS[name](args[0]._raw))
    plain_args, plain_kwargs = tree_map_only(Far, lambda each: each._raw, (args, kwargs))
    if asked is not None:
        plain_kwargs = plain_kwargs | {"device": torch.device("cpu")}
    out = func(*plain_args, **plain_kwargs)
    if name == "aten::copy_":
        return args[0]
    if not to_far:
        return out.clone() if isinstance(out, torch.Tensor) else out
    wrapped = tree_map_only(torch.Tensor, Far, out)
    return return_and_correct_aliasing(func, args, kwargs, wrapped) if far else wrapped


def _tensors(args: Any, kwargs: dict[str, Any]) -> Iterator[torch.Tensor]:
    """What an operation is given: tensors, and lists of them."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from (each for each in value if isinstance(each, torch.Tensor))


def _one_by_one(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Lists whose members are on several devices, as a GPU takes them: only what is done together must be on one."""

    def part(value: Any, index: int) -> Any:
        is_list = isinstance(value, list | tuple) and len(value) == len(args[0])
        return [value[index]] if is_list else value

    outs = [
        func(*(part(value, index) for value in args), **{key: part(value, index) for key, value in kwargs.items()})
        for index in range(len(args[0]))
    ]
    return None if outs[0] is None else [each for out in outs for each in out]
