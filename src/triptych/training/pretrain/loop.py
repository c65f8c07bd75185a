"""Pretraining of the pocket backbone: Muon on the blocks' matrices, AdamW on the rest, a moving average to release."""

import json
import math
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo
from jaxtyping import Float
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from triptych.data.mixture import Mixture, corpus
from triptych.errors import TrainingError
from triptych.files import write_atomic
from triptych.models.hardware import bfloat16_is_fast
from triptych.models.pocket.backbone import (
    SIDE_PX,
    PocketConfig,
    PocketNetwork,
    pocket_config,
    pocket_tokenizer,
    pocket_weights,
    save_pocket,
)
from triptych.models.pocket.klt import FACTOR, KltCodec
from triptych.models.pocket.text import train_tokenizer
from triptych.training.channels import decoder_weights
from triptych.training.pretrain.batches import PageBatch, batches, to_unit
from triptych.training.pretrain.muon import GramMuon
from triptych.training.pretrain.objective import Draw, page_loss
from triptych.training.pretrain.recipe import PretrainRecipe
from triptych.training.pretrain.state import read_state, write_state
from triptych.training.pretrain.transplant import transplant

__all__ = ["Progress", "pretrain"]

_REPORT_EVERY = 25
_TRANSPLANT_BATCHES = 24
"""Batches whose pictures the two codes are compared on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run is, reported every few steps."""

    step: int
    loss: float
    """Mean squared error, every page alike."""
    pure_loss: float
    """The same at t = 1."""
    learning_rate: float
    seconds: float


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
    others = [p for module in (network.transformer, network.text) for p in module.parameters() if id(p) not in taken]
    return {
        "muon": GramMuon(matrices, lr=recipe.matrix_learning_rate, weight_decay=recipe.weight_decay, ns_steps=4),
        "adamw": torch.optim.AdamW(
            others, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay, fused=True
        ),
    }


def _compile_blocks(network: PocketNetwork) -> None:
    torch._dynamo.config.recompile_limit = 64  # with and without references, words and canvases, in every block
    for block in (*network.transformer.transformer_blocks, *network.transformer.single_transformer_blocks):
        block.compile(dynamic=True)


def _rate(step: int, recipe: PretrainRecipe) -> float:
    rate = min(1.0, (step + 1) / max(1, recipe.warmup))
    if recipe.decay_from is not None and step >= recipe.decay_from:
        rate *= max(0.0, (recipe.steps - step) / max(1, recipe.steps - recipe.decay_from))
    return rate


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    for mean, value in zip(average.parameters(), network.parameters(), strict=True):
        if value.requires_grad:
            mean.lerp_(value, 1 - decay)


def _progress(seen: list[Draw], *, step: int, rate: float, seconds: float) -> Progress:
    pure = [draw.pure for draw in seen if not math.isnan(draw.pure)]
    return Progress(
        step=step,
        loss=sum(draw.error for draw in seen) / len(seen),
        pure_loss=sum(pure) / max(1, len(pure)),
        learning_rate=rate,
        seconds=seconds,
    )


def _log(path: Path, progress: Progress) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({name: getattr(progress, name) for name in Progress.__dataclass_fields__}) + "\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What training changes, and what it keeps."""

    recipe: PretrainRecipe
    tokenizer: Tokenizer
    network: PocketNetwork
    average: PocketNetwork
    optimizers: dict[str, torch.optim.Optimizer]
    generator: torch.Generator
    channel_weights: Float[Tensor, " channels"]

    def step(self, number: int, batch: PageBatch) -> Draw:
        """One step of every optimizer; raises TrainingError where the gradient is not finite."""
        rates = {"muon": self.recipe.matrix_learning_rate, "adamw": self.recipe.learning_rate}
        for name, optimizer in self.optimizers.items():
            optimizer.param_groups[0]["lr"] = rates[name] * _rate(number, self.recipe)
            optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16_is_fast()):
            draw = page_loss(self.network, batch, self.recipe, self.channel_weights, self.generator)
        draw.loss.backward()
        norm = torch.nn.utils.clip_grad_norm_([p for p in self.network.parameters() if p.requires_grad], 1.0)
        if not torch.isfinite(norm):
            raise TrainingError(f"the gradient at step {number} is not finite; lower the learning rate.")
        for optimizer in self.optimizers.values():
            optimizer.step()
        _follow(self.average, self.network, min(self.recipe.ema, (number + 1) / (number + 20)))
        return replace(draw, loss=draw.loss.detach())

    def save(self, folder: Path, *, step: int) -> Path:
        """The state to resume from, and the moving average as a pocket file."""
        facts = {"recipe": self.recipe.model_dump(mode="json")}
        write_state(
            folder,
            step=step,
            weights=self.network.state_dict(),
            average=self.average.state_dict(),
            optimizers=self.optimizers,
            generator=self.generator,
            facts=facts,
        )
        released = folder / "pocket.safetensors"
        save_pocket(self.average, self.tokenizer, released, training=facts | {"steps": step})
        return released


def _prepare(
    recipe: PretrainRecipe, mixture: Mixture, tokenizer: Tokenizer, *, codec: Path | None, start: Path | None
) -> _Run:
    torch.manual_seed(recipe.seed)
    network = _network(recipe, mixture, tokenizer, codec=codec, start=start)
    network.config = replace(network.config, sample_from=recipe.sample_from)
    network.codec.eval().requires_grad_(False)
    return _Run(
        recipe=recipe,
        tokenizer=tokenizer,
        network=network,
        average=deepcopy(network).requires_grad_(False),
        optimizers=_optimizers(network, recipe),
        generator=torch.Generator().manual_seed(recipe.seed),
        channel_weights=_channel_weights(network),
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
        return network
    network = PocketNetwork(pocket_config(start))
    network.load_state_dict({name: value.float() for name, value in pocket_weights(start).items()})
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
    on_progress: Callable[[Progress], None] = lambda _: None,
    workers: int = 1,
    compiled: bool = True,
) -> Path:
    """Train in `folder` up to `recipe.steps`, resuming what is there; returns the released file `pocket.safetensors`.

    `codec` holds the trained codec's weights, which stay as they are. `start` names an earlier pocket file to begin
    from: its sizes and vocabulary are taken, and its codec where `codec` is None; onto another codec it is moved by
    `transplant`. `compiled` compiles the blocks,
    for any shape of batch: some minutes, a third of the time from then on. A killed run continues from its last
    state; batches are a function of the recipe's seed and the step.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(folder, mixture, names, recipe, start)
    run = _prepare(recipe, mixture, tokenizer, codec=codec, start=start)
    if compiled:
        _compile_blocks(run.network)
    first = read_state(
        folder, weights=run.network, average=run.average, optimizers=run.optimizers, generator=run.generator
    )
    stream = batches(mixture, tokenizer, factor=FACTOR, first=first, count=recipe.steps - first, workers=workers)
    seen: list[Draw] = []
    began = time.monotonic()
    for step, batch in zip(range(first, recipe.steps), stream, strict=False):
        seen.append(run.step(step, batch))
        done = step + 1
        if done % _REPORT_EVERY == 0:
            rate = run.optimizers["adamw"].param_groups[0]["lr"]
            progress = _progress(seen, step=done, rate=rate, seconds=(time.monotonic() - began) / (done - first))
            _log(folder / "log.jsonl", progress)
            on_progress(progress)
            seen.clear()
        if done % save_every == 0 or done == recipe.steps:
            run.save(folder, step=done)
    return folder / "pocket.safetensors"
