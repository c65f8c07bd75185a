"""Recipes of pretraining, as files: sizes, schedule, and the mixture of pages."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from triptych.data.mixture import Entry, Mixture, Words
from triptych.data.photosource import PHOTOGRAPHS, PictureKind, picture_source
from triptych.data.rules import HELD_OUT_FAMILIES, HELD_OUT_RULES, RULES, rule_names
from triptych.data.rules.base import Rule
from triptych.data.sources import Source, SpriteScenes
from triptych.data.sprites import EVALUATION_STYLES, STYLES, SpriteSource, is_held_out
from triptych.errors import TrainingError
from triptych.files import read_yaml
from triptych.pageschema import problems

__all__ = ["EntryRecipe", "PretrainRecipe", "load_recipe", "mixture_of", "trained_rules", "training_source"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EntryRecipe(_Strict):
    """One kind of page: rules by name; `maps` in a file becomes the names of all training maps of that day."""

    name: str
    rules: tuple[str, ...]
    shots: tuple[int, ...] = (0,)
    words: Words = Words.ALL
    weight: float = Field(gt=0)
    chained: float = Field(default=0.0, ge=0, le=1)
    slots: tuple[int, ...] = ()
    large: float = Field(default=0.0, ge=0, le=1)
    """Share of batches at twice the size: for pictures that have the detail."""
    first_batch: int = Field(default=0, ge=0)
    style_pairs: tuple[tuple[str, str], ...] = ()
    """The only changes of style this entry makes; empty: all."""
    open_share: float | None = Field(default=None, ge=0, le=1)
    """Share of the draws below pure noise, instead of what `pure_noise_share` leaves: for pages with many answers."""
    source: PictureKind = PictureKind.SPRITES
    """Which pictures the pages are made of."""

    @field_validator("rules", mode="before")
    @classmethod
    def _named(cls, rules: Any) -> Any:
        return rule_names(rules) if rules in ("maps", "photo-maps", "families") else rules


class Sizes(_Strict):
    """Of the transformer; see `PocketConfig`."""

    width: int = 320
    double_blocks: int = 2
    single_blocks: int = 8
    vocabulary: int = 6000
    detail: bool = False
    moves: int = Field(default=0, ge=0)
    fits: bool = False


class PretrainRecipe(_Strict):
    """Everything that decides the weights, besides the pictures."""

    seed: int = 0
    sizes: Sizes = Sizes()
    corpus_pages: int = Field(default=6000, gt=0)
    """Pages whose words the vocabulary is learned from."""
    steps: int = Field(gt=0)
    warmup: int = Field(default=100, ge=0)
    decay_from: int | None = None
    """Step from which the learning rate falls linearly to zero at `steps`; None keeps it constant."""
    learning_rate: float = Field(default=1e-3, gt=0)
    matrix_learning_rate: float = Field(default=1e-3, gt=0)
    """Of the blocks' matrices under Muon, scaled to AdamW's update size."""
    weight_decay: float = Field(default=0.01, ge=0)
    ema: float = Field(default=0.999, ge=0, lt=1)
    pure_noise_share: float = Field(default=0.5, ge=0, le=1)
    """Share of draws at exactly t = 1, where only the conditions can lower the loss."""
    noise_mean: float = 1.0
    noise_std: float = 1.2
    sample_from: float | None = Field(default=None, gt=0, lt=1)
    """Level that the second step of sampling starts from (`page_loss`); None: levels as in plain rectified flow."""
    relative_above: float | None = Field(default=None, gt=0)
    """Error beyond which a page counts by how much its error falls in proportion (`page_loss`); None: never."""
    repaint_share: float = Field(default=0.08, ge=0, le=1)
    """Share of batches trained on one canvas, for repaint."""
    load: int = 56
    mixture: tuple[EntryRecipe, ...]


def load_recipe(name_or_path: str) -> PretrainRecipe:
    """A recipe shipped with the package by name, or the YAML file at a path."""
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        path = Path(str(files("triptych.training.pretrain") / "recipes" / f"{name_or_path}.yaml"))
        if not path.is_file():
            raise TrainingError(f"no pretraining recipe {name_or_path!r}; name a shipped one (pocket) or a YAML file.")
    data = read_yaml(path, error=TrainingError)
    try:
        return PretrainRecipe.model_validate(data)
    except ValidationError as error:
        raise TrainingError(
            f"recipe {path} cannot be used: {'; '.join(list(problems(error, PretrainRecipe))[:5])}."
        ) from error


def _rules(recipe: EntryRecipe) -> tuple[Rule, ...]:
    for name in recipe.rules:
        if name not in RULES:
            raise TrainingError(f"entry {recipe.name!r} names the rule {name!r}, which does not exist.")
        if name in HELD_OUT_RULES | HELD_OUT_FAMILIES:
            raise TrainingError(f"entry {recipe.name!r} names {name!r}, a rule held out for evaluation; remove it.")
    return tuple(RULES[name] for name in recipe.rules)


def trained_rules(recipe: PretrainRecipe) -> frozenset[str]:
    """Names of the rules that a recipe's pages are made by."""
    return frozenset(rule.name for entry in recipe.mixture for rule in _rules(entry))


def training_source(sprites: SpriteSource, style_pairs: tuple[tuple[str, str], ...] = ()) -> SpriteScenes:
    """Sprites that training may see: no held-out object, no evaluation style; changes of style between all or some."""
    for style in (style for pair in style_pairs for style in pair):
        if style not in STYLES or style in EVALUATION_STYLES:
            raise TrainingError(
                f"style pairs name {style!r}, which is not a style for training; choose among the others."
            )
    return SpriteScenes(sprites, names=_is_for_training, style_pairs=style_pairs)


def _is_for_training(name: str) -> bool:
    return not is_held_out(name)


def _source_of(entry: EntryRecipe, sprites: SpriteSource) -> Source | None:
    """What the entry's pages are made of; None: the mixture's own sprites."""
    if entry.source is PictureKind.SPRITES:
        return training_source(sprites, entry.style_pairs) if entry.style_pairs else None
    if entry.style_pairs:
        raise TrainingError(
            f"entry {entry.name!r} has style_pairs, which only sprites have; its source is {entry.source}."
        )
    needy = [name for name in entry.rules if RULES[name].needs_object]
    if entry.source in PHOTOGRAPHS and needy:
        raise TrainingError(
            f"entry {entry.name!r}: rule {needy[0]!r} must know the object, and photographs do not tell."
        )
    return picture_source(entry.source, sprites, names=_is_for_training)


def mixture_of(recipe: PretrainRecipe, sprites: SpriteSource) -> Mixture:
    """The recipe's pages over the training pictures."""
    entries = tuple(
        Entry(
            name=entry.name,
            rules=_rules(entry),
            shots=entry.shots,
            words=entry.words,
            weight=entry.weight,
            chained=entry.chained,
            slots=entry.slots,
            large=entry.large,
            first_batch=entry.first_batch,
            source=_source_of(entry, sprites),
            open_share=entry.open_share,
        )
        for entry in recipe.mixture
    )
    return Mixture(entries=entries, source=training_source(sprites), seed=recipe.seed, load=recipe.load)
