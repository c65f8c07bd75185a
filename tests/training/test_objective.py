from dataclasses import replace

import pytest
import torch

from tiny_training import disc, made_page, tiny_pocket
from triptych.models.backbone import Conditioning
from triptych.models.pocket import PocketBackbone
from triptych.page import Page, condition, slot
from triptych.sampling.solvers import denoise
from triptych.sampling.ways import WAYS
from triptych.sampling.working import working_page
from triptych.training.objective import FlowMatching, draw_item, group_items, group_losses, noised, stacked, velocities
from triptych.training.prepare import Setting, prepare_page
from triptych.training.recipe import Levels, LossSpace


def _losses(backbone, pages, conditioning=Conditioning.REFERENCE, *, draws=3, space=LossSpace.DATA, **setting):
    prepared = [prepare_page(backbone, page, Setting(conditioning=conditioning, **setting)) for page in pages]
    items = [
        draw_item(page, draws=draws, levels=Levels(pure_share=0.3), seed=number) for number, page in enumerate(prepared)
    ]
    return items, [group_losses(backbone, group, space=space) for group in group_items(backbone, items)]


@pytest.mark.parametrize("conditioning", [Conditioning.REFERENCE, Conditioning.REPAINT])
def test_loss_of_conditions_is_not_heard(pocket, conditioning):
    page = made_page(1)
    (item,), _ = _losses(pocket, [page], conditioning)
    counted = int((item.page.weights > 0).sum())
    assert counted == 64
    assert item.page.clean.shape[1] == (64 if conditioning is Conditioning.REFERENCE else 128)
    changed = item.page.clean.clone()
    changed[:, (item.page.weights[0] == 0)] += 100
    spoiled = replace(item, page=replace(item.page, clean=changed))
    # Both are compared with the same prediction.
    assert _loss_of_nought(pocket, item) == _loss_of_nought(pocket, spoiled)


def test_conditions_on_the_pockets_canvas_get_no_noise(pocket, monkeypatch):
    prepared = prepare_page(pocket, made_page(1), Setting(conditioning=Conditioning.REPAINT))
    item = draw_item(prepared, draws=2, levels=Levels(pure_share=1.0), seed=0)
    seen = []

    def answer(_, tokens, *__):
        seen.append(tokens)
        return torch.zeros_like(tokens)

    monkeypatch.setattr(type(pocket), "velocity", answer)
    group_losses(pocket, [item], space=LossSpace.DATA)
    is_slot = prepared.weights[0] > 0
    torch.testing.assert_close(seen[0][:, ~is_slot], prepared.clean[:, ~is_slot].expand(2, -1, -1))
    torch.testing.assert_close(seen[0][:, is_slot], item.noise[:, is_slot])


def _loss_of_nought(backbone, item):
    """The loss of a network that answers zero, whatever it is asked."""

    class Nought(PocketBackbone):
        def velocity(self, tokens, t, context, targets):  # noqa: ARG002
            return torch.zeros_like(tokens)

    return float(group_losses(Nought(backbone.network, backbone.tokenizer), [item], space=LossSpace.VELOCITY))


def test_loss_of_a_batch_is_that_of_its_pages_alone(pocket):
    pages = [made_page(1), made_page(2)]
    _, (both,) = _losses(pocket, pages)
    alone = []
    for number, page in enumerate(pages):
        prepared = prepare_page(pocket, page, Setting(conditioning=Conditioning.REFERENCE))
        item = draw_item(prepared, draws=3, levels=Levels(pure_share=0.3), seed=number)
        alone.append(group_losses(pocket, [item], space=LossSpace.DATA))
    torch.testing.assert_close(both, torch.cat(alone), atol=1e-5, rtol=1e-5)


def test_loss_with_kept_memory_is_that_without(pocket):
    _, (kept,) = _losses(pocket, [made_page(1)], frozen_conditions=True)
    _, (read,) = _losses(pocket, [made_page(1)])
    torch.testing.assert_close(kept, read, atol=1e-6, rtol=1e-6)


def test_loss_many_draws_together_are_the_mean_of_single_ones(pocket):
    prepared = prepare_page(pocket, made_page(1), Setting(conditioning=Conditioning.REFERENCE))
    item = draw_item(prepared, draws=3, levels=Levels(), seed=1)
    together = group_losses(pocket, [item], space=LossSpace.VELOCITY)
    single = [
        group_losses(
            pocket,
            [replace(item, levels=item.levels[k : k + 1], noise=item.noise[k : k + 1])],
            space=LossSpace.VELOCITY,
        )
        for k in range(3)
    ]
    torch.testing.assert_close(together, torch.stack(single).mean(dim=0), rtol=1e-4, atol=1e-5)


def test_slot_weight_zero_leaves_only_the_other_slot():
    backbone = tiny_pocket()
    page = Page(panels=(condition(disc(0, 1)), slot(answer=disc(0.1, 9)), slot(answer=disc(0.5, 60))))
    other = Page(panels=(condition(disc(0, 1)), slot(answer=disc(0.1, 9)), slot(answer=disc(0.9, 20))))
    first, second = (
        prepare_page(backbone, each, Setting(conditioning=Conditioning.REFERENCE, slot_weights=(1.0, 0.0)))
        for each in (page, other)
    )
    assert first.weights.sum() == 64
    assert torch.equal(first.weights, second.weights)
    assert not torch.equal(first.clean, second.clean)
    assert torch.equal(first.clean[:, :64], second.clean[:, :64])


def test_draw_item_pure_share_of_one_draws_only_noise(pocket):
    prepared = prepare_page(pocket, made_page(1), Setting(conditioning=Conditioning.REFERENCE))
    assert draw_item(prepared, draws=5, levels=Levels(pure_share=1.0), seed=3).levels.tolist() == [1.0] * 5
    again = draw_item(prepared, draws=5, levels=Levels(pure_share=1.0), seed=3)
    assert torch.equal(again.noise, draw_item(prepared, draws=5, levels=Levels(pure_share=1.0), seed=3).noise)


def _flow(backbone, levels):
    return FlowMatching(
        backbone=backbone,
        make_ready=lambda page, setting: prepare_page(backbone, page, setting),
        draws=200,
        levels=levels,
        space=LossSpace.DATA,
    )


def test_open_page_below_the_bend_is_asked_as_sampling_asks():
    backbone = tiny_pocket(sample_from=0.4)
    page = Page(panels=(slot("a red disc", answer=disc(0.3, 9)),))
    setting = Setting(conditioning=Conditioning.REFERENCE)
    item = _flow(backbone, Levels()).prepare(page, setting, 3)
    plan = WAYS[Conditioning.REFERENCE].plan(backbone, [working_page(page.without_answers(), backbone.card, None)], [5])
    item = replace(item, levels=torch.tensor([1.0, 0.4]), noise=plan.noise.expand(2, -1, -1))

    def velocity(tokens, t, _):
        return velocities(backbone, [item], tokens[None], torch.tensor([[t]]))[0]

    with torch.no_grad():
        first = next(denoise(velocity, plan, backbone.schedule(4, 64)))
        clean, noise, t = stacked(backbone, [item])
        asked = noised(backbone, [item], clean, noise, t)[0]

    assert first.t == 0.4 and item.bend == 0.4
    torch.testing.assert_close(asked[0], plan.noise[0])
    torch.testing.assert_close(asked[1], first.tokens[0])
    # Half way down the line to the answer.
    halfway = replace(item, levels=torch.tensor([0.2, 0.2]))
    clean, noise, t = stacked(backbone, [halfway])
    with torch.no_grad():
        asked = noised(backbone, [halfway], clean, noise, t)[0]
    torch.testing.assert_close(asked[0], (first.tokens[0] + clean[0, 0]) / 2)


def test_levels_of_an_open_page_are_where_samples_go_and_of_others_everywhere():
    backbone, setting = tiny_pocket(sample_from=0.4), Setting(conditioning=Conditioning.REFERENCE)
    flow = _flow(backbone, Levels(pure_share=0.3))

    opened = flow.prepare(Page(panels=(slot("a red disc", answer=disc(0.3, 9)),)), setting, 1).levels
    told = flow.prepare(made_page(1), setting, 1)

    assert bool(((opened <= 0.4) | (opened == 1)).all()) and bool((opened == 1).any()) and bool((opened < 0.4).any())
    assert bool(((told.levels > 0.4) & (told.levels < 1)).any()) and told.bend is None


def test_loss_below_the_bend_in_both_spaces_is_the_same_error():
    backbone, setting = tiny_pocket(sample_from=0.4), Setting(conditioning=Conditioning.REFERENCE)
    page = Page(panels=(slot("a red disc", answer=disc(0.3, 9)),))
    item = draw_item(prepare_page(backbone, page, setting), draws=1, levels=Levels(), seed=2, bend=0.4)

    data, speed = (float(group_losses(backbone, [item], space=space)) for space in (LossSpace.DATA, LossSpace.VELOCITY))

    assert data == pytest.approx(speed * float(item.levels) ** 2, rel=1e-4)
