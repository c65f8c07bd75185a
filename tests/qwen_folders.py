"""Folders of Qwen-Image's families as their pipelines write them, but that the index names the whole processor.

That has a part for videos, which needs torchvision. The pipelines are given what is left without it.
"""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import QwenImageLayeredPipeline

from tiny_pipelines import stock, with_token_types
from tiny_qwen import Processor, Processor21
from triptych.models.latent import LatentBackbone


def write_qwen(folder: Path, made: LatentBackbone, pipeline: type, processor: str) -> None:
    stock(made, pipeline).save_pretrained(folder)
    index = json.loads((folder / "model_index.json").read_text())
    assert index["processor"][1] in ("Processor", "Processor21")
    (folder / "model_index.json").write_text(json.dumps(index | {"processor": ["transformers", processor]}))


def write_layered(folder: Path, made: LatentBackbone) -> None:
    write_qwen(folder, made, QwenImageLayeredPipeline, "Qwen2VLProcessor")


def read_edit(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    pipeline = kind.from_pretrained(
        folder, torch_dtype=dtype, processor=Processor.from_pretrained(folder / "processor")
    )
    with_token_types(pipeline.text_encoder)
    return pipeline


def read_21(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    return kind.from_pretrained(folder, torch_dtype=dtype, processor=Processor21.from_pretrained(folder / "processor"))
