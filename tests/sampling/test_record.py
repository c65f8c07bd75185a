"""What a PNG says of itself is enough to make it again, even where the page's own pixels do not fit."""

import base64
import json

import pytest
import torch
from PIL import Image

from triptych.errors import ImageError
from triptych.files import write_atomic
from triptych.images import load_image, read_image, read_png_text, save_png
from triptych.models.backbone import Conditioning
from triptych.models.pocket import PocketBackbone, PocketConfig, PocketNetwork
from triptych.models.pocket.text import train_tokenizer
from triptych.page import Page, Role, condition, slot
from triptych.pagefile import page_record
from triptych.sampling import Engine, Request, SkillUse, generate, record
from triptych.sampling.inputs import Keep, MissingInputsError


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
@pytest.mark.parametrize(
    ("keep", "limit"),
    [(Keep.BESIDE, record.MAX_TEXT_BYTES), (Keep.INSIDE, record.MAX_TEXT_BYTES), (Keep.INSIDE, 400_000)],
    ids=["beside", "own pixels", "as seen"],
)
def test_read_record_of_a_saved_picture_makes_the_same_pixels(backbone, tmp_path, monkeypatch, way, keep, limit):
    monkeypatch.setattr(record, "MAX_TEXT_BYTES", limit)
    page = _page()
    result = generate(backbone, page, seed=9, steps=2, conditioning=way)
    path = tmp_path / "picture.png"
    kept = record.kept_request(result.request, backbone.card, keep)
    save_png(result.images[1], path, record.result_text(result, 2, kept))
    for name, data in kept.files.items():
        write_atomic(tmp_path / name, data)
    assert bool(kept.files) == (keep is Keep.BESIDE)

    found = record.read_record(path)
    (again,) = Engine(backbone).generate(found.request)

    assert found.slot == 2
    assert [image.tobytes() for image in again.images] == [image.tobytes() for image in result.images]
    kept_size = found.request.page.conditions[0].image.size
    assert (kept_size == (300, 200)) == (limit != 400_000)


def test_recorded_request_of_too_many_pixels_says_how_many(backbone, monkeypatch):
    monkeypatch.setattr(record, "MAX_TEXT_BYTES", 70_000)

    with pytest.raises(ImageError, match="MiB"):
        record.kept_request(Request(page=_page()), backbone.card, Keep.INSIDE)


def test_recorded_request_holds_no_answers_of_the_page_itself(backbone):
    page = Page(panels=(slot("a", answer=Image.new("RGB", (8, 8))),))

    assert record.kept_request(Request(page=page), backbone.card).request["page"]["panels"][0].get("answer") is None


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


def test_read_record_from_before_sizes_were_obeyed_asks_for_what_was_made(tmp_path):
    data = Request(page=Page(panels=(slot("b"),)), size_px=64).record()
    for more, size in (({}, None), ({"inputs": []}, 64)):
        chunk = {"triptych": "0.1.0", "slot": 1, "request": data} | more
        save_png(Image.new("RGB", (8, 8)), tmp_path / "picture.png", {"triptych": json.dumps(chunk)})
        assert record.read_record(tmp_path / "picture.png").request.size_px == size


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


@pytest.fixture
def photograph(tmp_path):
    """A JPEG with a place in its EXIF, orientation and a comment."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "taken at 48.2N 16.4E"
    path = tmp_path / "my photograph.jpg"
    Image.effect_noise((320, 200), 60).convert("RGB").save(path, quality=90, exif=exif, comment="for nobody")
    return path


def test_kept_request_keeps_original_bytes_beside_and_nothing_inside(backbone, photograph):
    request = Request(page=Page(panels=(condition(load_image(photograph)), slot("b")))).settled(backbone.card)

    kept = record.kept_request(request, backbone.card)
    nowhere = record.kept_request(request, backbone.card, Keep.NOWHERE)

    assert list(kept.files.values()) == [photograph.read_bytes()]
    (entry,) = kept.inputs
    assert (entry.bytes, entry.size_px) == (photograph.stat().st_size, (200, 320))
    assert len(json.dumps(kept.request)) < 1000
    assert nowhere.request == kept.request and not nowhere.files


def test_kept_request_inside_has_the_photograph_without_what_the_camera_wrote(backbone, photograph):
    request = Request(page=Page(panels=(condition(load_image(photograph)), slot("b")))).settled(backbone.card)

    kept = record.kept_request(request, backbone.card, Keep.INSIDE)

    uri = kept.request["page"]["panels"][0]["image"]
    head, body = uri.split(",")
    data = base64.b64decode(body)
    assert head == "data:image/jpeg;base64"
    assert b"48.2N" in photograph.read_bytes() and b"48.2N" not in data and b"nobody" not in data
    assert len(data) <= photograph.stat().st_size
    assert read_image(data).tobytes() == load_image(photograph).tobytes()


def test_read_record_finds_inputs_by_their_bytes_and_says_what_it_needs(backbone, tmp_path, photograph):
    page = Page(panels=(condition(load_image(photograph)), condition(Image.new("RGB", (5, 7))), slot("b")))
    request = Request(page=page).settled(backbone.card)
    kept = record.kept_request(request, backbone.card)
    result = Engine(backbone).generate(request)[0]
    path = tmp_path / "made" / "picture.png"
    save_png(result.images[0], path, record.result_text(result, 1, kept))

    with pytest.raises(MissingInputsError, match=r"panel 1 \(200x320 px, \d+ bytes, sha256 \w{16}.*panel 2 \(5x7 px"):
        record.read_record(path)
    with pytest.raises(ImageError, match="none does not exist"):
        record.read_record(path, inputs=[tmp_path / "none"])
    write_atomic(path.with_name("another name"), list(kept.files.values())[1])
    with pytest.raises(MissingInputsError) as caught:
        record.read_record(path)
    assert "panel 1" in str(caught.value) and "panel 2" not in str(caught.value)
    found = record.read_record(path, inputs=[tmp_path])
    assert found.request.page == page
    assert found.keep is Keep.BESIDE
    photograph.write_bytes(photograph.read_bytes()[:-3] + b"abc")
    with pytest.raises(MissingInputsError, match="panel 1"):
        record.read_record(path, inputs=[tmp_path])


def test_without_inputs_takes_pictures_out_of_a_png_and_keeps_words_and_pixels(backbone, tmp_path, photograph):
    page = Page(panels=(condition(load_image(photograph)), slot("at dusk")), overview="a fox")
    (result,) = Engine(backbone).generate(Request(page=page))
    kept = record.kept_request(result.request, backbone.card, Keep.INSIDE)
    path = tmp_path / "old.png"
    save_png(result.images[0], path, record.result_text(result, 1, kept))

    words, data = record.without_inputs(path)

    assert words == "a fox at dusk"
    assert read_image(data).tobytes() == result.images[0].tobytes()
    bare = tmp_path / "bare.png"
    bare.write_bytes(data)
    assert "data:" not in read_png_text(bare)["triptych"]
    assert record.without_inputs(bare) == (words, data)
    with pytest.raises(MissingInputsError):
        record.read_record(bare)


def test_read_record_of_a_name_that_is_no_digest_reads_no_file(tmp_path):
    data = Request(page=Page(panels=(condition(Image.new("RGB", (8, 8))), slot("b")))).record(lambda _: "../secret.png")
    Image.new("RGB", (8, 8)).save(tmp_path.parent / "secret.png")
    path = tmp_path / "picture.png"
    save_png(Image.new("RGB", (8, 8)), path, {"triptych": json.dumps({"triptych": "1", "slot": 1, "request": data})})

    with pytest.raises(ImageError, match="not a digest"):
        record.read_record(path)
