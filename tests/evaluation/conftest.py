"""A folder of a few drawn sprites and a pocket with random weights: an evaluation end to end, nothing fetched."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from triptych.data.drawing import COLOURS
from triptych.data.shapes import SHAPES, draw_shape
from triptych.data.sprites import is_held_out
from triptych.evaluation.suites import Suite
from triptych.models.pocket import PocketBackbone, PocketConfig, PocketNetwork
from triptych.models.pocket.text import train_tokenizer

_STYLES = {"fluent-emoji": "shape-framed", "fluent-emoji-flat": "shape-filled", "noto": "shape-line"}


@pytest.fixture(scope="session")
def sprites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three styles of one family with the same objects, some of them held out."""
    folder = tmp_path_factory.mktemp("sprites")
    hues = [hue for hue in COLOURS if hue not in ("white", "black", "grey")]
    names = sorted(f"{hue}-{shape}" for hue in hues for shape in SHAPES)
    kept = [name for name in names if is_held_out(name)][:12] + [name for name in names if not is_held_out(name)][:12]
    for style, drawn in _STYLES.items():
        parts = [name.split("-", 1) for name in sorted(kept)]
        pictures = [np.asarray(draw_shape(shape, drawn, COLOURS[hue])) for hue, shape in parts]
        np.save(folder / f"{style}.npy", np.stack(pictures))
        (folder / f"{style}.json").write_text(json.dumps(sorted(kept)))
    return folder


@pytest.fixture(scope="session")
def pocket() -> PocketBackbone:
    torch.manual_seed(0)
    config = PocketConfig(channels=32, width=64, double_blocks=1, single_blocks=1, text_width=64, vocabulary=400)
    texts = ["a red star in flat style", "mirror it", "wide shot, on a beach at dusk"]
    return PocketBackbone(PocketNetwork(config).eval().requires_grad_(False), train_tokenizer(texts, size=400))


@pytest.fixture
def suite() -> Callable[..., Suite]:
    """A suite of small pages from rows written as plain data."""

    def make(*rows: dict[str, object], **changes: object) -> Suite:
        facts = {"title": "small", "pages": 4, "candidates": 6, "size_px": 64, "rows": rows}
        return Suite.model_validate(facts | changes)

    return make
