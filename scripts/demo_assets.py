"""Render the demo's pictures from the npm packages that `triptych pocket sprites` installs.

Run as `python scripts/demo_assets.py PACKAGES`, where PACKAGES holds `node_modules`. Only objects that are held out
from training are taken, so that the demo shows what the model never saw.
"""

import sys
import tempfile
from pathlib import Path

from triptych.data.rendering import render_sprites
from triptych.data.sprites import SpriteSource, is_held_out

ASSETS = Path(__file__).resolve().parents[1] / "src" / "triptych" / "cli" / "demo" / "assets"
ICONS = ("avocado", "birthday-cake", "beer-mug", "icecream-five", "sailboat", "bus-two")
OBJECTS = {
    "icon-park": ICONS,
    "icon-park-outline": ICONS,
    "noto": ("beer-mug", "dog", "egg", "moose", "otter", "princess", "shopping-cart", "swan"),
}


def main(packages: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for style, count in render_sprites(packages, Path(folder), styles=tuple(OBJECTS)):
            print(style, count)
        sprites = SpriteSource(Path(folder))
        for style, names in OBJECTS.items():
            for name in names:
                if not is_held_out(name):
                    raise SystemExit(f"{name} is trained on; choose another object.")
                path = ASSETS / style / f"{name}.webp"
                path.parent.mkdir(parents=True, exist_ok=True)
                sprites.sprite(style, name).save(path, lossless=True, method=6)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
