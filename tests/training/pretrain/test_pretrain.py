"""Pretraining on drawn shapes with a network of a few thousand weights: what the loss sees, and how a run resumes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from triptych.data.mixture import Entry, Mixture, Words
from triptych.data.rules import RULES, rule_names
from triptych.data.sources import ShapeSource
from triptych.data.sprites import SpriteSource
from triptych.errors import TrainingError
from triptych.flow import euler_step, interpolate, velocity_from_data
from triptych.leftovers import temporary_path
from triptych.models.backbone import Conditioning, frames
from triptych.models.pocket import PocketBackbone, PocketConfig, PocketNetwork, load_pocket, pocket_training
from triptych.models.pocket.backbone import positions
from triptych.models.pocket.codec import PocketCodec
from triptych.models.pocket.text import train_tokenizer
from triptych.page import Page, condition, slot
from triptych.prompts import write_prompt
from triptych.sampling.ways import WAYS
from triptych.sampling.working import working_page
from triptych.training.channels import decoder_weights
from triptych.training.pretrain.batches import PageBatch, batches, collate, to_unit
from triptych.training.pretrain.loop import pretrain
from triptych.training.pretrain.objective import draw_levels, page_loss
from triptych.training.pretrain.recipe import EntryRecipe, PretrainRecipe, Sizes, load_recipe, training_source

TOKENIZER = train_tokenizer(["mirror it", "a blue silhouette on white"], size=400)


def _mixture() -> Mixture:
    entries = (
        Entry(name="words", rules=(RULES["mirror"], RULES["silhouette"])),
        Entry(name="examples", rules=(RULES["mirror"],), shots=(1,), words=Words.NONE),
    )
    return Mixture(entries=entries, source=ShapeSource(), seed=4, load=12)


def _recipe(**changes: object) -> PretrainRecipe:
    facts: dict[str, object] = {
        "steps": 4,
        "warmup": 2,
        "corpus_pages": 30,
        "sizes": Sizes(width=64, double_blocks=1, single_blocks=1, vocabulary=400),
        "mixture": (EntryRecipe(name="words", rules=("mirror",), weight=1),),
    }
    return PretrainRecipe.model_validate(facts | changes)


def _network() -> PocketNetwork:
    torch.manual_seed(0)
    config = PocketConfig(
        channels=16, width=64, double_blocks=1, single_blocks=1, vocabulary=TOKENIZER.get_vocab_size()
    )
    network = PocketNetwork(config).eval()
    torch.nn.init.normal_(network.transformer.proj_out.weight, std=0.1)
    return network


def _batch() -> PageBatch:
    return collate(_mixture().batch(1), TOKENIZER, factor=16)


def _loss(network: PocketNetwork, batch: PageBatch, **changes: object) -> float:
    generator = torch.Generator().manual_seed(2)
    return page_loss(network, batch, _recipe(**changes), torch.ones(16), generator).loss.item()


@pytest.fixture
def codec(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "codec.safetensors"
    save_file(PocketCodec(channels=16).state_dict(), path)
    return path


def test_mixture_batch_is_a_function_of_its_index() -> None:
    again, other = _mixture().batch(7), _mixture().batch(8)
    assert _mixture().batch(7) == again
    assert again != other


def test_pretrain_recipe_that_says_maps_writes_the_names_it_meant() -> None:
    recipe = load_recipe("pocket")
    written = {entry["name"]: entry["rules"] for entry in recipe.model_dump(mode="json")["mixture"]}
    assert written["rule by words"] == list(rule_names("maps"))
    assert PretrainRecipe.model_validate(recipe.model_dump(mode="json")) == recipe


def test_mixture_pages_of_a_batch_share_their_shape_and_are_answered() -> None:
    for index in range(6):
        pages = _mixture().batch(index)
        assert len({(len(page.all_panels), len(page.slots)) for page in pages}) == 1
        assert all(page.is_answered for page in pages)


def test_mixture_large_batches_have_twice_the_side_and_a_quarter_of_the_pages() -> None:
    def batch(large: float) -> PageBatch:
        entry = Entry(name="words", rules=(RULES["mirror"],), large=large)
        return collate(Mixture(entries=(entry,), source=ShapeSource(), seed=4, load=32).batch(0), TOKENIZER, factor=16)

    small, large = batch(0.0), batch(1.0)
    assert (small.answers.shape, large.answers.shape) == ((16, 1, 128, 128, 3), (4, 1, 256, 256, 3))
    assert large.slot_grids[0].tokens == 4 * small.slot_grids[0].tokens


def _wide_pages(sizes: list[tuple[int, int]]) -> list[Page]:
    shapes = (Image.new("RGB", size, "red") for size in sizes)
    return [Page(panels=(condition(shape), slot("mirror it", answer=shape))) for shape in shapes]


def test_collate_pages_that_are_not_square_keep_their_shape() -> None:
    batch = collate(_wide_pages([(160, 112), (160, 112)]), TOKENIZER, factor=16)
    assert batch.given.shape == batch.answers.shape == (2, 1, 112, 160, 3)
    assert (batch.slot_grids[0].rows, batch.slot_grids[0].columns) == (7, 10)
    assert _loss(_network(), batch) > 0


@pytest.mark.parametrize("sizes", [[(160, 112), (112, 160)], [(100, 112), (100, 112)]])
def test_collate_pictures_of_unlike_or_uneven_sizes_raises_naming_them(sizes: list[tuple[int, int]]) -> None:
    with pytest.raises(TrainingError, match=f"{sizes[0][0]}x112"):
        collate(_wide_pages(sizes), TOKENIZER, factor=16)


def test_mixture_entry_with_a_source_of_its_own_draws_from_it() -> None:
    disc = ShapeSource(names=lambda name: name == "circle")
    named = Entry(name="words", rules=(RULES["text-to-picture"],), source=disc)
    texts = [page.slots[0].instruction for page in replace(_mixture(), entries=(named,)).batch(0)]
    assert len(texts) > 2 and all("circle" in text for text in texts)


def test_training_source_refuses_style_pairs_of_the_evaluation(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="'twemoji', which is not a style for training"):
        training_source(SpriteSource(tmp_path), style_pairs=(("noto", "twemoji"),))


def test_page_loss_of_a_perfect_prediction_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    network, batch = _network(), _batch()
    answers = network.codec.encode(batch.answers.flatten(0, 1).permute(0, 3, 1, 2).float() / 127.5 - 1)
    perfect = answers.reshape(len(batch.answers), -1, 16)
    monkeypatch.setattr(network.transformer, "predict", lambda *_, **__: perfect)
    assert _loss(network, batch) == pytest.approx(0.0, abs=1e-10)


def test_page_loss_at_pure_noise_reads_the_conditions() -> None:
    network, batch = _network(), _batch()
    other = replace(batch, given=255 - batch.given)
    assert _loss(network, batch, pure_noise_share=1.0) != _loss(network, other, pure_noise_share=1.0)


def test_page_loss_by_repaint_counts_only_the_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    network, batch = _network(), _batch()
    first, _ = (box.corners for box in batch.canvas.boxes)
    columns = batch.canvas.width_px // 16

    def predict(tokens: torch.Tensor, *_: torch.Tensor, **__: torch.Tensor) -> torch.Tensor:
        answer = torch.zeros(len(tokens), 8, columns, 16)
        answer[:, :, first[0] // 16 : first[2] // 16] = garbage
        return answer.flatten(1, 2)

    monkeypatch.setattr(network.transformer, "predict", predict)
    garbage = 0.0
    right = _loss(network, batch, repaint_share=1.0)
    garbage = 5.0
    assert _loss(network, batch, repaint_share=1.0) == right


def test_draw_levels_keeps_the_share_of_pure_noise() -> None:
    levels = draw_levels(4000, _recipe(pure_noise_share=0.3), torch.Generator().manual_seed(0))
    assert float((levels == 1).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert float(levels.min()) > 0


def test_draw_levels_of_an_open_entry_are_as_many_as_it_says() -> None:
    generator = torch.Generator().manual_seed(0)
    levels = draw_levels(4000, _recipe(pure_noise_share=0.9, sample_from=0.5), generator, open_share=0.6)
    assert ((levels < 1).float().mean() - 0.6).abs() < 0.03


def test_batches_carry_the_open_share_of_the_entry_they_are_drawn_from() -> None:
    entries = (
        Entry(name="words", rules=(RULES["text-to-picture"],), open_share=0.6),
        Entry(name="mirror", rules=(RULES["mirror"],)),
    )
    mixture = Mixture(entries=entries, source=ShapeSource(), seed=4, load=4)
    for batch in batches(mixture, TOKENIZER, factor=16, first=0, count=8, workers=0):
        assert batch.open_share == (None if batch.given.shape[1] else 0.6)


def test_page_loss_below_the_sampling_level_starts_where_the_first_step_of_sampling_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, batch, seen = _network(), collate(_mixture().batch(0), TOKENIZER, factor=16), []
    predict = network.transformer.predict

    def watched(tokens: torch.Tensor, t: torch.Tensor, **known: object) -> torch.Tensor:
        seen.append((tokens, t, predict(tokens, t, **known)))
        return seen[-1][2]

    monkeypatch.setattr(network.transformer, "predict", watched)
    _loss(network, batch, pure_noise_share=0.0, sample_from=0.4)
    (noise, ones, mean), (noisy, levels, _) = seen
    assert torch.equal(ones, torch.ones_like(levels))
    assert 0 < float(levels.min()) < float(levels.max()) <= 0.4
    first_step = euler_step(noise, velocity_from_data(noise, mean, 1.0), 1.0, 0.4)
    clean = network.codec.encode(to_unit(batch.answers)).view_as(noise)
    share = (levels / 0.4)[:, None, None]
    torch.testing.assert_close(noisy, interpolate(clean, first_step, share), atol=1e-5, rtol=1e-4)


def test_pretrain_with_a_sampling_level_ends_in_a_pocket_that_steps_from_there(tmp_path: Path, codec: Path) -> None:
    pocket = load_pocket(pretrain(_recipe(sample_from=0.4), _mixture(), {}, tmp_path, codec=codec, compiled=False))
    assert pocket.schedule(1, 64) == (1, 0)
    assert pocket.schedule(3, 64) == pytest.approx((1, 0.4, 0.2, 0))


def test_page_loss_by_repaint_shows_the_canvas_that_sampling_paints(monkeypatch: pytest.MonkeyPatch) -> None:
    network, batch = _network(), _batch()
    page = working_page(_mixture().batch(1)[0].without_answers(), PocketBackbone(network, TOKENIZER).card)
    backbone = PocketBackbone(network, TOKENIZER)
    text = backbone.encode_prompts([write_prompt(page)], frames(page))
    plan = WAYS[Conditioning.REPAINT].plan(backbone, [page], [0])
    assert plan.known is not None
    asked: list[torch.Tensor] = []

    def predict(tokens: torch.Tensor, _: torch.Tensor, **facts: torch.Tensor) -> torch.Tensor:
        assert torch.equal(facts["positions"], positions(plan.targets.grids))
        assert facts["text_positions"][:, 0].unique().tolist() == text.positions[:, 0].unique().tolist()
        asked.append(tokens[0])
        return torch.zeros_like(tokens)

    monkeypatch.setattr(network.transformer, "predict", predict)
    _loss(network, batch, repaint_share=1.0, pure_noise_share=1.0)
    kept = plan.known.keep[0, :, 0] > 0
    assert torch.allclose(asked[0][kept], plan.start[0][kept], atol=1e-4)
    assert torch.allclose(asked[0][kept], plan.known.data[0][kept], atol=1e-4)
    assert not torch.allclose(asked[0][~kept], plan.known.data[0][~kept], atol=1.0)


def test_decoder_weights_prefer_channels_that_move_the_picture() -> None:
    torch.manual_seed(0)
    codec = PocketCodec(channels=8).eval()
    with torch.no_grad():
        codec.decoder[0].weight[:, 3] = 0
    weights = decoder_weights(lambda tokens: codec.decode(tokens), tokens=64, channels=8)
    assert int(weights.argmin()) == 3
    assert float(weights.mean()) == pytest.approx(1.0)


def test_pretrain_stopped_and_resumed_ends_in_the_same_weights(tmp_path: Path, codec: Path) -> None:
    names = {"shape-filled": ("blue-star", "red-moon")}
    whole = pretrain(
        _recipe(), _mixture(), names, tmp_path / "whole", codec=codec, workers=0, compiled=False, device="cpu"
    )
    half = tmp_path / "half"
    pretrain(_recipe(steps=2), _mixture(), names, half, codec=codec, workers=0, compiled=False, device="cpu")
    resumed = pretrain(_recipe(), _mixture(), names, half, codec=codec, workers=0, compiled=False, device="cpu")
    one, two = load_file(whole), load_file(resumed)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert load_pocket(resumed).card.channels == 16
    told = pocket_training(resumed)
    assert (told["steps"], PretrainRecipe.model_validate(told["recipe"])) == (_recipe().steps, _recipe())


def test_pretrain_with_a_truncated_newest_state_takes_the_one_before(tmp_path: Path, codec: Path) -> None:
    run = tmp_path / "run"
    names = {"shape-filled": ("blue-star",)}
    options = {"codec": codec, "workers": 0, "compiled": False, "save_every": 1, "device": "cpu"}
    whole = load_file(pretrain(_recipe(steps=3), _mixture(), names, run, **options))
    newest = max(run.glob("checkpoints/*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:1000])
    again = load_file(pretrain(_recipe(steps=3), _mixture(), names, run, **options))
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_pretrain_removes_what_a_killed_run_was_writing(tmp_path: Path, codec: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    left = temporary_path(run / "pocket.safetensors")
    left.write_bytes(b"half")
    pretrain(_recipe(steps=1, warmup=1), _mixture(), {}, run, codec=codec, workers=0, compiled=False)
    assert not left.exists()


def test_load_recipe_with_a_mistyped_key_names_it(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("steps: 5\nmixture: []\nlearning_rte: 1.0\n")
    with pytest.raises(TrainingError, match=r"learning_rte.*known are .*learning_rate"):
        load_recipe(str(path))


def test_load_recipe_reads_text_as_everything_does(tmp_path: Path) -> None:
    path, text = tmp_path / "recipe.yaml", "steps: 5\r\nmixture: [{name: café, rules: [mirror], weight: 1}]\r\n"
    path.write_bytes(text.encode("utf-8-sig"))
    assert load_recipe(str(path)).mixture[0].name == "café"
    path.write_text(text + "steps: 6\n", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"recipe\.yaml is not valid YAML: .*duplicate key 'steps'"):
        load_recipe(str(path))
    with pytest.raises(TrainingError, match=r"nowhere\.yaml does not exist"):
        load_recipe(str(tmp_path / "nowhere.yaml"))


def test_shipped_recipe_trains_on_no_held_out_rule() -> None:
    from triptych.data.rules import HELD_OUT_RULES

    recipe = load_recipe("pocket")
    named = {rule for entry in recipe.mixture if entry.rules != "maps" for rule in entry.rules}
    assert named <= set(RULES) - HELD_OUT_RULES
