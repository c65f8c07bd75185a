"""GLM-Image against diffusers' own pipeline, on the same small random weights and with the same drafts."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, GlmImagePipeline
from torch import Tensor

import triptych as tt
from tiny_glm import CODES, glm_image
from tiny_models import assert_same, picture
from tiny_training import made_page, random_skill, recipe
from triptych.errors import BackboneError, PromptError
from triptych.models.adapters import Skills
from triptych.models.backbone import Conditioning, Drafts, Grid, Targets
from triptych.models.glm_image.backbone import GlmImage
from triptych.models.glm_image.codec import join_latents
from triptych.models.keyformats import KeyFormat, exported
from triptych.models.options import LoadOptions
from triptych.models.reading import read
from triptych.page import Page, condition, slot
from triptych.prompts import Prompt, PromptPart
from triptych.sampling.context import read_batch
from triptych.sampling.solvers import denoise
from triptych.sampling.ways import WAYS
from triptych.sampling.ways.base import slot_noise
from triptych.sampling.working import working_page
from triptych.training.loop import train

SEED = 3
FOX, SNOW = condition(picture(1, 64, 96), "a fox"), condition(picture(2, 64, 96), "'snow'")
PAGES = {
    "no condition": (Page(panels=(slot("the red fox", size_px=(64, 32)),)), "the red fox"),
    "one condition": (Page(panels=(FOX, slot("on the 'beach'", size_px=(96, 64)))), "image 1: a fox\non the 'beach'"),
    "two conditions": (
        Page(panels=(FOX, SNOW, slot('at "dusk"', size_px=(64, 96)))),
        "image 1: a fox\nimage 2: 'snow'\nat \"dusk\"",
    ),
}


def stock(backbone: GlmImage) -> GlmImagePipeline:
    text = backbone.text
    pipeline = GlmImagePipeline(
        tokenizer=text.glyph_tokenizer,
        processor=text.processor,
        text_encoder=text.glyphs,
        vision_language_encoder=text.drafter,
        vae=backbone.codec.vae,
        transformer=backbone.transformer,
        scheduler=backbone._scheduler,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@contextmanager
def as_the_pipeline_takes_them(backbone: GlmImage) -> Iterator[None]:
    """The pipeline of diffusers 0.42.1 puts features together as an earlier transformers gave them: one batch."""
    drafter = backbone.text.drafter
    own = drafter.get_image_features

    def features(*given, **named):
        output = own(*given, **named)
        if given:
            output.pooler_output = [each[None] for each in output.pooler_output]
        return output

    drafter.get_image_features = features
    try:
        yield
    finally:
        del drafter.get_image_features


def theirs(backbone: GlmImage, page: Page, prompt: str, guidance: float, output: str = "latent", steps: int = 4):
    width, height = page.slots[0].size_px
    grid = Grid(frame=0, rows=height // 32, columns=width // 32)
    noise = slot_noise(SEED, 0, grid, backbone.card.channels)[None]
    with as_the_pipeline_takes_them(backbone):
        return stock(backbone)(
            prompt=prompt,
            image=[panel.image for panel in page.conditions] or None,
            width=width,
            height=height,
            latents=join_latents(noise, grid),
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=torch.Generator().manual_seed(SEED),
            output_type=output,
        ).images


@torch.no_grad()
def ours(backbone: GlmImage, page: Page, guidance: float, steps: int = 4) -> Tensor:
    """Latents, as `generate` computes them."""
    working = working_page(page, backbone.card)
    plan = WAYS[Conditioning.REFERENCE].plan(backbone, [working], [SEED])
    context = read_batch(backbone, None, [working], plan, guidance=guidance, two_passes=guidance > 1).context
    *_, last = denoise(
        lambda tokens, t, _: backbone.velocity(tokens, torch.full((1,), t), context, plan.targets),
        plan,
        backbone.schedule(steps, plan.noise.shape[1]),
    )
    return join_latents(last.tokens, plan.targets.grids[0])


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("guidance", [1.0, 1.5])
def test_glm_image_equals_stock_pipeline_from_the_draft_to_the_latents(name, guidance):
    backbone, (page, prompt) = glm_image(), PAGES[name]
    made = ours(backbone, page, guidance)
    assert_same(made, theirs(backbone, page, prompt, guidance))
    if page.conditions:
        alone = replace(page, panels=(replace(FOX, image=picture(7, 64, 96)), *page.panels[1:]))
        assert (ours(backbone, alone, guidance) - made).abs().max() > 1e-2, "the conditions are heard"


def test_glm_image_folder_makes_the_pipelines_picture(tmp_path):
    made, (page, prompt) = glm_image(), PAGES["one condition"]
    text = made.text
    parts = {
        "text_encoder": text.glyphs,
        "tokenizer": text.glyph_tokenizer,
        "vision_language_encoder": text.drafter,
        "vae": made.codec.vae,
        "transformer": made.transformer,
        "scheduler": made._scheduler,
    }
    index: dict[str, object] = {"_class_name": "GlmImagePipeline", "processor": ["transformers", "GlmImageProcessor"]}
    for name, part in parts.items():
        part.save_pretrained(tmp_path / name)
        library = "diffusers" if name in ("vae", "transformer", "scheduler") else "transformers"
        index[name] = [library, type(part).__name__]
    for part in (text.tokenizer, text.image_processor):
        part.save_pretrained(tmp_path / "processor")
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    backbone = tt.load(tmp_path, LoadOptions(device="cpu", dtype=torch.float32))
    assert (backbone.card.family, backbone.card.factor, backbone.card.guidance) == ("glm-image", 32, 1.5)
    (picture_,) = tt.generate(backbone, page, steps=4, seed=SEED).images
    (expected,) = theirs(made, page, prompt, 1.5, output="pil")
    assert picture_.size == expected.size == (96, 64)
    assert np.abs(np.asarray(picture_, int) - np.asarray(expected, int)).max() <= 1, "rounding to eight bits"


def test_glm_image_draft_is_of_its_seed_alone_and_leaves_torchs_generator():
    backbone, prompt = glm_image(), Prompt(text="a fox", parts=())
    assert isinstance(backbone, Drafts)
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first, again, other = (
        backbone.draft([prompt], [[picture(1, 64, 64)]], (Grid(frame=0, rows=2, columns=3),), [seed])
        for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.get_rng_state())
    assert first.shape == (1, 4 * 6)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    square = first.view(2, 2, 3, 2)
    assert torch.equal(square[:, :1].expand_as(square), square), "each token covers four of the transformer's"


def test_glm_image_reads_conditions_once_for_all_requests():
    backbone, (page, _) = glm_image(), PAGES["one condition"]
    first, second = (tt.generate(backbone, page, steps=1, seed=seed) for seed in (1, 2))
    assert (first.cached_tokens, second.cached_tokens) == (0, first.read_tokens) == (0, 4 * 6)
    alone = tt.generate(glm_image(), page, steps=1, seed=2)
    assert second.images[0].tobytes() == alone.images[0].tobytes() != first.images[0].tobytes()


@pytest.mark.parametrize("text", ["a fox", "a 'fox'", "the \"red\" 'fox'", "'a' “b” \"c\" 「d」", "''"])
def test_glm_image_letters_equal_those_of_the_pipeline(text):
    backbone = glm_image()
    expected = stock(backbone)._get_glyph_embeds(text)
    torch.testing.assert_close(backbone.text.spell(Prompt(text=text, parts=())), expected[0])


def test_glm_image_letters_that_do_not_fit_are_refused():
    with pytest.raises(PromptError, match="81 tokens of letters and ByT5 reads 64"):
        glm_image().text.spell(Prompt(text=f"'{'a' * 80}'", parts=()))


def test_glm_image_mark_of_a_picture_in_the_prompt_is_refused():
    part = PromptPart(panel=None, text="a fox <|image|> in snow")
    with pytest.raises(PromptError, match=r"the prompt says '<\|image\|>' in the overview .* GLM-Image stands"):
        glm_image().text.draft(Prompt(text=part.text, parts=(part,)), [], 64, 64, 1)


@torch.no_grad()
def test_glm_image_pages_with_letters_of_different_lengths_in_a_batch_equal_each_alone():
    backbone = glm_image()
    grid = Grid(frame=0, rows=1, columns=2)
    prompts = [Prompt(text=text, parts=()) for text in ("'a long sign'", "'b'")]
    generator = torch.Generator().manual_seed(1)
    tokens, draft = torch.randn(2, 2, 64, generator=generator), torch.randint(CODES, (2, 8), generator=generator)
    t, targets = torch.tensor([0.9, 0.4]), Targets(grids=(grid,))
    text = backbone.encode_prompts(prompts, [0])
    assert text.mask is not None
    together = backbone.velocity(tokens, t, replace(read(backbone, text), draft=draft), targets)
    for row, prompt in enumerate(prompts):
        context = replace(read(backbone, backbone.encode_prompts([prompt], [0])), draft=draft[row, None])
        alone = backbone.velocity(tokens[row, None], t[row, None], context, targets)
        torch.testing.assert_close(together[row], alone[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["linear", "exponential", None])
@pytest.mark.parametrize("tokens", [6, 1024])
def test_glm_image_is_told_the_even_level_behind_the_shifted_one(kind, tokens):
    backbone = glm_image()
    if kind is None:
        backbone._scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    else:
        backbone._scheduler.register_to_config(time_shift_type=kind)
    levels = torch.tensor(backbone.schedule(5, tokens)[:-1])
    expected = np.linspace(1000, 1, 6)[:-1].astype(np.int64) - 1
    torch.testing.assert_close(backbone._times(levels, tokens), torch.tensor(expected).float(), atol=2e-3, rtol=0)


def test_glm_image_slots_of_different_heights_are_refused():
    page = Page(panels=(slot("a fox", size_px=(32, 32)), slot("snow", size_px=(32, 64))))
    with pytest.raises(BackboneError, match=r"they are \[32, 64\] px high"):
        tt.generate(glm_image(), page, steps=1)


def test_glm_image_several_slots_are_one_wide_picture():
    page = Page(panels=(FOX, slot("a fox", size_px=(32, 64)), slot("snow", size_px=(64, 64))))
    result = tt.generate(glm_image(), page, steps=2)
    assert [image.size for image in result.images] == [(32, 64), (64, 64)]


@torch.no_grad()
def test_glm_image_skill_loaded_by_diffusers_gives_the_same_latents():
    backbone, (page, _) = glm_image(family="glm-image"), PAGES["one condition"]
    skill = random_skill(backbone)
    bare = ours(backbone, page, 1.5, steps=2)
    with Skills(skill).applied(backbone):
        backbone.shared.forget()
        adapted = ours(backbone, page, 1.5, steps=2)
    backbone.shared.forget()
    backbone.transformer.load_lora_adapter(exported(skill, KeyFormat.DIFFUSERS), prefix="transformer")
    assert_same(adapted, ours(backbone, page, 1.5, steps=2))
    assert (adapted - bare).abs().max() > 1e-2


def test_glm_image_learns_a_skill_from_drafts_of_the_answers(tmp_path):
    backbone = glm_image(family="glm-image")
    plan = recipe(steps=2, batch=2, draws=2, sides_px=(64,), optimizer={"learning_rate": 1e-3})
    skill = train([made_page(1), made_page(2)], tmp_path / "skill.safetensors", plan, backbone)
    # B begins at zero: where it went is what was learned.
    moved = {name: value.abs().max() for name, value in skill.tensors.items() if "lora_B" in name}
    learned = [value for name, value in moved.items() if "transformer_blocks" in name]
    assert max(learned) > 1e-4


@torch.no_grad()
def test_glm_image_drafted_is_what_the_language_model_sees_side_by_side():
    backbone, images = glm_image(), [picture(1, 64, 32), picture(2, 32, 32)]
    grids = (Grid(frame=0, rows=1, columns=2), Grid(frame=1, rows=1, columns=1))
    drafted = backbone.drafted(images, grids).view(2, 6)
    for image, part in zip(images, drafted.split([4, 2], dim=1), strict=True):
        assert torch.equal(part.flatten(), backbone.text.look([image]))
