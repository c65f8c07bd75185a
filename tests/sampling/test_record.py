"""What a PNG says of itself is enough to make it again, even where the page's own pixels do not fit."""

import json

import pytest
import torch
from PIL import Image

from triptych.errors import ImageError
from triptych.images import save_png
from triptych.models.backbone import Conditioning
from triptych.models.pocket import PocketBackbone, PocketConfig, PocketNetwork
from triptych.models.pocket.text import train_tokenizer
from triptych.page import Page, Role, condition, slot
from triptych.pagefile import page_record
from triptych.sampling import Engine, Request, SkillUse, generate, record


@pytest.fixture(scope="module")
def backbone() -> PocketBackbone:
    tokenizer = train_tokenizer(["a fox on a beach"], size=300)
    torch.manual_seed(0)
    config = PocketConfig(
        channels=8, width=64, double_blocks=1, single_blocks=1, head_width=32, vocabulary=tokenizer.get_vocab_size()
    )
    return PocketBackbone(PocketNetwork(config).eval().requires_grad_(False), tokenizer)


def _page() -> Page:
    noise = Image.effect_noise((300, 200), 90).convert("RGB")
    shown = Page(panels=(condition(noise.rotate(90)), slot(answer=noise)))
    own = (condition(noise, "a fox", role=Role.EDIT), slot("b"), slot("c", size_px=(70, 90)))
    return Page(panels=own, overview="an overview", page_id="p").with_context(shown)


@pytest.mark.parametrize("way", [Conditioning.REFERENCE, Conditioning.REPAINT])
@pytest.mark.parametrize("limit", [record.MAX_TEXT_BYTES, 400_000], ids=["own pixels", "as seen"])
def test_read_record_of_a_saved_picture_makes_the_same_pixels(backbone, tmp_path, monkeypatch, way, limit):
    monkeypatch.setattr(record, "MAX_TEXT_BYTES", limit)
    page = _page()
    result = generate(backbone, page, seed=9, steps=2, conditioning=way)
    path = tmp_path / "picture.png"
    kept = record.recorded_request(result.request, backbone.card)
    save_png(result.images[1], path, record.result_text(result, 2, kept))

    found = record.read_record(path)
    (again,) = Engine(backbone).generate(found.request)

    assert found.slot == 2
    assert again.images[1].tobytes() == result.images[1].tobytes()
    kept_size = found.request.page.conditions[0].image.size
    assert (kept_size == (300, 200)) == (limit != 400_000)


def test_recorded_request_of_too_many_pixels_says_how_many(backbone, monkeypatch):
    monkeypatch.setattr(record, "MAX_TEXT_BYTES", 70_000)

    with pytest.raises(ImageError, match="MiB"):
        record.recorded_request(Request(page=_page()), backbone.card)


def test_recorded_request_holds_no_answers_of_the_page_itself(backbone):
    page = Page(panels=(slot("a", answer=Image.new("RGB", (8, 8))),))

    assert record.recorded_request(Request(page=page), backbone.card)["page"]["panels"][0].get("answer") is None


@pytest.mark.parametrize(
    ("skill", "uses"),
    [
        (None, ()),
        ("0.5 x one + two", (SkillUse(name="one", weight=0.5), SkillUse(name="two"))),
        ("- | two", (SkillUse(name="two", slot=2),)),
    ],
)
def test_read_record_of_0_1_is_the_request_it_was(tmp_path, skill, uses):
    page = Page(panels=(condition(Image.new("RGB", (8, 8), "red"), "a fox"), slot("b"), slot("c")))
    old = {
        "version": "0.1.0",
        "backbone": "pocket",
        "skill": skill,
        "seed": 3,
        "steps": 2,
        "conditioning": "repaint",
        "guidance": None,
        "size_px": [64, 48],
        "slot": 2,
        "page": page_record(page),
    }
    path = tmp_path / "picture.png"
    save_png(Image.new("RGB", (8, 8)), path, {"triptych": json.dumps(old)})

    found = record.read_record(path)

    assert (found.slot, found.version) == (2, "0.1.0")
    assert found.request == Request(
        page=page, seed=3, steps=2, conditioning=Conditioning.REPAINT, size_px=(64, 48), skills=uses
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ({}, "does not say how it was made"),
        ({"triptych": "{}"}, "damaged"),
        ({"triptych": "no json"}, "damaged"),
    ],
)
def test_read_record_of_a_picture_without_a_whole_record_names_the_file(tmp_path, text, said):
    path = tmp_path / "picture.png"
    save_png(Image.new("RGB", (8, 8)), path, text)

    with pytest.raises(ImageError, match=f"picture.png.*{said}"):
        record.read_record(path)
