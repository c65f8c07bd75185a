"""Which layer is called what: diffusers' names, those of a family's own code, and others' names for them."""

import re
from dataclasses import dataclass
from functools import cache

from triptych.errors import SkillError
from triptych.models.catalog import FAMILIES, find_family
from triptych.models.family import Layer

__all__ = ["Layer", "Place", "find_layer", "layers_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A layer in a block, and which of its modules (None: the fused layer as a whole)."""

    layer: Layer
    block: int | None
    module: int | None
    is_swapped: bool = False
    """The name was the original's, and its rows are to be swapped for diffusers."""

    def filled(self, name: str) -> str:
        """`name` with the block's number in it."""
        return name.replace("{n}", str(self.block))

    @property
    def modules(self) -> tuple[str, ...]:
        """diffusers' names of what is there."""
        chosen = self.layer.modules if self.module is None else (self.layer.modules[self.module],)
        return tuple(self.filled(module) for module in chosen)


def layers_of(family: str) -> tuple[Layer, ...]:
    """The layers of a family. Raises SkillError for a family whose names are not known."""
    record = find_family(family)
    if record is None or not record.layers:
        known = ", ".join(each.name for each in FAMILIES if each.layers)
        raise SkillError(f"the keys of family {family!r} are unknown; known families: {known}.")
    return record.layers


def find_layer(name: str, family: str) -> Place | None:
    """What a layer's name in any known format means, its prefix taken off; dots may be underscores."""
    for pattern, layer, module, is_original in _patterns(family):
        if match := pattern.fullmatch(name):
            number = match.groupdict().get("n")
            block = None if number is None else int(number)
            return Place(layer=layer, block=block, module=module, is_swapped=layer.swapped and is_original)
    return None


@cache
def _patterns(family: str) -> tuple[tuple[re.Pattern[str], Layer, int | None, bool], ...]:
    patterns: list[tuple[re.Pattern[str], Layer, int | None, bool]] = []
    for layer in layers_of(family):
        whole = None if layer.is_fused else 0
        patterns += [(_pattern(name), layer, whole, True) for name in (layer.original, *layer.aliases)]
        patterns += [(_pattern(module), layer, number, False) for number, module in enumerate(layer.modules)]
    return tuple(patterns)


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name).replace(r"\{n\}", "(?P<n>[0-9]+)").replace(r"\.", "[._]"))
