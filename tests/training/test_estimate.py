"""What a training is expected to need, from sizes alone."""

from pathlib import Path

from tiny_training import made_page
from triptych.models.catalog import find_checkpoint, find_known
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


def test_need_of_a_folder_and_of_a_file_with_its_base_is_that_of_the_checkpoint(tmp_path: Path) -> None:
    """Without it `load` would choose as for sampling."""
    folder, file = tmp_path / "FLUX.2-klein-base-4B", tmp_path / "tuned.safetensors"
    folder.mkdir()
    file.touch()
    names = ["black-forest-labs/FLUX.2-klein-base-4B", str(folder), f"{file}@{folder}", f"{file}@FLUX.2-klein-base-4B"]
    needs = [need_of(load_recipe("flux2-klein", {"backbone": name}), [made_page(0)]) for name in names]
    assert needs[0] is not None and needs == [needs[0]] * 4
    assert find_known(str(tmp_path)) is None and find_known(f"{file}@{tmp_path}") is None
