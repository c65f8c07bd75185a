"""Prompts as ids of the real vocabularies: ours, loaded from a folder, beside diffusers' pipeline of the same folder.

`TRIPTYCH_VOCABULARIES` names a folder with the vocabularies: tests/vocabularies.py says how it is made. The weights are
small and random; what is compared is what the text encoder is called with, before it computes.
"""

import json
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, partial
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from diffusers import (
    Flux2KleinPipeline,
    Flux2Pipeline,
    FluxPipeline,
    QwenImage21Pipeline,
    QwenImageEditPlusPipeline,
    StableDiffusion3Pipeline,
)
from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus import CONDITION_IMAGE_SIZE, calculate_dimensions
from torch import nn
from transformers import PreTrainedTokenizerBase

from oracle_folders import from_folder, write_flux1, write_sd3
from qwen_folders import read_21, read_edit, write_qwen
from tiny_models import dev, dynamic_scheduler, flux1, flux2_transformer, flux2_vae, mistral, picture, qwen3, sd3
from tiny_models import tokenizer as words_alone
from tiny_qwen import qwen21, qwen_edit
from triptych.errors import PromptError
from triptych.models.flux1.backbone import Flux1
from triptych.models.loading import load
from triptych.models.options import LoadOptions
from triptych.models.qwen.backbone import _TEMPLATE, _TEMPLATE_TOKENS
from triptych.page import Page, condition, slot
from triptych.prompts import Prompt, PromptPart, write_prompt
from vocabularies import FOLDER, clip_tokenizer, mistral_tokenizer, qwen_tokenizer, t5_tokenizer

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="TRIPTYCH_VOCABULARIES names no folder with vocabularies")

PAGE = Page(
    panels=(condition(picture(1), "a red fox, 3/4 view"), slot("the same fox at dusk", size_px=(64, 64)), slot("snow")),
    overview="Three panels of one film: [1] the fox, [2] the fox at dusk, [3] nothing but snow.",
)
TEXTS = yaml.safe_load((Path(__file__).parents[1] / "data" / "prompts.yaml").read_text(encoding="utf-8"))
TEXTS |= {"a page": write_prompt(PAGE).text, "long": "the red fox on the beach at dusk, " * 20}


class Called(Exception):  # noqa: N818 (nothing is wrong)
    """The text encoder would compute now."""

    def __init__(self, inputs: dict[str, Any]) -> None:
        self.inputs = inputs


def called_with(encoder: nn.Module, call: Callable[[], object]) -> dict[str, list[list[int]]]:
    """The ids that `call` gives to the encoder, and which of them count."""

    def stop(_: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
        raise Called(named | ({"input_ids": positional[0]} if positional else {}))

    handle = encoder.register_forward_pre_hook(stop, with_kwargs=True)
    try:
        call()
    except Called as reached:
        names = ("input_ids", "attention_mask")
        return {name: reached.inputs[name].tolist() for name in names if reached.inputs.get(name) is not None}
    finally:
        handle.remove()
    raise AssertionError("the text encoder was not called")


def write_klein(folder: Path) -> None:
    Flux2KleinPipeline(
        scheduler=dynamic_scheduler(),
        vae=flux2_vae(),
        text_encoder=qwen3(layers=28),
        tokenizer=words_alone(),
        transformer=flux2_transformer(),
        is_distilled=True,
    ).save_pretrained(folder)
    replaced(folder, "tokenizer", qwen_tokenizer)


def write_dev(folder: Path) -> None:
    Flux2Pipeline(
        scheduler=dynamic_scheduler(),
        vae=flux2_vae(),
        transformer=dev().transformer,
        text_encoder=mistral(layers=31),
        tokenizer=mistral_tokenizer(),
    ).save_pretrained(folder)


def write_edit(folder: Path) -> None:
    write_qwen(folder, qwen_edit(), QwenImageEditPlusPipeline, "Qwen2VLProcessor")
    replaced(folder, "tokenizer", qwen_tokenizer)
    qwen_tokenizer(without_tokenizer(folder / "processor"))


def write_21(folder: Path) -> None:
    write_qwen(folder, qwen21(), QwenImage21Pipeline, "Qwen3VLProcessor")
    qwen_tokenizer(without_tokenizer(folder / "processor"))


def write_clip(folder: Path) -> None:
    write_flux1(folder, flux1(Flux1), FluxPipeline, words=words_alone(), long_words=long_words())
    replaced(folder, "tokenizer", clip_tokenizer)


def write_t5(folder: Path) -> None:
    write_flux1(folder, flux1(Flux1), FluxPipeline, words=words_alone(), long_words=long_words())
    replaced(folder, "tokenizer_2", t5_tokenizer)


def write_t5_of_sd3(folder: Path) -> None:
    write_sd3(folder, sd3(), words=words_alone(), long_words=long_words())
    replaced(folder, "tokenizer_3", t5_tokenizer)


def write_both_clips(folder: Path) -> None:
    made = sd3()
    # It computes before the second one is called.
    made.text.clips[0].resize_token_embeddings(49408)
    write_sd3(folder, made, words=words_alone(), long_words=long_words())
    replaced(folder, "tokenizer", clip_tokenizer)
    replaced(folder, "tokenizer_2", partial(clip_tokenizer, pad="!"))


def replaced(folder: Path, part: str, make: Callable[[Path], PreTrainedTokenizerBase]) -> None:
    """Another tokenizer in the place of one that the pipeline wrote, in the index too."""
    kind = type(make(without_tokenizer(folder / part))).__name__
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {part: ["transformers", kind]}))


def without_tokenizer(folder: Path) -> Path:
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).unlink(missing_ok=True)
    return folder


def long_words() -> PreTrainedTokenizerBase:
    """In T5's place in the folders of CLIP's vocabulary."""
    made = deepcopy(words_alone())
    made.model_max_length = 4096
    return made


@dataclass(frozen=True, kw_only=True)
class Reader:
    write: Callable[[Path], None]
    pipeline: type
    ours: Callable[[Any], nn.Module]
    """The text encoder in the backbone's text."""
    part: str = "text_encoder"
    read: Callable[[Any, Path, torch.dtype], Any] = from_folder
    sees: bool = False


READERS = {
    "klein": Reader(write=write_klein, pipeline=Flux2KleinPipeline, ours=lambda text: text.encoder),
    "flux2-dev": Reader(write=write_dev, pipeline=Flux2Pipeline, ours=lambda text: text.encoder),
    "edit-2509": Reader(
        write=write_edit,
        pipeline=QwenImageEditPlusPipeline,
        ours=lambda text: text.encoder,
        read=read_edit,
        sees=True,
    ),
    "2.1": Reader(
        write=write_21, pipeline=QwenImage21Pipeline, ours=lambda text: text.encoder, read=read_21, sees=True
    ),
    "flux1": Reader(write=write_clip, pipeline=FluxPipeline, ours=lambda text: text.clip),
    "sd3": Reader(write=write_both_clips, pipeline=StableDiffusion3Pipeline, ours=lambda text: text.clips[0]),
    "sd3-2": Reader(
        write=write_both_clips,
        pipeline=StableDiffusion3Pipeline,
        ours=lambda text: text.clips[1],
        part="text_encoder_2",
    ),
    "flux1-t5": Reader(write=write_t5, pipeline=FluxPipeline, ours=lambda text: text.t5, part="text_encoder_2"),
    "sd3-t5": Reader(
        write=write_t5_of_sd3, pipeline=StableDiffusion3Pipeline, ours=lambda text: text.t5, part="text_encoder_3"
    ),
}


@dataclass(frozen=True, kw_only=True)
class Loaded:
    reader: Reader
    backbone: Any
    pipeline: Any

    def ours(self, text: str) -> dict[str, list[list[int]]]:
        prompt = Prompt(text=text, parts=(PromptPart(panel=None, text=text),) if text else ())
        encoder = self.reader.ours(self.backbone.text)
        if self.reader.sees:
            seen = [[picture(1), picture(2, 96, 64)]]
            return called_with(encoder, lambda: self.backbone.encode_prompts_with_images([prompt], [0], seen))
        return called_with(encoder, lambda: self.backbone.encode_prompts([prompt], [0]))

    def theirs(self, text: str) -> dict[str, list[list[int]]]:
        images = [picture(1), picture(2, 96, 64)]
        if isinstance(self.pipeline, QwenImageEditPlusPipeline):
            # Which it does before it calls `encode_prompt`.
            sizes = [calculate_dimensions(CONDITION_IMAGE_SIZE, image.width / image.height) for image in images]
            images = [image.resize(size) for image, size in zip(images, sizes, strict=True)]
        seen: dict[str, Any] = {"image": images} if self.reader.sees else {}
        if "prompt_3" in signature(self.pipeline.encode_prompt).parameters:
            seen = {"prompt_2": None, "prompt_3": None}
        elif "prompt_2" in signature(self.pipeline.encode_prompt).parameters:
            seen = {"prompt_2": None}
        encoder = getattr(self.pipeline, self.reader.part)
        return called_with(encoder, lambda: self.pipeline.encode_prompt(prompt=text, **seen))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Loaded]:
    @cache
    def both(name: str) -> Loaded:
        reader, folder = READERS[name], tmp_path_factory.mktemp(name)
        reader.write(folder)
        backbone = load(folder, LoadOptions(device="cpu", dtype=torch.float32))
        pipeline = reader.read(reader.pipeline, folder, torch.float32)
        return Loaded(reader=reader, backbone=backbone, pipeline=pipeline)

    return both


@pytest.mark.parametrize("name", READERS)
def test_prompts_become_the_ids_of_the_pipeline(name: str, loaded: Callable[[str], Loaded]) -> None:
    both = loaded(name)
    found = {title: both.ours(text) for title, text in TEXTS.items()}
    for title, text in TEXTS.items():
        assert found[title] == both.theirs(text), title
    assert len({str(each["input_ids"]) for each in found.values()}) == len(TEXTS)


@pytest.mark.parametrize("name", ["klein", "flux2-dev"])
def test_longest_prompt_is_read_whole_and_one_more_token_is_refused(name: str, loaded: Callable[[str], Loaded]) -> None:
    both = loaded(name)
    used = sum(both.ours("fox")["attention_mask"][0]) - 1
    longest = "fox" + " fox" * (512 - used - 1)
    ids = both.ours(longest)
    assert sum(ids["attention_mask"][0]) == 512
    assert ids == both.theirs(longest)
    with pytest.raises(PromptError, match=r"has 513 tokens and .* reads 512: the overview"):
        both.ours(longest + " fox")


@pytest.mark.parametrize(("name", "limit"), [("flux1-t5", 512), ("sd3-t5", 256)])
def test_longest_prompt_of_t5_fills_its_window_and_one_more_token_is_refused(
    name: str, limit: int, loaded: Callable[[str], Loaded]
) -> None:
    both = loaded(name)
    # The end is a token too.
    longest = "cat" + " cat" * (limit - 2)
    (ids,) = both.ours(longest)["input_ids"]
    assert [ids] == both.theirs(longest)["input_ids"]
    assert (len(ids), ids[-1], 0 in ids) == (limit, 1, False)
    with pytest.raises(PromptError, match=rf"has {limit + 1} tokens and T5 reads {limit}: the overview"):
        both.ours(longest + " cat")


@pytest.mark.parametrize("name", ["edit-2509", "2.1"])
def test_marks_of_pictures_in_a_prompt_are_refused_by_name(name: str, loaded: Callable[[str], Loaded]) -> None:
    for mark in ("<|image_pad|>", "<|video_pad|>"):
        with pytest.raises(PromptError, match=re.escape(f"the prompt says {mark!r} in the overview")):
            loaded(name).ours(f"a fox {mark} in snow")
        with pytest.raises(ValueError, match="token"):
            loaded(name).theirs(f"a fox {mark} in snow")


def test_numbers_of_words_are_those_that_are_known(tmp_path: Path) -> None:
    """Of the vocabularies as this file builds them: what all of the above stands on."""
    clip, qwen = clip_tokenizer(tmp_path / "clip"), qwen_tokenizer(tmp_path / "qwen")
    assert clip("a photo of a cat")["input_ids"] == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert qwen("Hello world<|im_end|>")["input_ids"] == [9707, 1879, 151645]
    assert qwen.convert_tokens_to_ids("<|image_pad|>") == 151655
    assert len(qwen(_TEMPLATE.split("{}")[0])["input_ids"]) == _TEMPLATE_TOKENS
    assert t5_tokenizer(tmp_path / "t5")("a photo of a cat")["input_ids"] == [3, 9, 1202, 13, 3, 9, 1712, 1]
    assert mistral_tokenizer().convert_tokens_to_ids(["<s>", "[INST]", "[SYSTEM_PROMPT]"]) == [1, 3, 17]
