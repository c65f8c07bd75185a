"""Records of tensors that have a row for each page of a batch: some of the pages, and others in their place."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Int
from torch import Tensor

__all__ = ["ByPage"]

_Record = TypeVar("_Record", bound="ByPage")


class ByPage:
    """A dataclass whose fields are tensors by page, or such records themselves."""

    def of(self: _Record, pages: Int[Tensor, " chosen"]) -> _Record:
        """That of some of the pages."""
        return self._with(lambda own: own.of(pages) if isinstance(own, ByPage) else own[pages])

    def put(self: _Record, pages: Int[Tensor, " chosen"], others: _Record) -> _Record:
        """With `others` in the place of some pages."""
        return self._with(
            lambda own, other: own.put(pages, other) if isinstance(own, ByPage) else own.index_copy(0, pages, other),
            others,
        )

    def where(self: _Record, chosen: Bool[Tensor, " batch"], others: _Record) -> _Record:
        """This for the pages that are `chosen`, and for the rest `others`."""

        def mixed(own: Any, other: Any) -> Any:
            if isinstance(own, ByPage):
                return own.where(chosen, other)
            return torch.where(chosen.view(-1, *[1] * (own.ndim - 1)), own, other)

        return self._with(mixed, others)

    def _with(self: _Record, change: Callable[..., Any], *others: _Record) -> _Record:
        names = [field.name for field in fields(self)]  # pyright: ignore[reportArgumentType] a dataclass
        changed = {name: change(*(getattr(each, name) for each in (self, *others))) for name in names}
        return replace(self, **changed)  # pyright: ignore[reportArgumentType, reportCallIssue]
