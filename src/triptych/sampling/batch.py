"""One batch of requests for pages of one layout, from text to pictures, as a stream of events."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeAlias

import torch
from PIL import Image
from torch import Tensor

from triptych.conditioning import Solver
from triptych.events import CancelToken, Done, Phase, Preview, Step
from triptych.models.backbone import Backbone, Grid
from triptych.sampling.encode import picture_of
from triptych.sampling.finite import check_finite, naming_skill
from triptych.sampling.lanes import Worn, read_lanes, worn_by_all
from triptych.sampling.request import Request
from triptych.sampling.result import Result, Timings
from triptych.sampling.solvers import Reached, denoise
from triptych.sampling.ways import WAYS
from triptych.sampling.ways.base import Plan
from triptych.sampling.working import restore, wanted_sizes, working_page

__all__ = ["run"]

_Pictures: TypeAlias = tuple[tuple[Image.Image, ...], ...]
"""For each page, the pictures of its slots."""


class _Clock:
    """Seconds spent in each part of the work, waiting for others not counted."""

    def __init__(self) -> None:
        self.spent = {"text": 0.0, "conditions": 0.0, "steps": 0.0, "decode": 0.0}

    @contextmanager
    def on(self, part: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.spent[part] += time.perf_counter() - began

    def timings(self, pages: int) -> Timings:
        return Timings(**{f"{part}_s": seconds for part, seconds in self.spent.items()}, pages=pages)


def run(
    backbone: Backbone, requests: Sequence[Request], worn: Worn | None, cancel: CancelToken
) -> Iterator[Phase | Step | Preview | Done[tuple[Result, ...]]]:
    """Every solver step of a batch, then its results.

    The requests are settled, ask for one result each, and differ in seed and page only, the pages being of one layout
    at the backbone's sizes. The skills are on, and the backbone is taken, only while it computes: never at a `yield`.
    """
    first, clock = requests[0], _Clock()
    assert first.steps is not None and first.conditioning is not None, "the requests are settled"

    @contextmanager
    def computing(part: str) -> Iterator[None]:
        cancel.check()
        with backbone.shared.using(backbone, worn_by_all(worn)), naming_skill(worn), clock.on(part), torch.no_grad():
            yield

    def show(tokens: Tensor) -> _Pictures:
        # Skills do not change the codec, so they need not be on here.
        with backbone.shared.lock, naming_skill(worn), torch.no_grad():
            return _pictures(backbone, plan, tokens, requests)

    yield Phase(name="reading")
    with computing("conditions"):
        working = [working_page(request.page, backbone.card, first.size_px) for request in requests]
        plan = WAYS[first.conditioning].plan(backbone, working, [request.seed for request in requests])
        levels = backbone.schedule(first.steps, plan.tokens)
    with computing("text"):
        read = read_lanes(backbone, worn, working, plan, first)
    yield Phase(name="steps", steps=first.steps)
    steps = denoise(partial(read.velocity, backbone), plan, levels, first.solver or Solver.EULER)
    reached = Reached(t=1.0, tokens=plan.start, clean=plan.start)
    for step in range(1, first.steps + 1):
        with computing("steps"):
            reached = next(steps)
        yield Step(step=step, steps=first.steps, measures={"t": reached.t})
        decode = partial(show, reached.clean)
        yield Preview(step=step, steps=first.steps, t=reached.t, pages=tuple(range(len(requests))), decode=decode)
    yield Phase(name="decoding")
    cancel.check()
    with clock.on("decode"):
        pictures = show(reached.tokens)
    timings = clock.timings(len(requests))
    yield Done(
        result=tuple(
            Result(
                request=request,
                images=images,
                timings=timings,
                read_tokens=read.tokens,
                cached_tokens=cached,
                weights=backbone.card.weights,
            )
            for request, images, cached in zip(requests, pictures, read.cached, strict=True)
        )
    )


def _pictures(backbone: Backbone, plan: Plan, tokens: Tensor, requests: Sequence[Request]) -> _Pictures:
    targets = plan.targets.grids
    # One picture at a time: decoders are the peak of memory, and a batch must not change anybody's bits.
    decoded = [
        [picture_of(_decoded(backbone, row[None], grid)) for row in part]
        for part, grid in zip(tokens.split([grid.tokens for grid in targets], dim=1), targets, strict=True)
    ]
    pictures = []
    for index, request in enumerate(requests):
        found = [
            decoded[cut.target][index].crop(cut.box.corners) if cut.box else decoded[cut.target][index]
            for cut in plan.cuts
        ]
        wanted = wanted_sizes(request.page, backbone.card, request.size_px)
        pictures.append(
            tuple(restore(image, request.page, backbone.card, size) for image, size in zip(found, wanted, strict=True))
        )
    return tuple(pictures)


def _decoded(backbone: Backbone, tokens: Tensor, grid: Grid) -> Tensor:
    # Some codecs clamp what they decode, which would make numbers of infinite tokens.
    check_finite(tokens, backbone.card.name, backbone.dtype)
    picture = backbone.decode_images(tokens.to(backbone.dtype), grid)
    return check_finite(picture, backbone.card.name, backbone.dtype)
