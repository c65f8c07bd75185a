"""Rendering of the picture sets, once: npm packages of SVG bodies or WebP files to arrays that `SpriteSource` reads."""

import io
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from triptych.data.sprites import SPRITE_PX, STYLES, Style
from triptych.errors import SourceError

__all__ = ["NPM_PACKAGES", "install_packages", "render_sprites"]

# Pinned, so that a recipe names the very pictures it was trained on.
NPM_PACKAGES = {
    "@iconify-json/noto": "1.2.9",
    "@iconify-json/noto-v1": "1.2.5",
    "@iconify-json/fluent-emoji": "1.2.7",
    "@iconify-json/fluent-emoji-flat": "1.2.6",
    "@iconify-json/fluent-emoji-high-contrast": "1.2.6",
    "@iconify-json/ph": "1.2.2",
    "@iconify-json/icon-park": "1.2.4",
    "@iconify-json/icon-park-outline": "1.2.4",
    "@iconify-json/icon-park-solid": "1.2.4",
    "@iconify-json/icon-park-twotone": "1.2.4",
    "@iconify-json/twemoji": "1.2.5",
    "@iconify-json/tabler": "1.2.41",
    "@lobehub/fluent-emoji-3d": "1.1.0",
    "emojibase-data": "17.0.0",
}


_SKIP = re.compile(
    r"skin-tone|^flag-|^keycap|-(light|medium-light|medium|medium-dark|dark)$|^regional|^[0-9]$|flag-for"
)
_TABLER_SKIP = re.compile(r"^brand-|-off$|-filled$|-[0-9]+$|^letter-|^number-|^square-|^circle-|^hexagon-")


def install_packages(folder: Path) -> None:
    """Bring the pinned npm packages into `folder/node_modules`. Needs npm; the only step that uses the network."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {"name": "triptych-sprites", "private": True, "dependencies": NPM_PACKAGES}
    (folder / "package.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    try:
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=folder,
            check=True,
            capture_output=True,
        )
    except FileNotFoundError as error:
        raise SourceError(
            "npm was not found; the picture sets are npm packages. Install Node.js 20 or newer."
        ) from error
    except subprocess.CalledProcessError as error:
        raise SourceError(
            f"npm could not install the picture sets in {folder}: {error.stderr.decode()[-400:]}"
        ) from error


def _file(folder: Path, name: str) -> Path:
    path = folder / "node_modules" / name
    if not path.is_file():
        raise SourceError(f"no {name} in {folder / 'node_modules'}; `triptych pocket sprites` installs it with npm.")
    return path


def _svg_bodies(folder: Path, style: Style) -> Iterator[tuple[str, bytes]]:
    import resvg_py

    icons = json.loads(_file(folder, f"{style.package}/icons.json").read_text(encoding="utf-8"))
    side = (icons.get("width", 16), icons.get("height", 16))
    weights = ("thin", "light", "bold", "fill", "duotone")
    for key, icon in icons["icons"].items():
        if style.family == "ph":
            name, _, weight = key.rpartition("-")
            name, suffix = (name, f"-{weight}") if weight in weights else (key, "")
            if suffix != style.suffix:
                continue
        else:
            name = key
        if (style.family == "emoji" and _SKIP.search(name)) or (style.family == "tabler" and _TABLER_SKIP.search(name)):
            continue
        width, height = icon.get("width", side[0]), icon.get("height", side[1])
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="0 0 {width} {height}" color="black">{icon["body"]}</svg>'
        )
        yield name, bytes(resvg_py.svg_to_bytes(svg_string=svg, width=SPRITE_PX, height=SPRITE_PX))


def _webp_files(folder: Path, style: Style) -> Iterator[tuple[str, bytes]]:
    names = {
        entry["hexcode"].lower(): re.sub(r"[^a-z0-9]+", "-", entry["label"].lower()).strip("-")
        for entry in json.loads(_file(folder, "emojibase-data/en/compact.json").read_text(encoding="utf-8"))
    }
    for path in sorted((folder / "node_modules" / style.package / "assets").glob("*.webp")):
        name = names.get(path.stem) or names.get(path.stem.replace("-fe0f", ""))
        if name and not _SKIP.search(name):
            yield name, path.read_bytes()


def render_sprites(packages: Path, out: Path, *, styles: tuple[str, ...] = tuple(STYLES)) -> Iterator[tuple[str, int]]:
    """Render each style of `packages` into `out/<style>.npy` and `.json`, skipping those there: (style, count)."""
    out.mkdir(parents=True, exist_ok=True)
    for style in (STYLES[name] for name in styles):
        array_path, names_path = out / f"{style.name}.npy", out / f"{style.name}.json"
        if names_path.exists():
            yield style.name, len(json.loads(names_path.read_text(encoding="utf-8")))
            continue
        found: dict[str, np.ndarray] = {}
        reader = _webp_files if style.name == "fluent-emoji-3d" else _svg_bodies
        for name, blob in reader(packages, style):
            picture = Image.open(io.BytesIO(blob)).convert("RGBA")
            if picture.size != (SPRITE_PX, SPRITE_PX):
                picture = picture.resize((SPRITE_PX, SPRITE_PX), Image.Resampling.LANCZOS)
            found[name] = np.asarray(picture)
        if not found:
            raise SourceError(f"{style.package} in {packages} has no drawing of the style {style.name!r}.")
        names = sorted(found)
        np.save(array_path, np.stack([found[name] for name in names]))
        names_path.write_text(json.dumps(names), encoding="utf-8")
        yield style.name, len(names)
