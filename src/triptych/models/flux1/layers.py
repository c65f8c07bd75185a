"""Names of FLUX.1's layers in its authors' code."""

from triptych.models.family import Layer
from triptych.models.flux1.blocks import ATTENTION, double, single

__all__ = ["LAYERS"]

LAYERS = (
    *ATTENTION,
    double("img_mlp.0", "ff.net.0.proj", aliases=("blocks.{n}.ff_a.0",)),
    double("img_mlp.2", "ff.net.2", aliases=("blocks.{n}.ff_a.2",)),
    double("txt_mlp.0", "ff_context.net.0.proj", aliases=("blocks.{n}.ff_b.0",)),
    double("txt_mlp.2", "ff_context.net.2", aliases=("blocks.{n}.ff_b.2",)),
    double("img_mod.lin", "norm1.linear", aliases=("blocks.{n}.norm1_a.linear",)),
    double("txt_mod.lin", "norm1_context.linear", aliases=("blocks.{n}.norm1_b.linear",)),
    single(
        "linear1",
        *(f"attn.to_{side}" for side in "qkv"),
        "proj_mlp",
        heights=(1, 1, 1, 4),
        aliases=("single_blocks.{n}.to_qkv_mlp",),
    ),
    # XLabs adapts queries, keys and values of single blocks, but not the rows of the feed-forward behind them.
    single(
        "processor.qkv_lora",
        *(f"attn.to_{side}" for side in "qkv"),
        heights=(1, 1, 1),
    ),
    single("linear2", "proj_out", aliases=("single_blocks.{n}.processor.proj_lora", "single_blocks.{n}.proj_out")),
    single("modulation.lin", "norm.linear", aliases=("single_blocks.{n}.norm.linear",)),
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
