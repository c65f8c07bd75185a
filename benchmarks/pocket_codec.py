"""What the pocket's codec can hold: PSNR of pictures that training never saw, beside a KLT with as many numbers.

    PYTHONPATH=src python benchmarks/pocket_codec.py [--weights POCKET] [--sides 128,256]

The KLT (PCA of 16x16 patches) is fitted on training pictures: photographs, clip art and icons in the shares of the
codec's own training. It is the ceiling that a linear code of that size has; nothing the pocket paints is sharper than
its own codec. Icon sets are stored at 128 px, so their figures at 256 px are of pictures twice enlarged.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from triptych.cli.options import sprite_folder
from triptych.data.sprites import SpriteSource
from triptych.models.pocket import load_pocket
from triptych.models.pocket.klt import FACTOR, fit_klt
from triptych.training.pretrain.pictures import PictureSource

_SHARES = {"photos": 0.45, "clipart": 0.25, "icons": 0.3}


def _tensor(pictures: list[Image.Image], side_px: int) -> Tensor:
    sized = [np.asarray(p.convert("RGB").resize((side_px, side_px), Image.Resampling.LANCZOS)) for p in pictures]
    return torch.from_numpy(np.stack(sized)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _square(picture: Image.Image) -> Image.Image:
    side = min(picture.size)
    return picture.crop((0, 0, side, side))


def _drawn(source: PictureSource, kind: str, count: int, rng: np.random.Generator) -> list[Image.Image]:
    return [_square(source.photo(rng)) if kind == "photos" else source.drawing(rng, kind) for _ in range(count)]


def _style(folder: Path, style: str, count: int) -> list[Image.Image]:
    sprites = SpriteSource(folder)
    names = sprites.names[style]
    found = []
    for name in names[:: max(1, len(names) // count)][:count]:
        figure = sprites.sprite(style, name)
        paper = Image.new("RGB", figure.size, (255, 255, 255))
        paper.paste(figure, (0, 0), figure)
        found.append(paper)
    return found


def _psnr(given: Tensor, found: Tensor) -> float:
    """Mean of the pictures' PSNR in dB, after rounding to bytes."""
    first, second = (((p.clamp(-1, 1) + 1) * 127.5).round() for p in (given, found))
    errors = (first - second).square().mean((1, 2, 3)).clamp_min(0.05)
    return float((10 * torch.log10(255**2 / errors)).mean())


def _through(given: Tensor, basis: Tensor, mean: Tensor) -> Tensor:
    rows = given.shape[-2] // FACTOR
    patches = rearrange(given, "b c (h p) (w q) -> b (h w) (p q c)", p=FACTOR, q=FACTOR)
    kept = (patches - mean) @ basis @ basis.T + mean
    return rearrange(kept, "b (h w) (p q c) -> b c (h p) (w q)", h=rows, p=FACTOR, q=FACTOR)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=None, help="a pocket's file; by default the released one")
    parser.add_argument("--sprites", type=Path, default=None)
    parser.add_argument("--sides", default="128,256")
    parser.add_argument("--count", type=int, default=100)
    asked = parser.parse_args()
    folder = sprite_folder(asked.sprites)
    codec = (load_pocket(asked.weights) if asked.weights else load_pocket()).network.codec
    rng = np.random.default_rng(0)
    seen, unseen = PictureSource(folder), PictureSource(folder, held_out=True)
    training = [p for kind, share in _SHARES.items() for p in _drawn(seen, kind, round(900 * share), rng)]
    sets = {
        "photographs, held out": _drawn(unseen, "photos", asked.count, rng),
        "clip art, held out": _drawn(unseen, "clipart", asked.count, rng),
        "twemoji": _style(folder, "twemoji", asked.count),
        "tabler": _style(folder, "tabler", asked.count),
    }
    sizes = tuple(sorted({128, codec.channels, 256, 320}))
    print(f"PSNR in dB; the codec has {codec.channels} numbers a 16x16 patch")
    print("pictures | px | codec | " + " | ".join(f"KLT {size}" for size in sizes))
    for side in (int(text) for text in asked.sides.split(",")):
        basis, mean, _ = fit_klt(_tensor(training, side), max(sizes))
        for name, pictures in sets.items():
            given = _tensor(pictures, side)
            with torch.no_grad():
                parts = [codec.decode(codec.encode(part), rows=side // FACTOR) for part in given.split(20)]
            klt = [f"{_psnr(given, _through(given, basis[:, :size], mean)):.1f}" for size in sizes]
            print(f"{name} | {side} | {_psnr(given, torch.cat(parts)):.1f} | " + " | ".join(klt), flush=True)


if __name__ == "__main__":
    main()
