"""`read`: text and conditions to a context, once for all steps, draws and, with what was kept, requests."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor

from triptych.models.adapters import unheard
from triptych.models.backbone import Backbone, Conditions, Context, Text

__all__ = ["Remember", "read"]

Remember: TypeAlias = Callable[[Text, Conditions | None], Float[Tensor, "batch blocks 2 kept heads width"] | None]


def read(
    backbone: Backbone,
    text: Text,
    conditions: Conditions | None = None,
    *,
    guidance: float | None = None,
    negative: Text | None = None,
    remember: Remember | None = None,
) -> Context:
    """Read pages before their first step; gradients flow through it.

    `remember` stands in for `backbone.remember`, such as one that knows what was read before.
    """

    def afresh(text: Text, conditions: Conditions | None) -> Tensor | None:
        return backbone.remember(text, conditions, guidance=guidance)

    with _bare(backbone):
        second = None
        if negative is not None:
            memory = (remember or afresh)(negative, conditions)
            second = Context(text=negative, conditions=conditions, guidance=guidance, memory=memory)
        memory = (remember or afresh)(text, conditions)
    return Context(text=text, conditions=conditions, memory=memory, guidance=guidance, negative=second)


def _bare(backbone: Backbone) -> AbstractContextManager[None]:
    return unheard(backbone.transformer) if backbone.shared.reads_bare else nullcontext()
