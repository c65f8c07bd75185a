"""Seconds a page and peak memory: ours against diffusers' own FLUX.2 klein pipelines driving the same pocket weights.

    PYTHONPATH=src python benchmarks/pocket_sampling.py [--docs docs/pocket/speed.md] [--pages 3x1 3x4 8x4]

On a machine with nothing else to do. Every contender fills the same slots of the same pages with the same text, noise
levels and noise, in a process of its own; a stock pipeline fills one slot at a time, so m slots are m calls, and
computes with torch's own linear layers, as diffusers does; a *packed* pipeline gets weights laid out as ours are. The
tables come in the order of the pocket's own choice: bfloat16 first where the processor has it, then float32. The best
of several runs counts, and outputs are compared before anything is timed.
"""

import argparse
import itertools
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, Flux2KleinKVPipeline, Flux2KleinPipeline
from einops import rearrange
from PIL import Image
from torch import Tensor, nn

from triptych.files import write_atomic
from triptych.flow import euler_step
from triptych.models.backbone import Conditions, Grid, Targets, Text
from triptych.models.hardware import bfloat16_is_fast
from triptych.models.packed_linear import pack_linears
from triptych.models.placing import compile_blocks
from triptych.models.pocket import PocketBackbone, load_pocket
from triptych.models.pocket.in_diffusers import in_diffusers
from triptych.models.reading import read

STEPS = 8
WORDS = 16
SIDE = 8
STOCK = ("ours, cached", "ours, compiled", "ours, uncached", "Flux2KleinPipeline", "Flux2KleinKVPipeline")
PACKED = ("ours, cached", "Flux2KleinPipeline, packed", "Flux2KleinKVPipeline, packed")
PAGES = tuple(itertools.product((1, 3, 8), (1, 2, 4)))
FEW = ((3, 1), (3, 4), (8, 4))
Contender = Callable[[], Tensor]
HEAD = """\
# How fast the pocket is

Seconds a page of n conditions and m slots, beside diffusers' own pipelines driving the same weights: {threads} threads,
{steps} steps, {words} tokens of text a slot, panels of 128 px, the best of {repeats}, each in a process of its own.
Made by `benchmarks/pocket_sampling.py`. Back to [the card](../pocket.md).

**Reading it.** In brackets is the time as a multiple of the first contender's. *Cached* reads the conditions once, as
`Flux2KleinKVPipeline` does; *uncached* reads them in every step, as `Flux2KleinPipeline` does. *Compiled* is cached
with compiled blocks, compiling not counted. A pipeline fills one slot a call, so m slots are m calls; ours fills them
together, so that they see each other, which is the same work only for m = 1: there the largest difference of any pixel
between all of a row is given, of a range of 2. Ours multiplies with weights laid out for the processor
(`PackedLinear`), the pipelines with torch's own layers, but for those named *packed*, which get the same weights as
ours. The pocket's default is one step, to which no cache matters.
"""
REPORTED = """
## bfloat16, the default where the processor has it

| n | m | Flux2KleinPipeline | Flux2KleinKVPipeline |
|---|---|---|---|
| 3 | 1 | 1.8x | 1.1x |
| 3 | 4 | 3.4x | 1.9x |
| 8 | 4 | 5.6x | 2.2x |

How many times as long they take as ours, cached; the same weights, two threads, eight steps. The processor on which the
other tables were made has no units for bfloat16: these figures were reported to us from one that has (issue 19).
"""


class _Vae(nn.Module):
    """The pocket's codec behind the part of `AutoencoderKLFlux2` that the pipelines call: 2x2 patches of f8 latents."""

    def __init__(self, backbone: PocketBackbone) -> None:
        super().__init__()
        self.codec = backbone.network.codec
        width = backbone.card.channels
        self.config = SimpleNamespace(block_out_channels=(1, 1, 1, 1), batch_norm_eps=0.0, latent_channels=width // 4)
        self.bn = SimpleNamespace(running_mean=torch.zeros(width), running_var=torch.ones(width))
        self.dtype = backbone.dtype
        self.device = torch.device("cpu")

    def encode(self, image: Tensor) -> SimpleNamespace:
        tokens = rearrange(self.codec.encode(image), "b (h w) c -> b c h w", h=image.shape[-2] // 16)
        return SimpleNamespace(latents=rearrange(tokens, "b (c p q) h w -> b c (h p) (w q)", p=2, q=2))

    def decode(self, latents: Tensor, return_dict: bool = False) -> tuple[Tensor]:  # noqa: ARG002
        tokens = rearrange(latents, "b c (h p) (w q) -> b (h w) (c p q)", p=2, q=2)
        return (self.codec.decode(tokens, rows=latents.shape[-2] // 2).clamp(-1, 1),)


def _inputs(channels: int, text_width: int, n: int, m: int) -> tuple[list[Image.Image], Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    random = np.random.default_rng(0)
    images = [Image.fromarray(random.integers(0, 256, (128, 128, 3), dtype=np.uint8)) for _ in range(n)]
    text = torch.randn(m, WORDS, text_width, generator=generator)
    noise = torch.randn(m, SIDE * SIDE, channels, generator=generator)
    return images, text, noise


def _levels() -> list[float]:
    return [float(level) for level in np.linspace(1.0, 1 / STEPS, STEPS, dtype=np.float32)]


def _ours(backbone: PocketBackbone, n: int, m: int, *, cached: bool) -> Contender:
    """All slots jointly; with one slot this is the very computation of the stock pipelines."""
    config = backbone.network.config
    images, *tensors = _inputs(config.channels, config.text_width, n, m)
    text, noise = (tensor.to(backbone.dtype) for tensor in tensors)

    def run() -> Tensor:
        pixels = torch.stack([torch.from_numpy(np.array(image)) for image in images]).permute(0, 3, 1, 2)
        references = rearrange(backbone.encode_images(pixels.float() / 127.5 - 1), "n t c -> 1 (n t) c")
        places = torch.zeros(m, WORDS, 4)
        places[:, :, 0] = torch.arange(m)[:, None]
        places[:, :, 3] = torch.arange(WORDS)
        grids = tuple(Grid(frame=10 * (i + 1), rows=SIDE, columns=SIDE) for i in range(n))
        words = Text(embeds=text.reshape(1, m * WORDS, -1), positions=places.reshape(-1, 4))
        conditions = Conditions(tokens=references, grids=grids)
        context = read(backbone, words, conditions)
        targets = Targets(grids=tuple(Grid(frame=slot, rows=SIDE, columns=SIDE) for slot in range(m)))
        tokens = noise.reshape(1, m * SIDE * SIDE, -1)
        levels = [*_levels(), 0.0]
        for t, t_next in itertools.pairwise(levels):
            if not cached:
                context = read(backbone, words, conditions)
            velocity = backbone.velocity(tokens, torch.tensor([t]), context, targets)
            tokens = euler_step(tokens, velocity, t, t_next)
        return backbone.decode_images(tokens.reshape(m, SIDE * SIDE, -1), Grid(frame=0, rows=SIDE, columns=SIDE))

    return run


def _pipeline(backbone: PocketBackbone, n: int, m: int, kind: type, *, packed: bool) -> Contender:
    config = backbone.network.config
    images, *tensors = _inputs(config.channels, config.text_width, n, m)
    text, noise = (tensor.to(backbone.dtype) for tensor in tensors)
    transformer = in_diffusers(backbone.transformer)
    if packed:
        pack_linears(transformer)
    pipeline = kind(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=1.0),
        vae=None,
        text_encoder=None,
        tokenizer=None,
        transformer=transformer,
    )
    pipeline.vae = _Vae(backbone)
    pipeline.set_progress_bar_config(disable=True)

    def run() -> Tensor:
        pictures = []
        for slot in range(m):
            options = {} if kind is Flux2KleinKVPipeline else {"guidance_scale": 1.0}
            pictures.append(
                pipeline(
                    image=list(images),
                    prompt_embeds=text[slot : slot + 1],
                    latents=rearrange(noise[slot : slot + 1], "b (h w) c -> b c h w", h=SIDE),
                    num_inference_steps=STEPS,
                    sigmas=_levels(),
                    height=128,
                    width=128,
                    output_type="pt",
                    **options,
                ).images
            )
        return torch.cat(pictures) * 2 - 1

    return run


def _contender(name: str, backbone: PocketBackbone, n: int, m: int) -> Contender:
    match name:
        case "ours, cached" | "ours, compiled":
            return _ours(backbone, n, m, cached=True)
        case "ours, uncached":
            return _ours(backbone, n, m, cached=False)
        case _:
            kind = Flux2KleinPipeline if "KV" not in name else Flux2KleinKVPipeline
            return _pipeline(backbone, n, m, kind, packed=name.endswith("packed"))


@torch.no_grad()
def measure(name: str, n: int, m: int, repeats: int, dtype: torch.dtype) -> dict[str, float]:
    """Best seconds of `repeats`, peak resident megabytes, and for one slot the largest difference from ours."""
    backbone = load_pocket(dtype=dtype, packed=not name.startswith("Flux2") or name.endswith("packed"))
    expected = _ours(backbone, n, m, cached=True)() if m == 1 else None
    if name == "ours, compiled":
        compile_blocks(backbone)
    run = _contender(name, backbone, n, m)
    picture = run()
    difference = float((picture - expected).abs().max()) if expected is not None else float("nan")
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": min(seconds), "megabytes": peak, "difference": difference}


def _cells(rows: dict[str, dict[str, float]], n: int, m: int) -> list[str]:
    ours = next(iter(rows.values()))["seconds"]
    times = [f"{row['seconds']:.3f} ({row['seconds'] / ours:.1f}x)" for row in rows.values()]
    peaks = [f"{row['megabytes']:.0f}" for row in rows.values()]
    worst = max(row["difference"] for row in rows.values())
    return [str(n), str(m), *times, ", ".join(peaks), "" if math.isnan(worst) else f"{worst:.0e}"]


def _table(contenders: Sequence[str], pages: Sequence[tuple[int, int]], repeats: int, dtype: torch.dtype) -> str:
    heading = ("n", "m", *contenders, "peak MB, in this order", "largest difference, m = 1")
    lines = [f"| {' | '.join(heading)} |", "|---" * len(heading) + "|"]
    print("\n".join(lines), flush=True)
    for n, m in pages:
        rows = {name: _in_its_own_process(name, n, m, repeats, dtype) for name in contenders}
        lines.append(f"| {' | '.join(_cells(rows, n, m))} |")
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure every contender in a fresh process, print a line for each n and m, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--docs", type=Path, help="the page to write")
    parser.add_argument("--pages", nargs="+", metavar="NxM", help="pages of the first tables; by default nine")
    parser.add_argument("--without", nargs="+", default=(), choices=STOCK[1:], help="contenders to leave out")
    parser.add_argument("--one", nargs=4, metavar=("CONTENDER", "N", "M", "DTYPE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        name, n, m, dtype = arguments.one
        print(json.dumps(measure(name, int(n), int(m), arguments.repeats, getattr(torch, dtype))))
        return
    stock = [name for name in STOCK if name not in arguments.without]
    asked = [tuple(map(int, page.split("x"))) for page in arguments.pages or ()]
    own = bfloat16_is_fast()
    parts = [HEAD.format(threads=torch.get_num_threads(), steps=STEPS, words=WORDS, repeats=arguments.repeats)]
    if not own:
        parts.append(REPORTED)
    for dtype in (torch.bfloat16, torch.float32) if own else (torch.float32,):
        name = str(dtype).removeprefix("torch.")
        default = ", the default where the processor has it" if dtype is torch.bfloat16 else ""
        parts.append(f"\n## {name}{default}\n\n{_table(stock, asked or PAGES, arguments.repeats, dtype)}")
        parts.append(f"\n### The same, the pipelines packed\n\n{_table(PACKED, FEW, arguments.repeats, dtype)}")
    if arguments.docs:
        write_atomic(arguments.docs, "".join(parts).encode())


def _in_its_own_process(name: str, n: int, m: int, repeats: int, dtype: torch.dtype) -> dict[str, float]:
    one = [name, str(n), str(m), str(dtype).removeprefix("torch.")]
    command = [sys.executable, __file__, "--repeats", str(repeats), "--one", *one]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
