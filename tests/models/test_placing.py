"""Options that a family has not, and step caches: nothing left out is the same picture, every page starts anew."""

import importlib.util
import json
from dataclasses import replace

import pytest
import torch

from tiny_models import filled, flux1, klein, picture, sd3
from tiny_qwen import qwen_edit
from triptych.errors import BackboneError
from triptych.models.backbone import Backbone, Conditioning
from triptych.models.flux1.backbone import Flux1
from triptych.models.flux1.kontext import Kontext
from triptych.models.loading import load
from triptych.models.options import LoadOptions, Quantise, References, StepCache
from triptych.models.placing import enable_step_cache
from triptych.page import Page, condition, slot

PAGES = (
    Page(panels=(condition(picture(1), "a fox"), slot("on the beach", size_px=(64, 64)))),
    Page(panels=(condition(picture(2), "snow"), slot("at dusk", size_px=(64, 32)))),
)


def cached(backbone: Backbone, family: str, cache: StepCache, threshold: float = 0.05) -> Backbone:
    backbone.card = replace(backbone.card, family=family)
    enable_step_cache(backbone, LoadOptions(step_cache=cache, step_cache_threshold=threshold))
    return backbone


MAKERS = {
    "kontext": lambda: flux1(Kontext, Conditioning.REFERENCE),
    "qwen": lambda: qwen_edit(guidance=4.0, negative=" "),
}


@pytest.mark.parametrize("family", MAKERS)
def test_first_block_cache_at_a_tiny_threshold_changes_nothing_page_after_page(family):
    exact, backbone = MAKERS[family](), cached(MAKERS[family](), family, StepCache.FIRST_BLOCK, 1e-9)
    for page in PAGES:
        ours, expected = (filled(each, page, Conditioning.REFERENCE, guidance=3.0)[0] for each in (backbone, exact))
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(
    ("family", "cache"),
    [
        ("kontext", StepCache.FIRST_BLOCK),
        ("kontext", StepCache.TAYLORSEER),
        ("kontext", StepCache.MAGCACHE),
        ("qwen", StepCache.FIRST_BLOCK),
    ],
)
def test_step_cache_that_leaves_steps_out_changes_the_picture(family, cache):
    settings = {"guidance": 3.0, "steps": 8}
    exact, backbone = MAKERS[family](), cached(MAKERS[family](), family, cache, 0.999)
    ours, expected = (filled(each, PAGES[0], Conditioning.REFERENCE, **settings)[0] for each in (backbone, exact))
    assert not torch.allclose(ours, expected, atol=1e-4)
    again = filled(backbone, PAGES[0], Conditioning.REFERENCE, **settings)[0]
    torch.testing.assert_close(ours, again)


@pytest.mark.parametrize(
    ("backbone", "family", "cache"),
    [
        (klein, "flux2", StepCache.FIRST_BLOCK),
        (klein, "flux2-kv", StepCache.TAYLORSEER),
        (klein, "flux2", StepCache.MAGCACHE),
        (sd3, "sd3", StepCache.FIRST_BLOCK),
    ],
)
def test_step_cache_that_cannot_work_is_refused_by_family(backbone, family, cache):
    with pytest.raises(BackboneError, match=f"is of family {family}"):
        cached(backbone(), family, cache)


def test_step_cache_none_leaves_the_transformer_alone():
    backbone = flux1(Flux1)
    enable_step_cache(backbone, LoadOptions())
    assert not backbone.transformer.is_cache_enabled


@pytest.mark.parametrize(
    ("pipeline", "options", "said"),
    [
        (
            "FluxKontextPipeline",
            {"references": References.ALONE},
            r"'alone' is a choice of flux2, flux2-kv; .* kontext",
        ),
        ("QwenImageEditPlusPipeline", {"references": References.JOINT}, r"'joint' is a choice of flux2.* family qwen "),
        ("StableDiffusion3Pipeline", {"step_cache": StepCache.TAYLORSEER}, r"'taylorseer' works with .* family sd3"),
        ("Flux2KleinKVPipeline", {"step_cache": StepCache.TAYLORSEER}, r"is of family flux2-kv"),
        (
            "Flux2KleinPipeline",
            {"step_cache": StepCache.TAYLORSEER, "references": References.ALONE},
            r"keeps its conditions .* Leave step_cache out, or references",
        ),
        ("Flux2KleinPipeline", {"quantise": Quantise.INT8}, r"int8 need the package torchao: pip install torchao"),
    ],
)
def test_options_of_other_families_are_refused_before_anything_is_read(pipeline, options, said, tmp_path, monkeypatch):
    if "quantise" in options:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))  # and no weights at all
    with pytest.raises(BackboneError, match=said):
        load(tmp_path, LoadOptions(device="cpu", dtype=torch.float32, **options))
