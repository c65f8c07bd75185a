"""Recipes of skills, as files: everything that decides an adapter's weights besides the pages and the backbone."""

from collections.abc import Mapping
from difflib import get_close_matches
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from triptych.errors import TrainingError
from triptych.files import read_yaml
from triptych.models.backbone import Conditioning

__all__ = [
    "AdapterRecipe",
    "Decay",
    "Levels",
    "LossSpace",
    "OptimizerKind",
    "OptimizerRecipe",
    "Precision",
    "Preference",
    "PreferenceKind",
    "Quantised",
    "Recipe",
    "Variety",
    "Watch",
    "load_recipe",
    "recipe_names",
]

_MOST_PARENTS = 5


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OptimizerKind(StrEnum):
    """`prodigy` finds its own learning rate (arXiv:2306.06101); `schedule_free` needs no decay (arXiv:2405.15682)."""

    ADAMW = "adamw"
    PRODIGY = "prodigy"
    SCHEDULE_FREE = "schedule_free"


class Decay(StrEnum):
    """How the learning rate falls to zero after the warm-up."""

    NONE = "none"
    LINEAR = "linear"
    COSINE = "cosine"


class LossSpace(StrEnum):
    """What is compared: velocities, or the clean tokens they lead to (the same error times t squared)."""

    VELOCITY = "velocity"
    DATA = "data"


class Precision(StrEnum):
    """Of the arithmetic; `auto` is bf16 where the hardware has it."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"


class Quantised(StrEnum):
    """Weights of the backbone while an adapter is trained on it."""

    NF4 = "nf4"
    INT8 = "int8"


class AdapterRecipe(_Strict):
    """Shape of the adapter; `targets` are shell patterns over the names of the transformer's linear layers."""

    rank: int = Field(default=16, ge=1, le=1024)
    alpha: float = Field(default=16.0, gt=0)
    targets: tuple[str, ...] = Field(default=("*",), min_length=1)
    rank_stabilised: bool = False
    dropout: float = Field(default=0.0, ge=0, lt=1)


class OptimizerRecipe(_Strict):
    """Optimizer and learning rate."""

    kind: OptimizerKind = OptimizerKind.ADAMW
    learning_rate: float = Field(default=1e-4, gt=0)
    b_ratio: float = Field(default=1.0, gt=0)
    """Learning rate of B over that of A (LoRA+, arXiv:2402.12354); 1 treats them alike."""
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = Field(default=0.0, ge=0)
    clip: float = Field(default=1.0, gt=0)
    """Most norm of a step's gradient."""
    warmup: int = Field(default=0, ge=0)
    """Steps in which the learning rate rises."""
    decay: Decay = Decay.NONE


class Levels(_Strict):
    """Noise levels: a share at exactly 1, where only the conditions help, the rest sigmoid(mean + std * normal)."""

    pure_share: float = Field(default=0.0, ge=0, le=1)
    mean: float = 0.0
    std: float = Field(default=1.0, gt=0)


class Variety(_Strict):
    """Chances that a page is changed each time it is seen."""

    random_slots: float = Field(default=0.0, ge=0, le=1)
    """That other panels become the slots, at least one and not all."""
    condition_dropout: float = Field(default=0.0, ge=0, le=1)
    """For each condition, that it is left out."""
    instruction_dropout: float = Field(default=0.0, ge=0, le=1)
    """That all words of the page are left out."""
    shots: tuple[int, ...] = Field(default=(0,), min_length=1)
    """How many other pages stand in front as examples: one of these, each as likely."""


class PreferenceKind(StrEnum):
    """How rejected pictures teach: DiffusionNFT (arXiv:2509.16117) or Flow-DPO (arXiv:2501.13918)."""

    NFT = "nft"
    DPO = "dpo"


class Preference(_Strict):
    """What pages with rejected pictures teach; begin from a skill."""

    kind: PreferenceKind = PreferenceKind.NFT
    beta: float | None = Field(default=None, gt=0)
    """For `nft` how far the new weights are mixed in, for `dpo` how sharply differences count; None is 1 and 500."""
    own_noise: bool = True
    """Give each result the noise that its seed made it from; false draws new noise each time."""
    held_out: float = Field(default=0.2, gt=0, lt=1)
    """Share of the picks that is not learned: the training ends by how well they are foretold."""
    measure_every: int = Field(default=10, ge=1)
    """Steps between two looks at the held-out picks."""
    patience: int = Field(default=3, ge=1)
    """Looks in a row that may be worse than the best before the training ends."""
    most_chance: float = Field(default=0.1, gt=0, le=1)
    """How likely by chance the held-out picks may be foretold as well as they are."""
    most_worse_db: float = Field(default=0.5, gt=0)
    """How much the error on held-out teaching pages may rise."""

    @property
    def strength(self) -> float:
        """`beta`, or that of its kind."""
        return self.beta or (1.0 if self.kind is PreferenceKind.NFT else 500.0)


class Watch(_Strict):
    """What is saved and shown on the way. It decides no weights, so it may be changed between resumptions."""

    save_every: int = Field(default=200, ge=1)
    keep: int = Field(default=3, ge=2)
    """Checkpoints kept: two at least, so that one may be damaged."""
    sample_every: int = Field(default=0, ge=0)
    """Steps between rows of the contact sheet; 0 makes none on the way."""
    seeds: tuple[int, ...] = Field(default=(101,), min_length=1)
    samples: int = Field(default=4, ge=0)
    """Held-out pages in the contact sheet."""
    held_out_every: int = Field(default=0, ge=0)
    """Steps between measurements of the held-out loss; 0 measures at the end only."""


class Recipe(_Strict):
    """How a skill is trained."""

    title: str = ""
    description: str = ""
    """What the skill is for, as its card says it; empty takes the words of the first page."""
    backbone: str = "pocket"
    template: str | None = None
    """Prompt template of all pages; None takes the one that each page names."""
    trigger: str = ""
    """Words put in front of every overview."""
    seed: int = Field(default=0, ge=0)
    conditioning: Conditioning | None = None
    """None is the backbone's native way."""
    frozen_conditions: bool = False
    """Leave the conditions' path as it was: their keys and values are computed once and kept."""
    sides_px: tuple[int, ...] = ()
    """Working sizes of panels, one drawn for each page seen; empty is the backbone's own."""
    guidance: float | None = None
    """What guidance-distilled backbones are told while training."""
    steps: int = Field(gt=0)
    batch: int = Field(default=1, ge=1)
    """Pages a process takes at once."""
    accumulation: int = Field(default=1, ge=1)
    """Batches whose gradients make one step."""
    draws: int = Field(default=1, ge=1)
    """Noise draws of each page in a batch."""
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the moving average that is released; 0 releases the last weights."""
    adapter: AdapterRecipe = AdapterRecipe()
    optimizer: OptimizerRecipe = OptimizerRecipe()
    levels: Levels = Levels()
    loss: LossSpace = LossSpace.VELOCITY
    guided: float | None = Field(default=None, gt=1)
    """Scale of the contrastive guidance loss: answers are moved away from what the backbone makes of the page without
    words, as guidance would move them. For backbones that have it distilled; None learns answers as they are."""
    decoder_weights: bool = False
    """Weigh channels by how much each moves the decoded picture."""
    canvas_loss: bool = False
    """On one canvas, also compare the conditions' part, as In-Context LoRA was trained."""
    slot_weights: tuple[float, ...] = ()
    """Weight of the first slot's error, of the second's, ...; missing ones are 1."""
    variety: Variety = Variety()
    precision: Precision = Precision.AUTO
    gradient_checkpointing: bool = False
    quantised: Quantised | None = None
    sharded: bool = False
    """Spread the frozen weights over the processes (FSDP); the adapter stays whole on each."""
    most_bad_steps: int = Field(default=5, ge=1)
    """Steps in a row that may end in NaN or infinity before training stops."""
    preference: Preference | None = None
    """None learns answers alone."""
    licence: str = ""
    """Of the skill; empty is that of the backbone's weights."""
    watch: Watch = Watch()

    @model_validator(mode="after")
    def _check(self) -> "Recipe":
        if (warmup := self.optimizer.warmup) > self.steps:
            raise ValueError(f"optimizer.warmup is {warmup}, more than the {self.steps} steps of the whole training")
        if self.guided is not None and self.preference is not None:
            raise ValueError("guided and preference are two ways to learn; leave one of them out")
        for key, values, least in (
            ("slot_weights", self.slot_weights, 0),
            ("sides_px", self.sides_px, 16),
            ("variety.shots", self.variety.shots, 0),
        ):
            if any(value < least for value in values):
                raise ValueError(f"{key} has {min(values)}; every value must be {least} or more")
        return self

    def deciding(self) -> dict[str, Any]:
        """What decides the weights, as plain values: a run may only be resumed with the same."""
        plain = self.model_dump(mode="json", exclude={"watch", "title", "description", "licence"})
        # Younger keys: a run that began before them goes on.
        left_out = {key for key in ("guided", "preference") if getattr(self, key) is None}
        return {key: value for key, value in plain.items() if key not in left_out}


def recipe_names() -> tuple[str, ...]:
    """Names of the recipes in the package, sorted."""
    folder = files("triptych.training") / "recipes"
    return tuple(sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")))


def load_recipe(name: str | Path, changes: Mapping[str, object] | None = None) -> Recipe:
    """The recipe of that name in the package or in a YAML file; `changes` replaces values by dotted key.

    A recipe may begin with `extends: NAME` and give only what differs; a file is looked for beside the recipe that
    extends it. Fewer steps, in `changes` or in what extends a recipe, shorten the warm-up by the same share, unless it
    is given there too. Raises TrainingError naming the key.
    """
    changes = changes or {}
    data = _read(str(name), Path(), parents=0)
    planned = data.get("steps")
    for key, value in changes.items():
        *way, last = key.split(".")
        place = data
        for part in way:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise TrainingError(f"recipe {name}: key {key!r} does not exist; {part!r} has no keys of its own.")
        place[last] = value
    if "optimizer.warmup" not in changes:
        _shorten_warmup(data, planned)
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise TrainingError(f"recipe {name}: {'; '.join(_told(one) for one in error.errors())}.") from error


def _shorten_warmup(data: dict[str, Any], planned: object) -> None:
    steps, optimizer = data.get("steps"), data.get("optimizer")
    warmup = optimizer.get("warmup") if isinstance(optimizer, dict) else None
    if isinstance(steps, int) and isinstance(planned, int) and isinstance(warmup, int) and 0 < steps < planned:
        data["optimizer"] = {**data["optimizer"], "warmup": warmup * steps // planned}


def _told(problem: ErrorDetails) -> str:
    """One problem that pydantic found, naming the key to change."""
    key, message = ".".join(map(str, problem["loc"])), problem["msg"].removeprefix("Value error, ")
    if not key:
        return message
    if problem["type"] == "extra_forbidden":
        near = get_close_matches(key, _keys(Recipe), n=1)
        return f"key {key!r} does not exist{f'; did you mean {near[0]!r}?' if near else ''}"
    if problem["type"] == "missing":
        return f"key {key!r} is missing"
    return f"key {key!r} is {problem['input']!r}: {message[:1].lower()}{message[1:]}"


def _keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    keys = []
    for name, field in model.model_fields.items():
        keys.append(f"{prefix}{name}")
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += _keys(field.annotation, f"{prefix}{name}.")
    return keys


def _read(name: str, beside: Path, *, parents: int) -> dict[str, Any]:
    """The values of a recipe and of those it extends; a file's name is relative to the folder `beside`."""
    if parents > _MOST_PARENTS:
        raise TrainingError(f"recipe {name}: `extends` forms a circle, or a chain of more than {_MOST_PARENTS} files.")
    path = beside / name
    if path.suffix not in {".yaml", ".yml"}:
        if name not in recipe_names():
            raise TrainingError(f"no recipe {name!r}; there are {', '.join(recipe_names())}, or name a .yaml file.")
        path = Path(str(files("triptych.training") / "recipes" / f"{name}.yaml"))
    data = read_yaml(path, error=TrainingError)
    if not isinstance(data, dict):
        raise TrainingError(f"recipe {path} has no keys. Write `key: value` lines, `steps: 100` among them.")
    parent = data.pop("extends", None)
    if parent is None:
        return data
    base = _read(str(parent), path.parent, parents=parents + 1)
    merged, optimizer = _merged(base, data), data.get("optimizer")
    if not (isinstance(optimizer, dict) and "warmup" in optimizer):
        _shorten_warmup(merged, base.get("steps"))
    return merged


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
