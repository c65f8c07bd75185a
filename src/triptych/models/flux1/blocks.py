"""How layers of double and single blocks are called in the code of Black Forest Labs, and in diffusers."""

from triptych.models.family import Layer

__all__ = ["ATTENTION", "double", "single"]


def double(original: str, *modules: str, aliases: tuple[str, ...] = ()) -> Layer:
    """A layer of every double block."""
    return Layer(
        original=f"double_blocks.{{n}}.{original}",
        modules=tuple(f"transformer_blocks.{{n}}.{module}" for module in modules),
        heights=(1,) * len(modules),
        aliases=aliases,
    )


def single(original: str, *modules: str, heights: tuple[int, ...] = (1,), aliases: tuple[str, ...] = ()) -> Layer:
    """A layer of every single block."""
    return Layer(
        original=f"single_blocks.{{n}}.{original}",
        modules=tuple(f"single_transformer_blocks.{{n}}.{module}" for module in modules),
        heights=heights,
        aliases=aliases,
    )


ATTENTION = (
    double(
        "img_attn.qkv",
        *(f"attn.to_{side}" for side in "qkv"),
        aliases=("double_blocks.{n}.processor.qkv_lora1", "blocks.{n}.attn.a_to_qkv"),
    ),
    double(
        "txt_attn.qkv",
        *(f"attn.add_{side}_proj" for side in "qkv"),
        aliases=("double_blocks.{n}.processor.qkv_lora2", "blocks.{n}.attn.b_to_qkv"),
    ),
    double(
        "img_attn.proj",
        "attn.to_out.0",
        aliases=("double_blocks.{n}.processor.proj_lora1", "blocks.{n}.attn.a_to_out"),
    ),
    double(
        "txt_attn.proj",
        "attn.to_add_out",
        aliases=("double_blocks.{n}.processor.proj_lora2", "blocks.{n}.attn.b_to_out"),
    ),
)
