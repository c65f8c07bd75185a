"""The contrastive guidance loss: its target and its pages; and a skill of a base on what was distilled from it."""

from dataclasses import replace

import pytest
import torch

from tiny_models import klein
from tiny_training import made_page, recipe
from triptych.errors import TrainingError
from triptych.flow import data_from_velocity, velocity
from triptych.models.adapters import Skills
from triptych.models.backbone import Conditioning
from triptych.sampling import generate
from triptych.training.guided import Guided, GuidedItem
from triptych.training.loop import train
from triptych.training.objective import FlowMatching, counted, noised, stacked, velocities
from triptych.training.prepare import Setting, prepare_page
from triptych.training.recipe import Levels, LossSpace, Recipe, load_recipe
from triptych.training.variants import wordless

SETTING = Setting(conditioning=Conditioning.REFERENCE)


def _flow(backbone, space=LossSpace.VELOCITY):
    ready = lambda page, setting: prepare_page(backbone, page, setting)  # noqa: E731
    return FlowMatching(backbone=backbone, make_ready=ready, draws=2, levels=Levels(pure_share=0.3), space=space)


@pytest.mark.parametrize("space", list(LossSpace))
def test_guided_target_is_the_answer_moved_away_from_the_page_without_words(pocket, space):
    flow = _flow(pocket, space)
    guided = Guided(flow=flow, scale=3.0)
    items = [guided.prepare(made_page(number), SETTING, seed=number) for number in range(2)]
    plain = [flow.prepare(made_page(number), SETTING, seed=number) for number in range(2)]

    with torch.no_grad():
        losses = guided.losses(items)
        clean, noise, t = stacked(pocket, plain)
        noisy = noised(pocket, plain, clean, noise, t)
        bare = [flow.prepare(wordless(made_page(number)), SETTING, seed=number) for number in range(2)]
        unsaid, said = (velocities(pocket, pages, noisy, t) for pages in (bare, plain))
        right = unsaid + 3 * (velocity(clean, noise) - unsaid)
        if space is LossSpace.DATA:
            said, right = (data_from_velocity(noisy, each, t[:, :, None, None]) for each in (said, right))
        expected = counted(plain, (said - right).square(), None).mean(dim=1)

    torch.testing.assert_close(losses, expected)
    assert not torch.allclose(losses, flow.losses(plain))


def test_guided_at_one_is_plain_and_pages_without_words_are_learned_as_they_are(pocket):
    flow = _flow(pocket)
    pages = [made_page(1), made_page(2, instruction=""), made_page(3)]
    items = [Guided(flow=flow, scale=3.0).prepare(page, SETTING, seed=7) for page in pages]
    assert [isinstance(item, GuidedItem) for item in items] == [True, False, True]
    with torch.no_grad():
        plain = torch.cat([flow.losses([flow.prepare(page, SETTING, seed=7)]) for page in pages])
        torch.testing.assert_close(Guided(flow=flow, scale=1.0).losses(items), plain)
        mixed = Guided(flow=flow, scale=3.0).losses(items)
    assert mixed[1] == pytest.approx(float(plain[1])) and mixed[0] != pytest.approx(float(plain[0]))


def test_guided_recipe_trains_another_skill_and_leaves_the_plain_one_as_it_was(pocket, tmp_path):
    pages = [made_page(number) for number in range(3)]
    plain = train(pages, tmp_path / "plain.safetensors", recipe(steps=2), pocket)
    guided = train(pages, tmp_path / "guided.safetensors", recipe(steps=2, guided=3.0), pocket)
    assert any(not torch.equal(value, guided.tensors[name]) for name, value in plain.tensors.items())
    assert "guided" not in recipe().deciding() and recipe(guided=3.0).deciding()["guided"] == 3.0


def test_recipe_refuses_guided_with_preference_and_scales_of_one():
    assert load_recipe("flux2-klein-guided").guided == 3.0
    with pytest.raises(TrainingError, match="leave one of them out"):
        load_recipe("pocket", {"guided": 3.0, "preference.kind": "nft"})
    with pytest.raises(ValueError, match="greater than 1"):
        Recipe.model_validate({"steps": 1, "guided": 1.0})


def test_skill_of_a_base_changes_the_pictures_of_its_distilled_sibling(tmp_path):
    base, distilled = klein(name="base", family="flux2"), klein(name="distilled", family="flux2")
    for parameter in distilled.transformer.parameters():
        parameter.data.mul_(0.9)
    chosen = recipe(steps=2, optimizer={"learning_rate": 0.1})
    skill = train([made_page(number) for number in range(2)], tmp_path / "skill.safetensors", chosen, base)
    page = made_page(5)
    page = replace(page, panels=tuple(replace(panel, answer=None) for panel in page.panels))
    with_it, without = (generate(distilled, page, steps=2, skill=each) for each in (Skills([skill]), None))
    assert with_it.images[0].tobytes() != without.images[0].tobytes()
