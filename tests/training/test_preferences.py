import math
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from tiny_training import disc, made_page, recipe, tiny_pocket
from triptych.errors import PageError
from triptych.models.adapters import Skills
from triptych.models.backbone import Conditioning
from triptych.page import Page, condition, slot
from triptych.pagefile import load_page, save_page
from triptych.training.loop import train
from triptych.training.objective import FlowMatching, group_items
from triptych.training.preferences import Preferences, dpo_loss, nft_error
from triptych.training.prepare import Setting, prepare_page
from triptych.training.recipe import Levels, LossSpace, Preference

KEPT, REJECTED = disc(0.1, 9), disc(0.6, 60)


def _picked(page=None):
    page = page or made_page(1)
    panels = (page.panels[0], replace(page.panels[1], answer=KEPT, rejected=(REJECTED,)))
    return replace(page, panels=panels)


def _objective(backbone, kind, *, beta=1.0):
    flow = FlowMatching(
        backbone=backbone,
        make_ready=lambda page, setting: prepare_page(backbone, page, setting),
        draws=3,
        levels=Levels(pure_share=0.3),
        space=LossSpace.VELOCITY,
    )
    return Preferences(flow=flow, preference=Preference(kind=kind, beta=beta), as_begun=nullcontext)


def _losses(objective, pages):
    setting = Setting(conditioning=Conditioning.REFERENCE)
    items = [objective.prepare(page, setting, number) for number, page in enumerate(pages)]
    return torch.cat([objective.losses(group) for group in group_items(objective.backbone, items)])


def test_nft_error_with_beta_one_is_the_flow_error_for_what_was_kept():
    generator = torch.Generator().manual_seed(0)
    now, old, target = (torch.randn(5, generator=generator) for _ in range(3))
    torch.testing.assert_close(nft_error(now, old, target, reward=1.0, beta=1.0), (now - target).square())


def test_nft_error_pushes_towards_what_was_kept_and_away_from_what_was_rejected():
    old, target = torch.zeros(4), torch.ones(4)
    for reward, sign in ((1.0, -1), (0.0, 1)):
        now = torch.zeros(4, requires_grad=True)
        nft_error(now, old, target, reward=reward, beta=0.5).sum().backward()
        assert bool((now.grad.sign() == sign).all())
    # Kept and rejected alike teach nothing.
    now = torch.zeros(4, requires_grad=True)
    nft_error(now, old, target, reward=0.5, beta=0.5).sum().backward()
    torch.testing.assert_close(now.grad, torch.zeros(4))


def test_nft_error_least_of_equal_kept_and_rejected_draws_is_the_guided_velocity():
    # With kept at 1, rejected at -1 and old at 0 the least error lies at 1 / beta.
    now = torch.zeros(1, requires_grad=True)
    old = torch.zeros(1)
    optimizer = torch.optim.SGD([now], lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        kept = nft_error(now, old, torch.ones(1), reward=1.0, beta=0.5)
        rejected = nft_error(now, old, -torch.ones(1), reward=0.0, beta=0.5)
        (kept + rejected).sum().backward()
        optimizer.step()
    assert float(now.detach()) == pytest.approx(2.0, abs=1e-3)


def test_dpo_loss_is_log_2_unchanged_and_falls_with_the_error_of_what_was_kept():
    before = torch.tensor([0.5])
    assert float(dpo_loss(before, before, before, before, beta=9.0)) == pytest.approx(math.log(2))
    better = dpo_loss(before - 0.1, before, before + 0.1, before, beta=9.0)
    worse = dpo_loss(before + 0.1, before, before - 0.1, before, beta=9.0)
    assert float(better) == pytest.approx(math.log(1 + math.exp(-0.9)), rel=1e-5)
    assert float(better) < math.log(2) < float(worse)


@pytest.mark.parametrize("kind", ["nft", "dpo"])
def test_preferences_pages_without_rejected_pictures_are_learned_as_ever(pocket, kind):
    objective = _objective(pocket, kind)
    pages = [made_page(1), made_page(2)]
    torch.testing.assert_close(_losses(objective, pages), _losses(objective.flow, pages))


def test_preferences_unchanged_adapter_has_the_known_losses(pocket):
    losses = _losses(_objective(pocket, "dpo", beta=50.0), [_picked(), _picked(made_page(2))])
    torch.testing.assert_close(losses, torch.full((2,), math.log(2)), rtol=1e-4, atol=1e-4)
    # Unchanged, both mixtures are the old velocity: the mean of the flow errors of both pictures on one noise.
    page = _picked()
    bare = [replace(page.panels[1], answer=picture, rejected=()) for picture in (KEPT, REJECTED)]
    flows = [_losses(_objective(pocket, "nft").flow, [replace(page, panels=(page.panels[0], one))]) for one in bare]
    torch.testing.assert_close(
        _losses(_objective(pocket, "nft"), [page]), torch.stack(flows).mean(dim=0), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(("kind", "beta"), [("nft", 1.0), ("dpo", 200.0)])
def test_train_on_picks_prefers_what_was_kept_on_the_same_noise(tmp_path, kind, beta):
    backbone = tiny_pocket()
    plan = recipe(
        steps=30, batch=1, draws=4, ema=0.0, loss="velocity", preference={"kind": kind, "beta": beta},
        optimizer={"learning_rate": 3e-3},
    )  # fmt: skip
    start = train([made_page(1)], tmp_path / "start.safetensors", recipe(steps=1), backbone)
    tuned = train([_picked()], tmp_path / f"{kind}.safetensors", plan, backbone, start=start)

    def margin(skill):
        """How much worse the rejected picture is foretold than the kept one, on the same noise."""
        page, flow = _picked(), _objective(backbone, kind).flow
        with Skills(skill).applied(backbone), torch.no_grad():
            kept, rejected = (
                float(_losses(flow, [replace(page, panels=(page.panels[0], slot(answer=picture)))]))
                for picture in (KEPT, REJECTED)
            )
        return rejected - kept

    assert margin(tuned) > margin(start)


def test_page_with_rejected_pictures_goes_to_a_file_and_back(tmp_path):
    page = _picked()
    save_page(page, tmp_path / "page.json")
    (again,) = [panel for panel in load_page(tmp_path / "page.json").panels if panel.is_slot]
    assert [picture.tobytes() for picture in again.rejected] == [REJECTED.tobytes()]
    assert page.without_answers().slots[0].rejected == ()


def test_page_rejections_fill_up_with_answers():
    one, two = slot(answer=KEPT), slot(answer=REJECTED)
    page = Page(panels=(condition(KEPT), replace(one, rejected=(REJECTED, disc(0, 0))), replace(two, rejected=(KEPT,))))
    first, second = page.rejections
    assert first == (REJECTED, KEPT)
    assert second[1] is REJECTED


def test_panel_rejected_pictures_of_a_condition_are_refused():
    with pytest.raises(PageError, match="only a slot"):
        replace(condition(KEPT), rejected=(REJECTED,))
