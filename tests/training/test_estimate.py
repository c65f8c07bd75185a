"""What a training is expected to need, from sizes alone."""

from tiny_training import made_page
from triptych.models.catalog import find_checkpoint
from triptych.training.estimate import need_of
from triptych.training.recipe import load_recipe


def test_need_of_a_large_backbone_counts_its_text_encoder_and_what_a_step_takes():
    recipe = load_recipe("flux2-klein", {"gradient_checkpointing": True, "quantised": None})
    need = need_of(recipe, [made_page(0)])
    known = find_checkpoint(recipe.backbone)
    assert need is not None and known is not None
    assert need.training.recomputes
    weights = 2e9 * (known.shape.transformer + known.shape.text + known.shape.codec)
    assert abs(need.memory - need.training.step_bytes - weights) < 1e6


def test_need_of_more_draws_kept_for_gradients_takes_more_memory_a_step():
    recipes = [load_recipe("flux2-klein", {"gradient_checkpointing": kept}) for kept in (True, False)]
    needs = [need_of(recipe, [made_page(0)]) for recipe in recipes]
    assert needs[0].training.step_bytes < needs[1].training.step_bytes
