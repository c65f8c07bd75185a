"""One batch of pages of one layout, from text to pictures, as a stream of steps."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from triptych.flow import data_from_velocity
from triptych.models.backbone import Backbone, Grid
from triptych.page import Page
from triptych.sampling.encode import encode_text
from triptych.sampling.finite import check_finite
from triptych.sampling.plan import Plan
from triptych.sampling.prepare import Request, build_plan
from triptych.sampling.result import Timings
from triptych.sampling.settings import Settings
from triptych.sampling.working import restore, wanted_sizes, working_page

__all__ = ["Finished", "Pictures", "Reached", "Step", "denoise", "run"]

Pictures = tuple[tuple[Image.Image, ...], ...]
"""For each page, the pictures of its slots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The state after a solver step, at noise level `t`."""

    step: int
    t: float
    decode: Callable[[], Pictures]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Target tokens at noise level `t`, and the clean tokens expected from there."""

    t: float
    tokens: Tensor
    clean: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The end of a batch."""

    pictures: Pictures
    timings: Timings


def run(backbone: Backbone, pages: list[Page], seeds: list[int], settings: Settings) -> Iterator[Step | Finished]:
    """Every solver step of a batch, then its end. The pages must have one layout at the backbone's sizes."""
    clock = [time.perf_counter()]
    working = tuple(working_page(page, backbone.card, settings.size_px) for page in pages)
    request = Request(
        pages=working,
        seeds=tuple(seeds),
        conditioning=settings.conditioning,
        guidance=settings.guidance,
        cached=settings.cached,
    )
    with torch.no_grad():
        text = encode_text(backbone, working)
        negative = encode_text(backbone, working, negative=True) if _two_passes(backbone, settings) else None
        clock.append(time.perf_counter())
        plan = build_plan(backbone, request, text, negative)
        clock.append(time.perf_counter())

    def show(tokens: Tensor) -> Pictures:
        return _pictures(backbone, plan, tokens, pages, settings)

    reached = Reached(t=1.0, tokens=plan.start, clean=plan.start)
    for step, reached in enumerate(denoise(backbone, plan, settings.steps), 1):
        yield Step(step=step, t=reached.t, decode=partial(show, reached.clean))
    clock.append(time.perf_counter())
    pictures = show(reached.tokens)
    clock.append(time.perf_counter())
    text_s, conditions_s, steps_s, decode_s = (after - before for before, after in pairwise(clock))
    timings = Timings(text_s=text_s, conditions_s=conditions_s, steps_s=steps_s, decode_s=decode_s, pages=len(pages))
    yield Finished(pictures=pictures, timings=timings)


def _two_passes(backbone: Backbone, settings: Settings) -> bool:
    return backbone.card.negative is not None and settings.guidance is not None and settings.guidance > 1


def denoise(backbone: Backbone, plan: Plan, steps: int) -> Iterator[Reached]:
    """The state after each solver step."""
    levels = backbone.schedule(steps, plan.noise.shape[1])
    with torch.no_grad():
        velocity = backbone.velocity_field(plan.sequences)
    tokens = plan.start
    for t, t_next in pairwise(levels):
        # Not around the yield: a generator would leak the mode into its caller.
        with torch.no_grad():
            # The network may run in half precision; the sum over steps stays in float32.
            field = velocity(tokens.to(backbone.dtype), t).float()
            clean = data_from_velocity(tokens, field, t)
            tokens = plan.advance(tokens, field, t, t_next)
        yield Reached(t=t_next, tokens=tokens, clean=clean)


@torch.no_grad()
def _pictures(backbone: Backbone, plan: Plan, tokens: Tensor, pages: list[Page], settings: Settings) -> Pictures:
    targets = plan.sequences.targets
    # One picture at a time: decoders are the peak of memory, and a batch must not change anybody's bits.
    decoded = [
        [_image(_decoded(backbone, row[None], grid)) for row in part]
        for part, grid in zip(tokens.split([grid.tokens for grid in targets], dim=1), targets, strict=True)
    ]
    pictures = []
    for index, page in enumerate(pages):
        found = [
            decoded[cut.target][index].crop(cut.box.corners) if cut.box else decoded[cut.target][index]
            for cut in plan.cuts
        ]
        wanted = wanted_sizes(page, settings.size_px)
        pictures.append(
            tuple(restore(image, page, backbone.card, size) for image, size in zip(found, wanted, strict=True))
        )
    return tuple(pictures)


def _decoded(backbone: Backbone, tokens: Tensor, grid: Grid) -> Tensor:
    # Some codecs clamp what they decode, which would make numbers of infinite tokens.
    check_finite(tokens, backbone.card.name, backbone.dtype)
    picture = backbone.decode_images(tokens.to(backbone.dtype), grid)
    return check_finite(picture, backbone.card.name, backbone.dtype)


def _image(picture: Tensor) -> Image.Image:
    values = ((picture[0].float() + 1) * 127.5).round().clamp(0, 255)
    return Image.fromarray(values.permute(1, 2, 0).cpu().numpy().astype(np.uint8))
