import pytest

from triptych.errors import TrainingError
from triptych.prompts import find_template
from triptych.training.recipe import load_recipe, recipe_names

PUBLISHED = (
    "couple-profile",
    "film-storyboard",
    "font-design",
    "home-decoration",
    "portrait-illustration",
    "portrait-photography",
    "ppt-templates",
    "sandstorm-visual-effect",
    "sparklers-visual-effect",
    "visual-identity-design",
)


@pytest.mark.parametrize("name", recipe_names())
def test_load_recipe_every_shipped_one_is_sound(name):
    recipe = load_recipe(name)
    assert recipe.title
    if recipe.template is not None:
        assert find_template(recipe.template).page is not None


@pytest.mark.parametrize("name", PUBLISHED)
def test_load_recipe_published_tasks_have_the_published_settings(name):
    recipe = load_recipe(name)
    assert recipe.template == name
    assert (recipe.adapter.rank, recipe.optimizer.learning_rate, recipe.batch) == (16, 1e-4, 4)
    assert (recipe.steps, recipe.ema, recipe.variety.instruction_dropout) == (5000, 0.99, 0.05)
    assert (min(recipe.sides_px), max(recipe.sides_px)) == (512, 1536)


def test_load_recipe_changes_go_into_nested_keys():
    recipe = load_recipe("pocket", {"adapter.rank": 4, "watch.seeds": [1, 2]})
    assert recipe.adapter.rank == 4
    assert recipe.adapter.targets == load_recipe("pocket").adapter.targets
    assert recipe.watch.seeds == (1, 2)


def test_load_recipe_mistyped_key_is_named(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("extends: pocket\nadapter:\n  rnak: 3\n")
    with pytest.raises(TrainingError, match=r"adapter\.rnak"):
        load_recipe(path)


def test_load_recipe_circle_of_extends_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: {path}\n")
    with pytest.raises(TrainingError, match="circle"):
        load_recipe(path)


def test_load_recipe_extends_a_file_beside_it_from_any_folder(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "base.yaml").write_text("extends: pocket\nsteps: 33\n")
    (tmp_path / "mine" / "over.yaml").write_text("extends: base.yaml\nbatch: 2\n")
    (tmp_path / "base.yaml").write_text("extends: pocket\nsteps: 99\n")
    monkeypatch.chdir(tmp_path)
    assert load_recipe("mine/over.yaml").steps == 33


def test_load_recipe_fewer_steps_shorten_the_warm_up_by_the_same_share():
    planned = load_recipe("pocket")
    assert (planned.steps, planned.optimizer.warmup) == (110, 4)
    assert load_recipe("pocket", {"steps": 2}).optimizer.warmup == 0
    assert load_recipe("pocket", {"steps": 55}).optimizer.warmup == 2
    assert load_recipe("pocket", {"steps": 1000}).optimizer.warmup == 4
    assert load_recipe("pocket", {"steps": 55, "optimizer.warmup": 7}).optimizer.warmup == 7


def test_load_recipe_fewer_steps_in_a_file_shorten_the_warm_up_that_it_extends(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("extends: pocket\nsteps: 3\n")
    assert load_recipe(path).optimizer.warmup == 0
    path.write_text("extends: pocket\nsteps: 55\noptimizer:\n  betas: [0.9, 0.99]\n")
    assert load_recipe(path).optimizer.warmup == 2
    path.write_text("extends: pocket\nsteps: 55\noptimizer:\n  warmup: 7\n")
    assert load_recipe(path).optimizer.warmup == 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 2, "optimizer.warmup": 4}, "recipe pocket: optimizer.warmup is 4, more than the 2 steps"),
        ({"adapter.rnak": 4}, "key 'adapter.rnak' does not exist; did you mean 'adapter.rank'?"),
        ({"batch": 0}, "key 'batch' is 0: input should be greater than or equal to 1"),
        ({"sides_px": [8, 512]}, "sides_px has 8; every value must be 16 or more"),
    ],
)
def test_load_recipe_error_names_the_key_and_its_value(changes, message):
    with pytest.raises(TrainingError) as caught:
        load_recipe("pocket", changes)
    assert message in str(caught.value)
    assert "Value error" not in str(caught.value)
