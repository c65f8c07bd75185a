"""Exports beside sd-scripts' own conversion of the same LoRA.

Name a folder that holds a checkout `sd-scripts` in TRIPTYCH_READERS to run this. It is not installed: what its module
imports for its log is replaced.
"""

import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from tiny_models import flux1
from tiny_training import random_skill
from triptych.models.flux1.backbone import Flux1
from triptych.models.keyformats import KeyFormat, exported

CONVERSION = Path(os.environ.get("TRIPTYCH_READERS", "/nowhere")) / "sd-scripts" / "networks" / "convert_flux_lora.py"
pytestmark = pytest.mark.skipif(not CONVERSION.is_file(), reason="TRIPTYCH_READERS names no folder with sd-scripts")


@pytest.fixture
def conversion(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    utils = ModuleType("library.utils")
    utils.setup_logging = lambda: None  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "library", ModuleType("library"))
    monkeypatch.setitem(sys.modules, "library.utils", utils)
    spec = importlib.util.spec_from_file_location("convert_flux_lora", CONVERSION)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def updates(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What each layer of a kohya file adds to its weight, as sd-scripts computes it."""
    stems = {name.removesuffix(".alpha") for name in tensors if name.endswith(".alpha")}
    assert len(tensors) == 3 * len(stems)
    found = {}
    for stem in stems:
        down, up = tensors[f"{stem}.lora_down.weight"], tensors[f"{stem}.lora_up.weight"]
        found[stem] = tensors[f"{stem}.alpha"] / len(down) * up @ down
    return found


@pytest.mark.parametrize("patterns", [("transformer_blocks.*",), ("single_transformer_blocks.*",)])
def test_flux1_in_kohyas_keys_is_what_sd_scripts_makes_of_diffusers_keys(
    conversion: ModuleType, patterns: tuple[str, ...]
) -> None:
    skill = random_skill(flux1(Flux1), patterns=patterns)
    skill = replace(skill, card=skill.card.model_copy(update={"family": "flux1"}))
    theirs = updates(conversion.convert_ai_toolkit_to_sd_scripts(exported(skill, KeyFormat.DIFFUSERS)))
    ours = updates(exported(skill, KeyFormat.KOHYA))
    assert ours.keys() == theirs.keys() and any("qkv" in name or "linear1" in name for name in ours)
    for name, update in ours.items():
        torch.testing.assert_close(update, theirs[name], atol=1e-5, rtol=1e-5)
