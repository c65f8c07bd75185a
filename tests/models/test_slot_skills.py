import pytest
import torch

from tiny_training import disc, random_skill, tiny_pocket
from triptych.errors import SkillError
from triptych.models.adapters import Skills
from triptych.models.backbone import Conditioning
from triptych.models.slot_skills import SlotSkills
from triptych.page import Page, condition, slot
from triptych.sampling import Request, generate
from triptych.sampling.lanes import read_lanes
from triptych.sampling.ways import WAYS
from triptych.sampling.working import working_page

PAGE = Page(panels=(condition(disc(0.1, 5)), slot("one", answer=disc(0.2, 9)), slot("two", answer=disc(0.7, 30))))


def _velocity(backbone, skill=None):
    """The velocity of both slots as `generate` computes it."""
    page = working_page(PAGE.without_answers(), backbone.card)
    request = Request(page=page).settled(backbone.card)
    plan = WAYS[Conditioning.REFERENCE].plan(backbone, [page], [3])
    with torch.no_grad():
        lanes = read_lanes(backbone, skill, [page], plan, request)
        made = lanes.velocity(backbone, plan.noise, 0.6, 0.5)
    backbone.shared.release(backbone)
    return made


def test_slot_skills_each_slot_is_that_of_its_own_skill(pocket):
    one, two = random_skill(pocket, seed=1), random_skill(pocket, seed=2)
    both = _velocity(pocket, SlotSkills([one, two]))
    assert torch.equal(both[:, :64], _velocity(pocket, Skills(one))[:, :64])
    assert torch.equal(both[:, 64:], _velocity(pocket, Skills(two))[:, 64:])


def test_slot_skills_none_leaves_a_slot_to_the_bare_backbone(pocket):
    skill, bare = random_skill(pocket), _velocity(pocket)
    made = _velocity(pocket, SlotSkills([None, skill]))
    assert torch.equal(made[:, :64], bare[:, :64])
    assert not torch.equal(made[:, 64:], bare[:, 64:])
    assert torch.equal(_velocity(pocket), bare)


def test_generate_slot_skills_are_named_in_the_result(pocket):
    result = generate(pocket, PAGE.without_answers(), steps=1, skill=SlotSkills([random_skill(pocket), None]))
    assert result.skill == "slot 1: made"
    assert len(result.images) == 2


def test_generate_slot_skills_of_another_number_are_refused():
    backbone = tiny_pocket()
    with pytest.raises(SkillError, match="3 skills"):
        generate(backbone, PAGE.without_answers(), steps=1, skill=SlotSkills([random_skill(backbone), None, None]))
