"""Pretraining of the pocket backbone: Muon on the blocks' matrices, AdamW on the rest, a moving average to release."""

import json
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
import torch._dynamo
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn

from triptych.data.mixture import Mixture, corpus
from triptych.errors import TrainingError
from triptych.images import write_atomic
from triptych.models.pocket.backbone import PocketConfig, PocketNetwork, save_pocket
from triptych.models.pocket.codec import PocketCodec
from triptych.models.pocket.text import train_tokenizer
from triptych.training.channels import decoder_weights
from triptych.training.pretrain.batches import batches
from triptych.training.pretrain.objective import page_loss
from triptych.training.pretrain.recipe import PretrainRecipe
from triptych.training.pretrain.state import read_state, write_state

__all__ = ["Progress", "pretrain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run is, reported every few steps."""

    step: int
    loss: float
    pure_loss: float
    """The part of the loss at t = 1."""
    learning_rate: float
    seconds: float


def _tokenizer(run: Path, mixture: Mixture, names: dict[str, tuple[str, ...]], recipe: PretrainRecipe) -> Tokenizer:
    path = run / "tokenizer.json"
    if not path.exists():
        texts = corpus(mixture, names, pages=recipe.corpus_pages)
        tokenizer = train_tokenizer(texts, size=recipe.sizes.vocabulary)
        write_atomic(path, tokenizer.to_str().encode())
    return Tokenizer.from_str(path.read_text())


def _optimizers(network: PocketNetwork, recipe: PretrainRecipe) -> dict[str, torch.optim.Optimizer]:
    blocks = [*network.transformer.transformer_blocks, *network.transformer.single_transformer_blocks]
    matrices = [p for block in blocks for p in block.parameters() if p.ndim == 2]
    taken = {id(p) for p in matrices}
    others = [p for module in (network.transformer, network.text) for p in module.parameters() if id(p) not in taken]
    return {
        "muon": torch.optim.Muon(
            matrices,
            lr=recipe.matrix_learning_rate,
            weight_decay=recipe.weight_decay,
            momentum=0.95,
            ns_steps=4,
            adjust_lr_fn="match_rms_adamw",
        ),
        "adamw": torch.optim.AdamW(
            others, lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay, fused=True
        ),
    }


def _compile_blocks(network: PocketNetwork) -> None:
    torch._dynamo.config.recompile_limit = 64
    torch._dynamo.config.accumulated_recompile_limit = 1024
    for block in (*network.transformer.transformer_blocks, *network.transformer.single_transformer_blocks):
        block.compile(dynamic=False)


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


def _log(path: Path, progress: Progress) -> None:
    with path.open("a") as file:
        file.write(json.dumps({name: getattr(progress, name) for name in Progress.__dataclass_fields__}) + "\n")


def pretrain(
    recipe: PretrainRecipe,
    mixture: Mixture,
    names: dict[str, tuple[str, ...]],
    run: Path,
    *,
    codec: Path,
    start: Path | None = None,
    save_every: int = 250,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_save: Callable[[Path, int], None] = lambda _path, _step: None,
    workers: int = 1,
    compiled: bool = True,
) -> Path:
    """Train in `run` up to `recipe.steps`, resuming what is there, and return the released file `pocket.safetensors`.

    `codec` holds the trained codec's weights, which stay as they are. `start` names an earlier pocket file to begin
    from. `compiled` compiles the blocks once for each shape of batch: a minute each, a third of the time from then on.
    A killed run continues from its last state; batches are a function of the recipe's seed and the step.
    """
    run.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(run, mixture, names, recipe)
    torch.manual_seed(recipe.seed)
    codec_weights = load_file(codec)
    sizes = recipe.sizes.model_dump() | {"vocabulary": tokenizer.get_vocab_size()}
    network = PocketNetwork(PocketConfig(channels=codec_weights["norm.running_mean"].shape[0], **sizes))
    if start is not None:
        network.load_state_dict({k: v.float() for k, v in load_file(start).items()})
    network.codec.load_state_dict(codec_weights)
    network.codec.eval().requires_grad_(False)
    average = deepcopy(network).requires_grad_(False)
    optimizers = _optimizers(network, recipe)
    if compiled:
        _compile_blocks(network)
    generator = torch.Generator().manual_seed(recipe.seed)
    first = read_state(run, weights=network, average=average, optimizers=optimizers, generator=generator)
    weights = decoder_weights(network.codec.decode, tokens=64, channels=network.codec.channels)
    rates = {"muon": recipe.matrix_learning_rate, "adamw": recipe.learning_rate}
    trained = [p for p in network.parameters() if p.requires_grad]
    stream = batches(
        mixture, tokenizer, factor=PocketCodec.factor, first=first, count=recipe.steps - first, workers=workers
    )
    seen: list[tuple[float, float]] = []
    began = time.monotonic()
    for step, batch in zip(range(first, recipe.steps), stream, strict=False):
        for name, optimizer in optimizers.items():
            optimizer.param_groups[0]["lr"] = rates[name] * _rate(step, recipe)
            optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu._is_avx512_bf16_supported()):
            draw = page_loss(network, batch, recipe, weights, generator)
        draw.loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
        if not torch.isfinite(norm):
            raise TrainingError(f"the gradient at step {step} is not finite; lower the learning rate.")
        for optimizer in optimizers.values():
            optimizer.step()
        _follow(average, network, min(recipe.ema, (step + 1) / (step + 20)))
        seen.append((draw.loss.item(), draw.pure))
        done = step + 1
        if done % 25 == 0:
            pure = [value for _, value in seen if value == value]
            progress = Progress(
                step=done,
                loss=sum(value for value, _ in seen) / len(seen),
                pure_loss=sum(pure) / max(1, len(pure)),
                learning_rate=optimizers["adamw"].param_groups[0]["lr"],
                seconds=(time.monotonic() - began) / (done - first),
            )
            _log(run / "log.jsonl", progress)
            on_progress(progress)
            seen.clear()
        if done % save_every == 0 or done == recipe.steps:
            write_state(
                run,
                step=done,
                weights=network.state_dict(),
                average=average.state_dict(),
                optimizers=optimizers,
                generator=generator,
                facts={"recipe": recipe.model_dump(mode="json")},
            )
            released = run / "pocket.safetensors"
            save_pocket(average, tokenizer, released)
            on_save(released, done)
    return run / "pocket.safetensors"
