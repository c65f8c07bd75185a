from dataclasses import replace

import pytest
import torch

from tiny_training import made_page, random_skill, tiny_pocket
from triptych.errors import SkillError
from triptych.models.adapters import AdapterSpec, Skills, adapter_parameters, eject, ejecting, inject, linear_names
from triptych.models.backbone import Conditioning
from triptych.models.lean_linear import LeanLinear
from triptych.models.pocket import PocketBackbone
from triptych.models.reading import read
from triptych.sampling import generate
from triptych.skill import Skill
from triptych.training.prepare import Setting, prepare_page

SPEC = AdapterSpec(rank=2, alpha=3.0)


def prepare(backbone):
    return prepare_page(backbone, made_page(1), Setting(conditioning=Conditioning.REFERENCE))


def context(backbone, prepared):
    return read(backbone, prepared.text, prepared.conditions)


def velocity(backbone):
    prepared = prepare(backbone)
    with torch.no_grad():
        read_ = context(backbone, prepared)
        return backbone.velocity(prepared.clean, torch.tensor([0.7]), read_, prepared.targets)


def test_inject_new_adapter_changes_nothing_and_eject_leaves_no_trace(pocket):
    transformer = pocket.transformer
    before, modules = velocity(pocket), dict(transformer.named_modules())
    inject(transformer, linear_names(transformer), SPEC)
    assert torch.equal(velocity(pocket), before)
    eject(transformer)
    after = dict(transformer.named_modules())
    assert modules.keys() == after.keys()
    assert all(module is after[name] for name, module in modules.items())
    assert not hasattr(transformer, "peft_config")


def test_inject_same_seed_gives_the_same_weights_and_leaves_the_global_generator(pocket):
    names = linear_names(pocket.transformer)
    state = torch.get_rng_state()
    with ejecting(pocket.transformer):
        first = {key: value.detach().clone() for key, value in inject(pocket.transformer, names, SPEC, seed=4).items()}
    with ejecting(pocket.transformer):
        second = inject(pocket.transformer, names, SPEC, seed=4)
        assert all(torch.equal(value, second[key]) for key, value in first.items())
    assert torch.equal(torch.get_rng_state(), state)


def test_inject_top_layer_name_does_not_match_layers_that_end_in_it(pocket):
    with ejecting(pocket.transformer):
        assert len(inject(pocket.transformer, ["proj_out"], SPEC)) == 2


def test_linear_names_pattern_without_match_is_refused(pocket):
    with pytest.raises(SkillError, match="'nothing\\.\\*' matches no"):
        linear_names(pocket.transformer, ["*", "nothing.*"])


def test_skills_applied_merged_is_what_peft_computes_and_goes_off_exactly(pocket, monkeypatch):
    skill = random_skill(pocket)
    before = velocity(pocket)
    with Skills(skill).applied(pocket):
        merged = velocity(pocket)
    monkeypatch.setattr("triptych.models.adapters._MERGE_BYTES", 0)
    with Skills(skill).applied(pocket):
        beside = velocity(pocket)
    torch.testing.assert_close(merged, beside, atol=1e-4, rtol=1e-4)
    assert (merged - before).abs().max() > 0.05
    assert torch.equal(velocity(pocket), before)
    assert not any(parameter.requires_grad for parameter in pocket.transformer.parameters())


def test_skills_weights_add_up_and_zero_is_nothing(pocket):
    one, two = random_skill(pocket, seed=1, name="one"), random_skill(pocket, seed=2, name="two")
    with Skills([one, two], weights=[0.5, 0.0]).applied(pocket):
        both = velocity(pocket)
    with Skills(one, weights=[0.5]).applied(pocket):
        half = velocity(pocket)
    assert torch.equal(both, half)
    assert Skills([one, two], weights=[0.5, 1.0]).name == "0.5 x one + two"


def test_skills_several_beside_equal_several_merged(pocket, monkeypatch):
    skills = Skills([random_skill(pocket, seed=1), random_skill(pocket, seed=2)], weights=[0.7, -0.3])
    with skills.applied(pocket):
        merged = velocity(pocket)
    monkeypatch.setattr("triptych.models.adapters._MERGE_BYTES", 0)
    with skills.applied(pocket):
        torch.testing.assert_close(velocity(pocket), merged, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_skills_beside_sample_in_the_types_of_the_weights_and_train_in_float32(dtype, monkeypatch):
    monkeypatch.setattr("triptych.models.adapters._MERGE_BYTES", 0)
    pocket = tiny_pocket(dtype)
    skill = random_skill(pocket)
    with Skills(skill).applied(pocket):
        on = adapter_parameters(pocket.transformer, "skill0")
        assert len(on) == len(skill.tensors)
        assert {parameter.dtype for parameter in on.values()} == {dtype}
        # The fast path of the lean layer, which takes one type only.
        layers = [layer for layer in pocket.transformer.modules() if isinstance(layer, LeanLinear)]
        plain = [layer._is_plain(["skill0"], torch.zeros(1, dtype=dtype)) for layer in layers]
    assert plain and all(plain)
    with ejecting(pocket.transformer):
        trained = inject(pocket.transformer, linear_names(pocket.transformer), SPEC)
        assert {parameter.dtype for parameter in trained.values()} == {torch.float32}


def test_skills_frozen_conditions_read_references_without_the_adapter(pocket):
    prepared = prepare(pocket)
    bare = context(pocket, prepared).memory
    with Skills(random_skill(pocket, frozen=True)).applied(pocket):
        assert torch.equal(context(pocket, prepared).memory, bare)
        frozen = velocity(pocket)
    with Skills(random_skill(pocket)).applied(pocket):
        assert not torch.equal(context(pocket, prepared).memory, bare)
    assert not torch.equal(frozen, velocity(pocket))
    assert not pocket.shared.reads_bare


def test_skills_of_another_size_are_refused_whole(pocket):
    skill = random_skill(pocket)
    wrong = {key: torch.zeros(2, 9) if ".0.attn.to_q.lora_A" in key else value for key, value in skill.tensors.items()}
    before = velocity(pocket)
    with (
        pytest.raises(SkillError, match="1 have another size"),
        Skills(Skill(card=skill.card, tensors=wrong)).applied(pocket),
    ):
        pass
    assert torch.equal(velocity(pocket), before)


def test_generate_with_a_skill_says_so_and_leaves_the_backbone(pocket):
    page = made_page(2).without_answers()
    bare = generate(pocket, page, steps=1)
    made = generate(pocket, page, steps=1, skill=Skills(random_skill(pocket)))
    assert made.skill == "made"
    assert made.images[0].tobytes() != bare.images[0].tobytes()
    assert generate(pocket, page, steps=1).images[0].tobytes() == bare.images[0].tobytes()


def test_read_pages_without_conditions_have_no_memory_and_rows_are_of_their_own(pocket):
    prepared = prepare(pocket)
    bare = read(pocket, prepared.text).repeated(2)
    assert bare.memory is None
    tokens, t = torch.randn(2, 64, 8), torch.tensor([0.3, 0.9])
    with torch.no_grad():
        both = pocket.velocity(tokens, t, bare, prepared.targets)
        single = [
            pocket.velocity(tokens[row, None], t[row, None], read(pocket, prepared.text), prepared.targets)
            for row in range(2)
        ]
    torch.testing.assert_close(both, torch.cat(single), atol=1e-5, rtol=1e-5)


def test_skills_applied_beyond_what_the_weights_can_hold_is_refused_by_name(pocket):
    skill = random_skill(pocket)
    loud = Skill(card=skill.card.model_copy(update={"alpha": 1e38}), tensors=skill.tensors)
    before = velocity(pocket)
    with pytest.raises(SkillError, match=rf"{skill.name} takes the weights of .* beyond what float32"):
        Skills([loud], weights=[100.0]).applied(pocket).__enter__()
    assert torch.equal(velocity(pocket), before)


def test_skill_of_another_pocket_is_refused_though_its_layers_fit(pocket):
    skill = random_skill(pocket)
    other = PocketBackbone(pocket.network, pocket.tokenizer)
    other.card = replace(pocket.card, name="pocket-2")
    with pytest.raises(SkillError, match=r"trained on pocket, and this is pocket-2.*--backbone pocket"):
        generate(other, made_page(1), skill=skill)
