"""Pretraining of the pocket backbone: Muon on the blocks' matrices, AdamW on the rest, a moving average to release."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo
from accelerate import Accelerator
from jaxtyping import Float
from safetensors.torch import load_file, save
from tokenizers import Tokenizer
from torch import Tensor

from triptych.data.mixture import Mixture, corpus
from triptych.errors import TrainingError
from triptych.events import CancelToken, Event, Step
from triptych.files import write_atomic
from triptych.models.pocket.backbone import SIDE_PX, PocketConfig, PocketNetwork
from triptych.models.pocket.files import pocket_network, pocket_tokenizer, save_pocket
from triptych.models.pocket.klt import FACTOR, KltCodec
from triptych.models.pocket.text import train_tokenizer
from triptych.skill import payload_sha256
from triptych.training.channels import decoder_weights
from triptych.training.checkpoint import Identity
from triptych.training.claim import claimed_folder
from triptych.training.core import Core, Taken
from triptych.training.pretrain.batches import PageBatch, batches, on_device, to_unit
from triptych.training.pretrain.course import Course, pretraining_core
from triptych.training.pretrain.muon import GramMuon
from triptych.training.pretrain.objective import Draw, page_loss
from triptych.training.pretrain.recipe import PretrainRecipe
from triptych.training.pretrain.symmetries import begin_heads
from triptych.training.pretrain.transplant import transplant
from triptych.training.recipe import Precision
from triptych.training.running import accelerator_on, arithmetic
from triptych.training.state import TrainingState
from triptych.training.variants import item_seed

__all__ = ["pocket_to_begin_from", "pretrain"]

_REPORT_EVERY = 25
_JUDGES_FASTER, _SCALARS_FASTER = 8.0, 30.0
"""Learning rates of a fit head over the others': it has logarithms and odds to learn, units away and not hundredths."""
_TRANSPLANT_BATCHES = 24
"""Batches whose pictures the two codes are compared on."""


def _tokenizer(
    folder: Path, mixture: Mixture, names: dict[str, tuple[str, ...]], recipe: PretrainRecipe, start: Path | None
) -> Tokenizer:
    """The run's vocabulary: its own, else that of the weights it starts from, else one learned from its pages."""
    path = folder / "tokenizer.json"
    if not path.exists() and start is not None:
        write_atomic(path, pocket_tokenizer(start).to_str().encode())
    if not path.exists():
        texts = corpus(mixture, names, pages=recipe.corpus_pages)
        tokenizer = train_tokenizer(texts, size=recipe.sizes.vocabulary)
        write_atomic(path, tokenizer.to_str().encode())
    return Tokenizer.from_str(path.read_text(encoding="utf-8"))


def _optimizers(network: PocketNetwork, recipe: PretrainRecipe) -> dict[str, torch.optim.Optimizer]:
    blocks = [*network.transformer.transformer_blocks, *network.transformer.single_transformer_blocks]
    matrices = [p for block in blocks for p in block.parameters() if p.ndim == 2]
    taken = {id(p) for p in matrices}
    fits = network.transformer.fits
    judging = list(fits.parameters()) if fits is not None else []
    taken |= {id(p) for p in judging}
    others = [p for module in (network.transformer, network.text) for p in module.parameters() if id(p) not in taken]
    groups: list[dict[str, Any]] = [{"params": others, "ratio": 1.0}]
    if judging:
        groups += [
            {"params": [p for p in judging if p.ndim == 2], "ratio": _JUDGES_FASTER},
            {"params": [p for p in judging if p.ndim < 2], "ratio": _SCALARS_FASTER, "weight_decay": 0.0},
        ]
    return {
        "muon": GramMuon(
            [{"params": matrices, "ratio": recipe.matrix_learning_rate / recipe.learning_rate}],
            lr=recipe.matrix_learning_rate,
            weight_decay=recipe.weight_decay,
            ns_steps=4,
        ),
        "adamw": torch.optim.AdamW(
            groups,
            lr=recipe.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=recipe.weight_decay,
            fused=True,
        ),
    }


def _compile_blocks(network: PocketNetwork) -> None:
    torch._dynamo.config.recompile_limit = 64  # with and without references, words and canvases, in every block
    for block in (*network.transformer.transformer_blocks, *network.transformer.single_transformer_blocks):
        block.compile(dynamic=True)


def _share(step: int, recipe: PretrainRecipe) -> float:
    """The share of the full learning rates at `step`, counted from 0."""
    share = min(1.0, (step + 1) / max(1, recipe.warmup))
    if recipe.decay_from is not None and step >= recipe.decay_from:
        share *= max(0.0, (recipe.steps - step) / max(1, recipe.steps - recipe.decay_from))
    return share


class _Pages:
    """Losses of the run's batches, and what is told of them."""

    def __init__(
        self, network: PocketNetwork, recipe: PretrainRecipe, stream: Callable[[], Iterator[PageBatch]]
    ) -> None:
        self.network, self.recipe, self._open = network, recipe, stream
        self._weights = _channel_weights(network)
        self._stream: Iterator[PageBatch] | None = None
        self._seen: list[Draw] = []

    def losses(
        self, step: int, accelerator: Accelerator, device: torch.device, precision: Precision
    ) -> Iterator[Tensor]:
        if self._stream is None:
            self._stream = self._open()
        batch, process = on_device(next(self._stream), device), accelerator.process_index
        generator = torch.Generator().manual_seed(item_seed(self.recipe.seed, "noise", step, process))
        with arithmetic(device, precision):
            draw = page_loss(self.network, batch, self.recipe, self._weights.to(device), generator)
        self._seen.append(replace(draw, loss=draw.loss.detach()))
        yield draw.loss

    def measures(self, taken: Taken) -> dict[str, float] | None:
        """Means since the last time, every few steps."""
        if taken.step % _REPORT_EVERY:
            return None
        seen = [draw for draw in self._seen if math.isfinite(draw.error)]
        pure = [draw.pure for draw in seen if not math.isnan(draw.pure)]
        self._seen.clear()
        return {
            "loss": sum(draw.error for draw in seen) / max(1, len(seen)),
            "pure_loss": sum(pure) / max(1, len(pure)),
            "learning_rate": taken.rate,
            "seconds": taken.seconds_per_step,
        }


def _log(path: Path, step: int, measures: Mapping[str, float]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, **measures}) + "\n")


def _state(network: PocketNetwork, recipe: PretrainRecipe) -> TrainingState:
    parameters = {name: value for name, value in network.named_parameters() if value.requires_grad}
    codec = {f"codec.{name}": value for name, value in network.codec.state_dict().items()}
    state = TrainingState(parameters, _optimizers(network, recipe), ema=recipe.ema, fixed=codec)
    state.spans = [recipe.steps]
    return state


def _identity(network: PocketNetwork, recipe: PretrainRecipe, accelerator: Accelerator) -> Identity:
    """A run may be made longer, and its end moved; all else stays."""
    codec = {name: value.contiguous() for name, value in network.codec.state_dict().items()}
    return Identity(
        recipe=recipe.model_dump(mode="json", exclude={"steps", "decay_from"})
        | {"processes": accelerator.num_processes},
        pages={},
        backbone=payload_sha256(save(codec)),
        pages_per_step=1,
    )


def _network(
    recipe: PretrainRecipe, mixture: Mixture, tokenizer: Tokenizer, *, codec: Path | None, start: Path | None
) -> PocketNetwork:
    codec_weights = load_file(codec) if codec is not None else None
    if start is None:
        if codec_weights is None:
            raise TrainingError(
                "pretraining needs a trained codec: give `codec`, or `start` with a pocket that has one."
            )
        sizes = recipe.sizes.model_dump() | {"vocabulary": tokenizer.get_vocab_size()}
        facts: dict[str, Any] = _code(codec_weights) | sizes
        network = PocketNetwork(PocketConfig(**facts))
        network.codec.load_state_dict(codec_weights)
        begin_heads(network)
        return network
    sizes = recipe.sizes
    network = pocket_to_begin_from(start, detail=sizes.detail, moves=sizes.moves, fits=sizes.fits)
    if codec_weights is None:
        return network
    if _code(codec_weights) == {"codec": network.config.codec, "channels": network.config.channels}:
        network.codec.load_state_dict(codec_weights)
        return network
    if _code(codec_weights)["codec"] != "klt":
        raise TrainingError(
            f"{codec} is a codec of the first generation, which no pocket is moved onto; train another."
        )
    moved = KltCodec(channels=_code(codec_weights)["channels"])
    moved.load_state_dict(codec_weights)
    # From the optimizer's point of view the mixture's last batches never come, so they cost nothing that it would see.
    pages = [page for index in range(_TRANSPLANT_BATCHES) for page in mixture.batch(recipe.steps + index)]
    pictures = [panel.picture for page in pages for panel in page.all_panels if panel.picture is not None]
    squares = [np.asarray(picture) for picture in pictures if picture.size == (SIDE_PX, SIDE_PX)]
    return transplant(network.eval(), moved.eval(), to_unit(torch.from_numpy(np.stack(squares))[None]))[0]


def pocket_to_begin_from(start: Path, *, detail: bool = False, moves: int = 0, fits: bool = False) -> PocketNetwork:
    """The pocket of a file, with the heads asked for where it has none: `moves` is how many of the move head."""
    old = pocket_network(start)
    had = old.config
    config = replace(had, detail=had.detail or detail, moves=had.moves or moves, fits=had.fits or fits)
    if config == had:
        return old
    network = PocketNetwork(config)
    network.codec.load_state_dict(old.codec.state_dict())
    begin_heads(network)
    network.load_state_dict(network.state_dict() | old.state_dict())  # the new heads' weights are their own
    return network


def _code(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Kind and channels of a codec, told from its weights."""
    if "basis" in weights:
        return {"codec": "klt", "channels": weights["basis"].shape[1]}
    return {"codec": "convolutional", "channels": weights["norm.running_mean"].shape[0]}


def _channel_weights(network: PocketNetwork) -> Float[Tensor, " channels"]:
    match network.codec:
        case KltCodec() as codec:
            return codec.channel_weights
        case codec:
            return decoder_weights(codec.decode, tokens=64, channels=codec.channels)


def pretrain(
    recipe: PretrainRecipe,
    mixture: Mixture,
    names: dict[str, tuple[str, ...]],
    folder: Path,
    *,
    codec: Path | None = None,
    start: Path | None = None,
    save_every: int = 250,
    workers: int = 1,
    compiled: bool = True,
    device: str | None = None,
    precision: Precision = Precision.AUTO,
    on_event: Callable[[Event[Path]], None] = lambda _: None,
    cancel: CancelToken | None = None,
) -> Path:
    """Train in `folder` up to `recipe.steps`, resuming what is there; returns the released file `pocket.safetensors`.

    `codec` holds the trained codec's weights, which stay as they are. `start` names an earlier pocket file to begin
    from: its sizes and vocabulary are taken, and its codec where `codec` is None; onto another codec it is moved by
    `transplant`. `compiled` compiles the blocks, for any shape of batch: some minutes, a third of the time from then
    on. `device` None is the fastest that there is. Under `accelerate launch` each process takes batches of its own.

    `on_event` hears a step every few steps, warnings, and the file when it is done. `cancel`, and Ctrl-C on the main
    thread, end the step, save, and raise Stopped. A killed run continues from its last checkpoint, on a CPU to the
    same weights bit for bit: batches and noise are functions of the recipe's seed and the step. Raises TrainingError
    for a run of another recipe, codec or number of processes.
    """
    accelerator, here = accelerator_on(device)
    with claimed_folder(folder) if accelerator.is_main_process else nullcontext():
        with accelerator.main_process_first():
            tokenizer = _tokenizer(folder, mixture, names, recipe, start)
        network = _prepared(recipe, mixture, tokenizer, codec=codec, start=start).to(here)
        if compiled:
            _compile_blocks(network)
        core = _core(network, recipe, accelerator, folder)
        state, share = core.state, accelerator.num_processes

        def stream() -> Iterator[PageBatch]:
            first = state.step * share + accelerator.process_index
            left = recipe.steps - state.step
            return batches(mixture, tokenizer, factor=FACTOR, first=first, count=left, workers=workers, stride=share)

        pages = _Pages(network, recipe, stream)
        core = replace(core, losses=lambda step: pages.losses(step, accelerator, here, precision))

        def hear(event: Event[Path]) -> None:
            if isinstance(event, Step):
                _log(folder / "log.jsonl", event.step, event.measures)
            on_event(event)

        released = folder / "pocket.safetensors"
        course = Course(
            folder=folder,
            core=core,
            released=released,
            release=lambda: save_pocket(
                network, tokenizer, released, training={"recipe": recipe.model_dump(mode="json"), "steps": state.step}
            ),
            measures=pages.measures,
            save_every=save_every,
            on_event=hear,
        )
        course.resume()
        return course.run(cancel)


def _prepared(
    recipe: PretrainRecipe, mixture: Mixture, tokenizer: Tokenizer, *, codec: Path | None, start: Path | None
) -> PocketNetwork:
    torch.manual_seed(recipe.seed)
    network = _network(recipe, mixture, tokenizer, codec=codec, start=start)
    network.config = replace(network.config, sample_from=recipe.sample_from)
    network.codec.eval().requires_grad_(False)
    return network


def _core(network: PocketNetwork, recipe: PretrainRecipe, accelerator: Accelerator, folder: Path) -> Core:
    return pretraining_core(
        _state(network, recipe),
        lambda _: iter(()),
        lambda step: recipe.learning_rate * _share(step, recipe),
        accelerator,
        _identity(network, recipe, accelerator),
        folder,
    )
