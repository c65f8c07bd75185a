"""Checkpoints as files: a small klein as diffusers writes it, and its transformer under its authors' names."""

from pathlib import Path

import pytest
import torch
from diffusers import Flux2KleinPipeline

from tiny_models import dynamic_scheduler, flux2_transformer, flux2_vae, qwen3, tokenizer


def write_klein(folder: Path, kind: type = Flux2KleinPipeline, **more: object) -> Path:
    # The layers that klein's text is taken from (9, 18, 27) must exist.
    pipeline = kind(
        scheduler=dynamic_scheduler(),
        vae=flux2_vae(),
        text_encoder=qwen3(layers=28),
        tokenizer=tokenizer(),
        transformer=flux2_transformer(),
        **more,
    )
    pipeline.save_pretrained(folder)
    return folder


def original_names(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A FLUX.2 transformer under the names of its authors' code."""
    named: dict[str, torch.Tensor] = {}
    swaps = {
        "x_embedder": "img_in",
        "context_embedder": "txt_in",
        "time_guidance_embed.timestep_embedder.linear_1": "time_in.in_layer",
        "time_guidance_embed.timestep_embedder.linear_2": "time_in.out_layer",
        "double_stream_modulation_img.linear": "double_stream_modulation_img.lin",
        "double_stream_modulation_txt.linear": "double_stream_modulation_txt.lin",
        "single_stream_modulation.linear": "single_stream_modulation.lin",
        "proj_out": "final_layer.linear",
        "norm_out.linear": "final_layer.adaLN_modulation.1",
        "attn.to_out.0": "img_attn.proj",
        "attn.to_add_out": "txt_attn.proj",
        "ff.linear_in": "img_mlp.0",
        "ff.linear_out": "img_mlp.2",
        "ff_context.linear_in": "txt_mlp.0",
        "ff_context.linear_out": "txt_mlp.2",
        "attn.to_qkv_mlp_proj": "linear1",
        "attn.to_out": "linear2",
    }
    norms = {"norm_q": "query_norm", "norm_k": "key_norm"}
    for name, tensor in weights.items():
        stem = name.removesuffix(".weight")
        block, inner = "", stem
        for ours, theirs in (
            ("single_transformer_blocks.", "single_blocks."),
            ("transformer_blocks.", "double_blocks."),
        ):
            if stem.startswith(ours):
                number, _, inner = stem.removeprefix(ours).partition(".")
                block = f"{theirs}{number}."
        if inner == "norm_out.linear":
            named["final_layer.adaLN_modulation.1.weight"] = torch.cat(tensor.chunk(2)[::-1])
        elif inner in swaps:
            named[f"{block}{swaps[inner]}.weight"] = tensor.clone()
        elif inner.startswith("attn.norm_"):
            side = "" if block.startswith("single") else ("txt_attn." if "added" in inner else "img_attn.")
            named[f"{block}{side}norm.{norms[inner[5:].replace('added_', '')]}.scale"] = tensor.clone()
        elif inner.endswith(("to_q", "add_q_proj")):
            text = "add" in inner
            sides = [stem.replace("q_proj", f"{x}_proj") if text else stem[:-1] + x for x in "qkv"]
            named[f"{block}{'txt' if text else 'img'}_attn.qkv.weight"] = torch.cat(
                [weights[side + ".weight"] for side in sides]
            )
    return named


def write_gguf(file: Path, weights: dict[str, torch.Tensor]) -> None:
    """As ComfyUI's users have them: the authors' names, matrices in eight bits, the rest as it is."""
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter(file, "flux")
    for name, tensor in weights.items():
        values = tensor.numpy()
        if tensor.ndim == 2 and tensor.shape[1] % 32 == 0 and "blocks" in name:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
