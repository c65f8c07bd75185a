"""Weights that wait in main memory: whole parts that take turns on the device, or blocks that are lent to it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MethodType
from typing import Any, cast

import torch
from accelerate.hooks import ModelHook, add_hook_to_module, remove_hook_from_module
from accelerate.utils import send_to_device
from torch import Tensor, nn

__all__ = ["bring_back", "call_up", "lend_blocks", "outer_blocks", "take_turns"]

_FORWARD = "_triptych_own_forward"


class _Turn(ModelHook):
    """Before its module computes, every other module of the circle goes to main memory.

    All of them, not only the one before: a step that was broken off leaves whichever there was on the device.
    """

    def __init__(self, circle: list[nn.Module], device: torch.device) -> None:
        self._circle, self._device = circle, device

    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for other in self._circle:
            if other is not module and _device_of(other) != "cpu":
                other.to("cpu")
        # Called again inside one graph, as for conditions and then for slots, it is there: what the graph holds stays.
        if any(_is_elsewhere(tensor, self._device) for tensor in (*module.parameters(), *module.buffers())):
            module.to(self._device)
        return cast(tuple[Any, ...], send_to_device(args, self._device)), dict(send_to_device(kwargs, self._device))


def _is_elsewhere(tensor: Tensor, device: torch.device) -> bool:
    return tensor.device.type != device.type or device.index not in (None, tensor.device.index)


def take_turns(modules: Iterable[nn.Module], device: torch.device) -> None:
    """Let the modules take turns on the device, each when it is called."""
    circle = list(modules)
    for module in circle:
        module.to("cpu")
        add_hook_to_module(module, _Turn(circle, device))


def call_up(module: nn.Module) -> None:
    """Bring a part that takes turns onto the device now: for what is done with it otherwise than by calling it."""
    hook = getattr(module, "_hf_hook", None)
    if isinstance(hook, _Turn):
        hook.pre_forward(module)


def lend_blocks(module: nn.Module, device: torch.device) -> None:
    """Keep the weights of the module's blocks in main memory and lend a copy to the device while a block computes.

    Copies are made of what is in the block at that moment, adapters that came later too, and gradients reach the
    originals through them. Nothing is moved, so that nothing is out of place where a step is broken off. What is in no
    block lives on the device.
    """
    blocks = outer_blocks(module)
    brought: dict[int, Tensor] = {}
    inside = {id(tensor) for block in blocks for tensor in (*block.parameters(), *block.buffers())}
    for child in module.modules():
        for tensors in _tables(child):
            for name, tensor in tensors.items():
                if tensor is not None and id(tensor) not in inside:
                    # Weights that two layers share stay shared.
                    tensors[name] = brought.setdefault(id(tensor), _moved(tensor, device))
    for block in blocks:
        block.to("cpu")
        _lend(block, device)


def outer_blocks(module: nn.Module) -> list[nn.Module]:
    """The members of the outermost lists of modules of one class, which is where networks keep their repeated blocks.

    A list of unlike layers is itself a part of the network, such as a feed-forward outside of the blocks.
    """
    found: list[nn.Module] = []
    for child in module.children():
        repeats = isinstance(child, nn.ModuleList) and len({type(each) for each in child}) == 1
        found += list(child.children()) if repeats else outer_blocks(child)
    return found


def bring_back(module: nn.Module) -> None:
    """Undo `take_turns` and `lend_blocks`: all weights are in main memory, and the module computes as it was made."""
    remove_hook_from_module(module, recurse=True)
    for child in module.modules():
        if _FORWARD in vars(child):
            del child.forward
            delattr(child, _FORWARD)
    module.to("cpu")


def _lend(block: nn.Module, device: torch.device) -> None:
    own = block.forward

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        with _lent(self, device):
            return own(*args, **kwargs)

    vars(block)[_FORWARD] = True
    block.forward = MethodType(forward, block)


@contextmanager
def _lent(block: nn.Module, device: torch.device) -> Iterator[None]:
    kept: list[tuple[dict[str, Any], Mapping[str, Any]]] = []
    copies: dict[int, Tensor] = {}
    try:
        for module in block.modules():
            for tensors in _tables(module):
                kept.append((tensors, dict(tensors)))
                for name, tensor in tensors.items():
                    if tensor is not None:
                        copy = copies.get(id(tensor))
                        if copy is None:
                            copy = copies[id(tensor)] = tensor.to(device, non_blocking=True)
                        tensors[name] = copy
        yield
    finally:
        for tensors, own in kept:
            tensors.update(own)


def _tables(module: nn.Module) -> tuple[dict[str, Any], dict[str, Any]]:
    return module._parameters, module._buffers


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(tensor.detach().to(device), requires_grad=tensor.requires_grad)
    return tensor.to(device)


def _device_of(module: nn.Module) -> str:
    return next((parameter.device.type for parameter in module.parameters()), "cpu")
