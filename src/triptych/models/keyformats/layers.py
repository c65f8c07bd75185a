"""Which layer is called what: diffusers' names, those of Black Forest Labs' code, and others' names for them.

Where the original code has one fused layer and diffusers has several, `modules` lists them from the first row on,
and `heights` their rows as multiples of the layer's input width.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from triptych.errors import SkillError

__all__ = ["FAMILIES", "Layer", "Place", "find_layer", "layers_of"]

FAMILIES = ("flux1", "flux2", "pocket")
_RELATED = {"flux1-fill": "flux1", "kontext": "flux1", "flux2-kv": "flux2", "pocket": "flux2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of the original code; `{n}` in names is the block's number."""

    original: str
    modules: tuple[str, ...]
    heights: tuple[int, ...] = (1,)
    aliases: tuple[str, ...] = ()
    """Names in XLabs and DiffSynth files."""
    swapped: bool = False
    """The original code has shift above scale, diffusers scale above shift."""

    @property
    def is_fused(self) -> bool:
        return len(self.modules) > 1


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


def _double(original: str, *modules: str, aliases: tuple[str, ...] = ()) -> Layer:
    return Layer(
        original=f"double_blocks.{{n}}.{original}",
        modules=tuple(f"transformer_blocks.{{n}}.{module}" for module in modules),
        heights=(1,) * len(modules),
        aliases=aliases,
    )


def _single(original: str, *modules: str, heights: tuple[int, ...] = (1,), aliases: tuple[str, ...] = ()) -> Layer:
    return Layer(
        original=f"single_blocks.{{n}}.{original}",
        modules=tuple(f"single_transformer_blocks.{{n}}.{module}" for module in modules),
        heights=heights,
        aliases=aliases,
    )


_ATTENTION = (
    _double(
        "img_attn.qkv",
        *(f"attn.to_{side}" for side in "qkv"),
        aliases=("double_blocks.{n}.processor.qkv_lora1", "blocks.{n}.attn.a_to_qkv"),
    ),
    _double(
        "txt_attn.qkv",
        *(f"attn.add_{side}_proj" for side in "qkv"),
        aliases=("double_blocks.{n}.processor.qkv_lora2", "blocks.{n}.attn.b_to_qkv"),
    ),
    _double(
        "img_attn.proj",
        "attn.to_out.0",
        aliases=("double_blocks.{n}.processor.proj_lora1", "blocks.{n}.attn.a_to_out"),
    ),
    _double(
        "txt_attn.proj",
        "attn.to_add_out",
        aliases=("double_blocks.{n}.processor.proj_lora2", "blocks.{n}.attn.b_to_out"),
    ),
)

_FLUX1 = (
    *_ATTENTION,
    _double("img_mlp.0", "ff.net.0.proj", aliases=("blocks.{n}.ff_a.0",)),
    _double("img_mlp.2", "ff.net.2", aliases=("blocks.{n}.ff_a.2",)),
    _double("txt_mlp.0", "ff_context.net.0.proj", aliases=("blocks.{n}.ff_b.0",)),
    _double("txt_mlp.2", "ff_context.net.2", aliases=("blocks.{n}.ff_b.2",)),
    _double("img_mod.lin", "norm1.linear", aliases=("blocks.{n}.norm1_a.linear",)),
    _double("txt_mod.lin", "norm1_context.linear", aliases=("blocks.{n}.norm1_b.linear",)),
    _single(
        "linear1",
        *(f"attn.to_{side}" for side in "qkv"),
        "proj_mlp",
        heights=(1, 1, 1, 4),
        aliases=("single_blocks.{n}.to_qkv_mlp",),
    ),
    # XLabs adapts queries, keys and values of single blocks, but not the rows of the feed-forward behind them.
    _single(
        "processor.qkv_lora",
        *(f"attn.to_{side}" for side in "qkv"),
        heights=(1, 1, 1),
    ),
    _single("linear2", "proj_out", aliases=("single_blocks.{n}.processor.proj_lora", "single_blocks.{n}.proj_out")),
    _single("modulation.lin", "norm.linear", aliases=("single_blocks.{n}.norm.linear",)),
    Layer(original="img_in", modules=("x_embedder",)),
    Layer(original="txt_in", modules=("context_embedder",)),
    Layer(original="time_in.in_layer", modules=("time_text_embed.timestep_embedder.linear_1",)),
    Layer(original="time_in.out_layer", modules=("time_text_embed.timestep_embedder.linear_2",)),
    Layer(original="vector_in.in_layer", modules=("time_text_embed.text_embedder.linear_1",)),
    Layer(original="vector_in.out_layer", modules=("time_text_embed.text_embedder.linear_2",)),
    Layer(original="guidance_in.in_layer", modules=("time_text_embed.guidance_embedder.linear_1",)),
    Layer(original="guidance_in.out_layer", modules=("time_text_embed.guidance_embedder.linear_2",)),
    Layer(original="final_layer.linear", modules=("proj_out",)),
    Layer(original="final_layer.adaLN_modulation.1", modules=("norm_out.linear",), swapped=True),
)

_FLUX2 = (
    *_ATTENTION,
    _double("img_mlp.0", "ff.linear_in"),
    _double("img_mlp.2", "ff.linear_out"),
    _double("txt_mlp.0", "ff_context.linear_in"),
    _double("txt_mlp.2", "ff_context.linear_out"),
    _single("linear1", "attn.to_qkv_mlp_proj"),
    _single("linear2", "attn.to_out"),
    Layer(original="img_in", modules=("x_embedder",)),
    Layer(original="txt_in", modules=("context_embedder",)),
    Layer(original="time_in.in_layer", modules=("time_guidance_embed.timestep_embedder.linear_1",)),
    Layer(original="time_in.out_layer", modules=("time_guidance_embed.timestep_embedder.linear_2",)),
    Layer(original="guidance_in.in_layer", modules=("time_guidance_embed.guidance_embedder.linear_1",)),
    Layer(original="guidance_in.out_layer", modules=("time_guidance_embed.guidance_embedder.linear_2",)),
    Layer(original="final_layer.linear", modules=("proj_out",)),
    Layer(original="final_layer.adaLN_modulation.1", modules=("norm_out.linear",), swapped=True),
    Layer(original="single_stream_modulation.lin", modules=("single_stream_modulation.linear",)),
    Layer(original="double_stream_modulation_img.lin", modules=("double_stream_modulation_img.linear",)),
    Layer(original="double_stream_modulation_txt.lin", modules=("double_stream_modulation_txt.linear",)),
)


def layers_of(family: str) -> tuple[Layer, ...]:
    """The layers of a family. Raises SkillError for a family whose names are not known."""
    known: Mapping[str, tuple[Layer, ...]] = {"flux1": _FLUX1, "flux2": _FLUX2}
    name = _RELATED.get(family, family)
    if name not in known:
        raise SkillError(f"keys of the family {family!r} are not known; known are {', '.join(FAMILIES)}.")
    return known[name]


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
