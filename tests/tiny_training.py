"""A pocket small enough to train in a blink, and pages for it."""

import colorsys
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from triptych.models.adapters import linear_names
from triptych.models.backbone import Backbone
from triptych.models.pocket import PocketBackbone, PocketConfig, PocketNetwork
from triptych.models.pocket.text import train_tokenizer
from triptych.page import Page, condition, slot
from triptych.prompts import find_template
from triptych.skill import Skill, SkillCard
from triptych.training.loop import train
from triptych.training.recipe import Recipe


def tiny_pocket(dtype: torch.dtype = torch.float32, *, sample_from: float | None = None) -> PocketBackbone:
    torch.manual_seed(0)
    config = PocketConfig(
        channels=8,
        width=32,
        double_blocks=1,
        single_blocks=2,
        head_width=16,
        text_width=16,
        vocabulary=300,
        sample_from=sample_from,
    )
    network = PocketNetwork(config)
    torch.nn.init.normal_(network.transformer.proj_out.weight, std=0.1)
    tokenizer = train_tokenizer(["a red disc on white", "make it blue", "the other way round"], size=300)
    return PocketBackbone(network.to(dtype).eval().requires_grad_(False), tokenizer)


def disc(hue: float, place: int, *, background: str = "white") -> Image.Image:
    picture = Image.new("RGB", (128, 128), background)
    colour = tuple(int(255 * part) for part in colorsys.hsv_to_rgb(hue, 1, 0.9))
    ImageDraw.Draw(picture).ellipse((place, place, place + 50, place + 50), fill=colour)
    return picture


def made_page(number: int, *, instruction: str = "make it blue") -> Page:
    return Page(
        panels=(
            condition(disc(number / 17, 5 * number % 70)),
            slot(instruction, answer=disc(number / 17, 5 * number % 70, background="blue")),
        ),
        page_id=f"p{number}",
    )


def train_tiny(out: str, *, resume: bool = False, **changes: object) -> None:
    """A whole run on four pages, for tests that train in processes of their own."""
    torch.set_num_threads(1)
    pages = [made_page(number) for number in range(4)]
    train(pages, Path(out), recipe(**changes), tiny_pocket(), resume=resume)


def recipe(**changes: object) -> Recipe:
    facts: dict = {
        "steps": 4,
        "batch": 2,
        "draws": 2,
        "ema": 0.9,
        "loss": "data",
        "precision": "fp32",
        "adapter": {"rank": 2, "alpha": 2},
        "optimizer": {"learning_rate": 1e-2},
        "watch": {"save_every": 1, "samples": 0},
    }
    return Recipe.model_validate(facts | changes)


def random_skill(
    backbone: Backbone, *, seed: int = 1, name: str = "made", frozen: bool = False, patterns: tuple[str, ...] = ("*",)
) -> Skill:
    """An adapter that is heard: B is not zero."""
    transformer = backbone.transformer
    names = linear_names(transformer, patterns)
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for module in names:
        layer = transformer.get_submodule(module)
        tensors[f"transformer.{module}.lora_A.weight"] = torch.randn(2, layer.in_features, generator=generator) * 0.2
        tensors[f"transformer.{module}.lora_B.weight"] = torch.randn(layer.out_features, 2, generator=generator) * 0.2
    card = SkillCard(
        name=name,
        backbone=backbone.card.name,
        family=backbone.card.family,
        rank=2,
        alpha=3,
        frozen_conditions=frozen,
        template=find_template("panels"),
    )
    return Skill(card=card, tensors=tensors)
