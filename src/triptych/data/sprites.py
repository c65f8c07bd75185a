"""Picture sets the pocket backbone is trained and measured on, rendered once to memory-mapped arrays.

A sprite is one object drawn in one style: 128x128 RGBA, straight alpha. Sets are npm packages (SVG bodies or
WebP files) under permissive licences; objects join across sets by their Unicode or icon name.
"""

import hashlib
import io
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from triptych.errors import SourceError

__all__ = [
    "EVALUATION_STYLES",
    "NPM_PACKAGES",
    "SPRITE_PX",
    "STYLES",
    "SpriteSource",
    "Style",
    "is_held_out",
    "render_sprites",
]

SPRITE_PX = 128

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """One way of drawing: `words` name it in instructions; `family` groups styles that share objects."""

    name: str
    family: str
    package: str
    words: tuple[str, ...]
    suffix: str = ""
    ink: bool = False
    """True for single-colour drawings, which may be recoloured."""


def _ph(weight: str, *words: str) -> Style:
    suffix = "" if weight == "regular" else f"-{weight}"
    return Style(name=f"ph-{weight}", family="ph", package="@iconify-json/ph", words=words, suffix=suffix, ink=True)


STYLES: dict[str, Style] = {
    style.name: style
    for style in (
        Style(
            name="noto", family="emoji", package="@iconify-json/noto", words=("cartoon style", "shaded cartoon style")
        ),
        Style(name="noto-v1", family="emoji", package="@iconify-json/noto-v1", words=("blob style",)),
        Style(
            name="fluent-emoji",
            family="emoji",
            package="@iconify-json/fluent-emoji",
            words=("gradient style", "glossy gradient style"),
        ),
        Style(
            name="fluent-emoji-flat", family="emoji", package="@iconify-json/fluent-emoji-flat", words=("flat style",)
        ),
        Style(
            name="fluent-emoji-high-contrast",
            family="emoji",
            package="@iconify-json/fluent-emoji-high-contrast",
            words=("black and white style", "high contrast style"),
            ink=True,
        ),
        Style(
            name="fluent-emoji-3d",
            family="emoji",
            package="@lobehub/fluent-emoji-3d",
            words=("3d style", "3d render style"),
        ),
        _ph("thin", "thin line style"),
        _ph("light", "light line style"),
        _ph("regular", "line style"),
        _ph("bold", "bold line style"),
        _ph("fill", "filled style"),
        _ph("duotone", "duotone style"),
        Style(
            name="icon-park", family="icon-park", package="@iconify-json/icon-park", words=("multicolour icon style",)
        ),
        Style(
            name="icon-park-outline",
            family="icon-park",
            package="@iconify-json/icon-park-outline",
            words=("outline icon style",),
            ink=True,
        ),
        Style(
            name="icon-park-solid",
            family="icon-park",
            package="@iconify-json/icon-park-solid",
            words=("solid icon style",),
            ink=True,
        ),
        Style(
            name="icon-park-twotone",
            family="icon-park",
            package="@iconify-json/icon-park-twotone",
            words=("two-tone icon style",),
            ink=True,
        ),
        Style(name="twemoji", family="emoji", package="@iconify-json/twemoji", words=("simple style",)),
        Style(name="tabler", family="tabler", package="@iconify-json/tabler", words=("round line style",), ink=True),
    )
}

EVALUATION_STYLES = frozenset({"twemoji", "tabler"})
"""Never trained on: the whole families that measure how far a style carries to sets never seen."""

_SKIP = re.compile(
    r"skin-tone|^flag-|^keycap|-(light|medium-light|medium|medium-dark|dark)$|^regional|^[0-9]$|flag-for"
)
_TABLER_SKIP = re.compile(r"^brand-|-off$|-filled$|-[0-9]+$|^letter-|^number-|^square-|^circle-|^hexagon-")


@cache
def is_held_out(name: str) -> bool:
    """True for the tenth of all object names kept for evaluation; the same in every set and style."""
    return hashlib.sha256(f"triptych:{name}".encode()).digest()[0] < 26


def install_packages(folder: Path) -> None:
    """Bring the pinned npm packages into `folder/node_modules`. Needs npm; the only step that uses the network."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {"name": "triptych-sprites", "private": True, "dependencies": NPM_PACKAGES}
    (folder / "package.json").write_text(json.dumps(manifest, indent=1))
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


def _svg_bodies(folder: Path, style: Style) -> Iterator[tuple[str, bytes]]:
    import resvg_py

    path = folder / "node_modules" / style.package / "icons.json"
    icons = json.loads(path.read_text())
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
        for entry in json.loads((folder / "node_modules/emojibase-data/en/compact.json").read_text())
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
            yield style.name, len(json.loads(names_path.read_text()))
            continue
        found: dict[str, np.ndarray] = {}
        reader = _webp_files if style.name == "fluent-emoji-3d" else _svg_bodies
        for name, blob in reader(packages, style):
            picture = Image.open(io.BytesIO(blob)).convert("RGBA")
            if picture.size != (SPRITE_PX, SPRITE_PX):
                picture = picture.resize((SPRITE_PX, SPRITE_PX), Image.Resampling.LANCZOS)
            found[name] = np.asarray(picture)
        names = sorted(found)
        np.save(array_path, np.stack([found[name] for name in names]))
        names_path.write_text(json.dumps(names))
        yield style.name, len(names)


@dataclass(frozen=True)
class SpriteSource:
    """Rendered sprites in a folder of `<style>.npy` and `<style>.json`; arrays stay on disk."""

    folder: Path

    @cached_property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Object names of each style, sorted."""
        found = {path.stem: tuple(json.loads(path.read_text())) for path in sorted(self.folder.glob("*.json"))}
        if not found:
            raise SourceError(f"no sprites in {self.folder}; run `triptych pocket sprites --out {self.folder}` first.")
        return {name: found[name] for name in STYLES if name in found}

    @cached_property
    def _rows(self) -> dict[str, dict[str, int]]:
        return {style: {name: row for row, name in enumerate(names)} for style, names in self.names.items()}

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        return {style: np.load(self.folder / f"{style}.npy", mmap_mode="r") for style in self.names}

    def has(self, style: str, name: str) -> bool:
        return name in self._rows.get(style, {})

    def sprite(self, style: str, name: str) -> Image.Image:
        """One object in one style: 128x128 RGBA."""
        try:
            row = self._rows[style][name]
        except KeyError:
            raise SourceError(
                f"no sprite of {name!r} in style {style!r}; styles here: {', '.join(self.names)}."
            ) from None
        return Image.fromarray(np.asarray(self._arrays[style][row]), "RGBA")
