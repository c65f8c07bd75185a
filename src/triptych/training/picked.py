"""Picks as training sees them: results as answers, each with the noise that its seed made it from."""

import hashlib
import math
import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from triptych.models.backbone import Backbone, Card
from triptych.page import Page
from triptych.picks import Pick, Verdict
from triptych.sampling.request import Request
from triptych.sampling.ways import WAYS
from triptych.sampling.working import working_page
from triptych.training.batches import Batches
from triptych.training.objective import Asked, FlowMatching, Item, ask, bend_of, draw_item
from triptych.training.prepare import Setting
from triptych.training.recipe import Recipe
from triptych.training.variants import item_seed, page_sha256

__all__ = ["Example", "Judged", "Mixed", "PickItems", "example_of", "split_examples"]

_LEAST_HELD_OUT = 6
"""Fewer cannot be told from chance: all of six on one side is one in 64."""
_MEASURED_DRAWS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A result: the page with its pictures as answers, the seed of its noise, and what was said of it."""

    page: Page
    seed: int | None
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A pick with its pictures, its page and setting being those that sampling worked with."""

    pick_id: str
    request: Request
    results: tuple[Judged, ...]
    setting: Setting

    @property
    def page_key(self) -> str:
        """Equal for picks of one page, whatever the settings."""
        return page_sha256(self.request.page)

    def of(self, *verdicts: Verdict) -> tuple[Judged, ...]:
        """The results of these verdicts."""
        return tuple(result for result in self.results if result.verdict in verdicts)

    @property
    def pairs(self) -> tuple[tuple[Judged, Judged], ...]:
        """Better and worse: kept against rejected; where one kind is missing, against those passed over."""
        kept, unseen, rejected = (self.of(verdict) for verdict in Verdict)
        better, worse = (kept or unseen), (rejected or (unseen if kept else ()))
        return tuple((one, other) for one in better for other in worse)

    def is_compared(self, result: Judged) -> bool:
        """Whether a pair has it, or, where there are none, something was said of it."""
        pairs = self.pairs
        return any(result is one for pair in pairs for one in pair) if pairs else result.verdict is not Verdict.UNSEEN


def example_of(pick: Pick, card: Card, recipe: Recipe) -> Example:
    """Read a pick's pictures. Raises what reading them raises, and what sampling raises for its request."""
    request = pick.request
    # As large as sampling made the slots: the noise of a seed is drawn for so many tokens.
    sizes = iter([slot.size_px for slot in working_page(request.page, card, request.size_px).slots])
    panels = tuple(replace(panel, size_px=next(sizes)) if panel.is_slot else panel for panel in request.page.panels)
    page = replace(request.page, panels=panels)
    return Example(
        pick_id=pick.pick_id,
        request=request,
        results=tuple(
            Judged(page=page.with_answers(pick.images(result)), seed=result.seed, verdict=result.verdict)
            for result in pick.results
        ),
        setting=Setting(
            conditioning=request.conditioning or recipe.conditioning or card.native,
            side_px=request.size_px if isinstance(request.size_px, int) else None,
            guidance=recipe.guidance if request.guidance is None else request.guidance,
            slot_weights=recipe.slot_weights,
            frozen_conditions=recipe.frozen_conditions,
        ),
    )


def split_examples(examples: Sequence[Example], share: float) -> tuple[list[Example], list[Example]]:
    """Those to learn and those held out: at least a share, by the hash of the page, so that no page is in both."""

    def place(example: Example) -> float:
        digest = hashlib.sha256(f"held out/{example.page_key}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64

    places = sorted({place(example) for example in examples})
    held = {one for one in places if one < share} | set(places[: max(_LEAST_HELD_OUT, round(share * len(places)))])
    return (
        [example for example in examples if place(example) not in held],
        [example for example in examples if place(example) in held],
    )


class PickItems:
    """Picks as items of a batch, and as what is measured on those held out."""

    def __init__(self, examples: Sequence[Example], flow: FlowMatching, recipe: Recipe) -> None:
        self._examples, self._flow, self._recipe = examples, flow, recipe
        self._noises: dict[Hashable, Tensor] = {}
        assert recipe.preference is not None, "picks are learned by a recipe with preferences"
        self._preference = recipe.preference

    @property
    def backbone(self) -> Backbone:
        return self._flow.backbone

    def item(self, place: int) -> Item:
        """A pair of results of the pick at that place of the run, or one result where there is no pair."""
        recipe, count = self._recipe, len(self._examples)
        order = list(range(count))
        random.Random(item_seed(recipe.seed, "order of picks", place // count)).shuffle(order)
        example, seed = self._examples[order[place % count]], item_seed(recipe.seed, "pick", place)
        chance = random.Random(seed)
        if not (pairs := example.pairs):
            (one,) = chance.sample(example.of(Verdict.KEPT, Verdict.REJECTED), 1)
            return replace(self._drawn(example, one, seed, recipe.draws), rewards=(one.verdict.reward, 0.5))
        better, worse = chance.choice(pairs)
        item = self._drawn(example, better, seed, recipe.draws)
        other = self._drawn(example, worse, seed, recipe.draws)
        return replace(
            item,
            rejected=other.page.clean,
            rejected_noise=other.noise,
            rewards=(better.verdict.reward, worse.verdict.reward),
        )

    @torch.no_grad()
    def asked(self, examples: Sequence[Example]) -> list[list[Asked | None]]:
        """Every result that is compared, of every example: levels and noise are one pick's own, the same each time."""
        draws = max(_MEASURED_DRAWS, self._recipe.draws)

        def of(example: Example, result: Judged) -> Asked:
            seed = item_seed(self._recipe.seed, "held out pick", example.pick_id)
            return ask(self.backbone, [self._drawn(example, result, seed, draws)])

        return [
            [of(example, result) if example.is_compared(result) else None for result in example.results]
            for example in examples
        ]

    @torch.no_grad()
    def errors(self, asked: Sequence[Sequence[Asked | None]]) -> list[list[float]]:
        """The error of every result, NaN for those that are not asked."""
        flow = self._flow

        def of(one: Asked) -> float:
            return float(one.errors(self.backbone, space=flow.space, channel_weights=flow.channel_weights).mean())

        return [[math.nan if one is None else of(one) for one in row] for row in asked]

    def _drawn(self, example: Example, result: Judged, seed: int, draws: int) -> Item:
        """A result at levels drawn from `seed`, all draws on the noise of its own seed where that is known."""
        prepared = self._flow.make_ready(result.page, example.setting)
        bend = bend_of(self.backbone, example.request.steps)
        item = draw_item(prepared, draws=draws, levels=self._recipe.levels, seed=seed, bend=bend)
        if result.seed is None or not self._preference.own_noise:
            return item
        noise = self.noise(example, result.seed)
        return replace(item, noise=noise.to(item.noise).expand_as(item.noise))

    def noise(self, example: Example, seed: int) -> Float[Tensor, "1 target channels"]:
        """The very noise that sampling starts from for this request and seed."""
        key = example.pick_id, seed
        if key not in self._noises:
            working = working_page(example.request.page, self.backbone.card, example.request.size_px)
            plan = WAYS[example.setting.conditioning].plan(self.backbone, [working], [seed])
            self._noises[key] = plan.noise.cpu()
        return self._noises[key]


class Mixed(Batches):
    """Batches of which one half are picks and the other the pages that taught the skill."""

    def __init__(self, pages: Batches, picks: PickItems) -> None:
        self._taught, self._picks, self.recipe = pages, picks, pages.recipe

    def item(self, place: int) -> Item:
        """A pick at even places, a page at odd ones."""
        return self._taught.item(place // 2) if place % 2 else self._picks.item(place // 2)

    def setting(self, place: int) -> Setting:
        return self._taught.setting(place)
