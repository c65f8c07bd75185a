"""Save and load of the pocket, and pages through the whole of it."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from triptych.errors import BackboneError
from triptych.models.backbone import Conditioning
from triptych.models.pocket import PocketBackbone, PocketConfig, load_pocket, save_pocket
from triptych.models.pocket.backbone import pocket_card
from triptych.page import Page, condition, slot
from triptych.sampling import Request, generate


def _page() -> Page:
    fox = Image.linear_gradient("L").resize((128, 128)).convert("RGB")
    return Page(panels=(condition(fox, "a red fox"), slot("mirror it"), slot("the same in flat style")))


def test_save_then_load_gives_the_same_pictures(pocket: PocketBackbone, tmp_path: Path) -> None:
    save_pocket(pocket.network, pocket.tokenizer, tmp_path / "pocket.safetensors", dtype=torch.float32)
    again = load_pocket(tmp_path / "pocket.safetensors", dtype=torch.float32, packed=False)
    assert generate(pocket, _page(), seed=3, steps=2).images == generate(again, _page(), seed=3, steps=2).images


def test_load_pocket_of_a_file_without_config_says_so(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(BackboneError, match="not a pocket"):
        load_pocket(tmp_path / "other.safetensors")


def test_generate_same_seed_same_pixels_and_another_seed_others(pocket: PocketBackbone) -> None:
    one, two = (generate(pocket, _page(), seed=5, steps=2).images for _ in range(2))
    assert one == two
    assert generate(pocket, _page(), seed=6, steps=2).images != one


def test_generate_by_repaint_returns_the_users_own_condition(pocket: PocketBackbone) -> None:
    page = _page()
    result = generate(pocket, page, seed=1, steps=2, conditioning=Conditioning.REPAINT)
    assert len(result.images) == 2
    assert result.page.panels[0].image is page.panels[0].image


def test_pocket_of_the_second_codec_is_a_reference_model() -> None:
    card = pocket_card(PocketConfig(codec="klt", channels=256))
    with pytest.raises(BackboneError, match=r"repaint.*reference"):
        Request(page=_page(), conditioning=Conditioning.REPAINT).settled(card)
