"""Names of FLUX 3's layers in its authors' code."""

from triptych.models.family import Layer

__all__ = ["LAYERS"]

_INNER = {
    **{f"{side}_proj": f"attn.to_{side}" for side in "qkv"},
    "attn_out": "attn.to_out.0",
    "mlp_in": "ff.linear_in",
    "mlp_out": "ff.linear_out",
}
_BLOCKS = {
    "content_mode_blocks.image": "mode_blocks.image",
    "content_mode_blocks.image_cond": "mode_blocks.image_cond",
    "txt_mode_blocks": "txt_mode_blocks",
    "single_blocks": "single_transformer_blocks",
}
_MODES = ("image", "image_cond")
_OUTER = {
    **{f"emb_in.{mode}": f"x_embedders.{mode}" for mode in _MODES},
    "txt_in": "context_embedder",
    "time_in.in_layer": "timestep_embedder.linear_1",
    "time_in.out_layer": "timestep_embedder.linear_2",
    "ref_time_in.in_layer": "target_timestep_embedder.linear_1",
    "ref_time_in.out_layer": "target_timestep_embedder.linear_2",
    "final_layer.image.linear": "proj_out",
    **{
        f"{stream}_stream_modulations.{mode}.lin": f"{stream}_stream_modulations.{mode}.linear"
        for stream in ("early", "single")
        for mode in (*_MODES, "txt")
    },
}

LAYERS = (
    *(
        Layer(original=f"{blocks}.{{n}}.{inner}", modules=(f"{ours}.{{n}}.{layer}",))
        for blocks, ours in _BLOCKS.items()
        for inner, layer in _INNER.items()
    ),
    *(Layer(original=original, modules=(ours,)) for original, ours in _OUTER.items()),
    Layer(original="final_layer.image.adaLN_modulation.1", modules=("norm_out.linear",), swapped=True),
)
