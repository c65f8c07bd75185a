"""Names of FLUX.2's layers in its authors' code."""

from triptych.models.family import Layer
from triptych.models.flux1.blocks import ATTENTION, double, single

__all__ = ["LAYERS"]

LAYERS = (
    *ATTENTION,
    double("img_mlp.0", "ff.linear_in"),
    double("img_mlp.2", "ff.linear_out"),
    double("txt_mlp.0", "ff_context.linear_in"),
    double("txt_mlp.2", "ff_context.linear_out"),
    single("linear1", "attn.to_qkv_mlp_proj"),
    single("linear2", "attn.to_out"),
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
