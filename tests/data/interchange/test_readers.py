"""The formats of other trainers, read by the trainers' own code.

Their repositories are not fetched here. Name a folder of checkouts, `musubi-tuner`, `DiffSynth-Studio`, `EasyControl`,
`OmniGen2`, in TRIPTYCH_READERS to run these. None of them is installed, so what they import for resizing, video and
their models is replaced by what these tests need of it; what opens lines and pictures is theirs.
"""

import importlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from types import ModuleType, SimpleNamespace

import pytest
import torch
from PIL import Image

from triptych.data.interchange import find_format
from triptych.data.rules import RULES
from triptych.data.sources import ShapeSource
from triptych.page import Page

_FRONTS = frozenset({"musubi_tuner", "diffsynth_data", "omnigen2_data", "src"})
HOME = Path(os.environ.get("TRIPTYCH_READERS", "/nowhere"))
pytestmark = pytest.mark.skipif(not HOME.is_dir(), reason="TRIPTYCH_READERS names no folder of checkouts")


def _pages(rule: str) -> list[Page]:
    task = RULES[rule].draw(Random(1), ShapeSource())
    return [replace(task.page(Random(seed), 32), page_id=f"{rule}/{seed}") for seed in range(2)]


class _Anything(ModuleType):
    """A module whose every name is a class that takes anything."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda *_, **__: None})


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Import a module of a checkout, with the named modules replaced."""

    def load(folder: str, module: str, *, without: tuple[str, ...] = ()) -> ModuleType:
        if not (HOME / folder).is_dir():
            pytest.skip(f"no {folder} in {HOME}")
        monkeypatch.syspath_prepend(str(HOME / folder))
        for name in without:
            monkeypatch.setitem(sys.modules, name, _Anything(name))
        return importlib.import_module(module)

    yield load
    for name in [name for name in sys.modules if name.split(".")[0] in _FRONTS]:
        del sys.modules[name]


def _same(given: Image.Image, right: Image.Image | None) -> bool:
    assert right is not None
    return given.convert("RGB").tobytes() == right.tobytes()


def test_musubi_reads_its_own_lines(peer, tmp_path: Path) -> None:
    module = peer("musubi-tuner/src", "musubi_tuner.dataset.datasources", without=("av", "cv2", "toml", "voluptuous"))
    pages = _pages("next-frame")
    find_format("musubi").write(pages, tmp_path / "set")
    source = module.ImageJsonlDatasource(str(tmp_path / "set/dataset.jsonl"))
    for index, page in enumerate(pages):
        _, images, caption, controls = source.get_image_data(index)
        assert caption == page.slots[0].instruction
        assert _same(images[0], page.slots[0].answer)
        assert all(_same(a, b.image) for a, b in zip(controls, page.conditions, strict=True))


def test_diffsynth_reads_its_own_lines(peer, tmp_path: Path) -> None:
    replaced = ("torchvision", "imageio", "imageio.v3", "pandas")
    # The package's front imports every model; only its data part is wanted.
    front = ModuleType("diffsynth_data")
    front.__path__ = [str(HOME / "DiffSynth-Studio" / "diffsynth" / "core" / "data")]
    sys.modules["diffsynth_data"] = front
    module = peer("DiffSynth-Studio", "diffsynth_data.unified_dataset", without=replaced)
    for rule, key in (("tint", "diffsynth"), ("next-frame", "diffsynth-kontext")):
        folder, pages = tmp_path / key, _pages(rule)
        find_format(key).write(pages, folder)
        column = "edit_image" if key == "diffsynth" else "kontext_images"
        operator = module.RouteByType(
            operator_map=[
                (str, module.ToAbsolutePath(str(folder)) >> module.LoadImage()),
                (list, module.SequencialProcess(module.ToAbsolutePath(str(folder)) >> module.LoadImage())),
            ]
        )
        rows = module.UnifiedDataset(
            str(folder), str(folder / "metadata.jsonl"), data_file_keys=("image", column), main_data_operator=operator
        )
        for index, page in enumerate(pages):
            row = rows[index]
            given = row[column] if isinstance(row[column], list) else [row[column]]
            assert row["prompt"] == page.slots[0].instruction
            assert _same(row["image"], page.slots[0].answer)
            assert all(_same(a, b.image) for a, b in zip(given, page.conditions, strict=True))


def test_omnigen2_reads_its_own_mix(peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    front = ModuleType("omnigen2_data")
    front.__path__ = [str(HOME / "OmniGen2" / "omnigen2")]
    sys.modules["omnigen2_data"] = front
    module = peer(
        "OmniGen2",
        "omnigen2_data.dataset.omnigen2_train_dataset",
        without=("torchvision", "omnigen2_data.pipelines", "omnigen2_data.pipelines.omnigen2",
                 "omnigen2_data.pipelines.omnigen2.pipeline_omnigen2"),
    )  # fmt: skip
    monkeypatch.setattr(
        module, "OmniGen2ImageProcessor", lambda **_: SimpleNamespace(preprocess=lambda image, **_: image)
    )
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    pages = _pages("next-frame")
    find_format("omnigen2").write(pages, tmp_path / "set")
    rows = module.OmniGen2TrainDataset(str(tmp_path / "set/mix.yml"), tokenizer=None, use_chat_template=False)
    found = {row["instruction"] + row["output_image_path"]: row for row in (rows[index] for index in range(len(rows)))}
    assert len(found) == len(pages)
    for row, page in zip((found[key] for key in sorted(found)), pages, strict=True):
        assert _same(row["output_image"], page.slots[0].answer)
        assert all(_same(a, b.image) for a, b in zip(row["input_images"], page.conditions, strict=True))


def test_easycontrol_reads_its_own_columns(peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    # Its functions are the reader; they call torchvision's transforms, so here pictures stay as they are.
    module = peer("EasyControl/train", "src.jsonl_datasets", without=("torchvision", "torchvision.transforms"))
    seen: list[Image.Image] = []

    class Kept:
        """Any transform, and the module of all of them."""

        InterpolationMode = SimpleNamespace(BILINEAR=2)

        def __init__(self, *_: object, **__: object) -> None: ...

        def __getattr__(self, name: str) -> type:
            return Kept

        def __call__(self, image: Image.Image) -> torch.Tensor:
            seen.append(image)
            return torch.zeros(3, 2, 2)

    monkeypatch.setattr(module, "transforms", Kept())
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    pages = _pages("recolour-as")
    find_format("easycontrol").write(pages, tmp_path / "set")
    arguments = SimpleNamespace(
        train_data_dir=str(tmp_path / "set/data.jsonl"), caption_column="caption", target_column="target",
        subject_column=None, spatial_column="source,source_2", cond_size=512, noise_size=1024,
    )  # fmt: skip

    def tokens(captions: list[str], **_: object) -> SimpleNamespace:
        return SimpleNamespace(input_ids=torch.zeros(len(captions), 1))

    rows = module.make_train_dataset(arguments, (tokens, tokens))
    for index, page in enumerate(pages):
        seen.clear()
        assert rows[index]["pixel_values"] is not None
        wanted = [*(panel.image for panel in page.conditions), page.slots[0].answer]
        assert all(_same(a, b) for a, b in zip(seen, wanted, strict=True))
