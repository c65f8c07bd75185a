"""Sources: shapes, sprites on disk, a folder of pictures."""

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from tiny_profiles import display_p3
from triptych.data.rules import RULES, check, find_rule
from triptych.data.sources import FolderSource, ShapeSource, SpriteScenes, actors
from triptych.data.sprites import SpriteSource
from triptych.errors import ImageError, SourceError


@pytest.fixture
def sprites(tmp_path: Path) -> SpriteSource:
    """Three styles with random blobs; one of them is for evaluation only, one is ink."""
    return _rendered(tmp_path, "noto", "fluent-emoji-high-contrast", "twemoji")


def _rendered(folder: Path, *styles: str) -> SpriteSource:
    rng = np.random.default_rng(0)
    names = [f"thing-{index}" for index in range(25)]
    for style in styles:
        array = np.zeros((25, 128, 128, 4), dtype=np.uint8)
        for index in range(25):
            y, x = rng.integers(10, 60, 2)
            array[index, y : y + 50, x : x + 40] = (*rng.integers(0, 256, 3), 255)
        np.save(folder / f"{style}.npy", array)
        (folder / f"{style}.json").write_text(json.dumps(names))
    return SpriteSource(folder)


def test_sprite_scenes_default_leaves_out_evaluation_styles(sprites: SpriteSource) -> None:
    assert set(SpriteScenes(sprites).styles) == {"noto", "fluent-emoji-high-contrast"}
    assert SpriteScenes(sprites, styles=("twemoji",)).styles == ("twemoji",)


def test_sprite_scenes_name_filter_holds_for_every_draw(sprites: SpriteSource) -> None:
    source = SpriteScenes(sprites, names=lambda name: name.endswith("7"))
    rng = Random(0)
    assert {source.sprite(rng).name for _ in range(40)} == {"thing-7", "thing-17"}


def test_sprite_scenes_filter_that_leaves_nothing_raises(sprites: SpriteSource) -> None:
    with pytest.raises(SourceError, match="leaves no object"):
        SpriteScenes(sprites, names=lambda _: False).sprite(Random(0))


def test_sprite_scenes_unknown_style_raises(sprites: SpriteSource) -> None:
    with pytest.raises(SourceError, match="no sprites of style 'oil'"):
        SpriteScenes(sprites, styles=("oil",)).sprite(Random(0))


def test_twins_are_one_object_in_two_styles(sprites: SpriteSource) -> None:
    source = SpriteScenes(sprites)
    pair = source.style_pair(Random(1))
    first, second = source.twins(Random(2), pair)
    assert first.name == second.name
    assert (first.style, second.style) == pair


def test_style_pairs_given_are_the_only_changes_of_style(sprites: SpriteSource) -> None:
    wanted = (("noto", "fluent-emoji-high-contrast"), ("noto", "twemoji"))
    source = SpriteScenes(sprites, styles=("noto", "twemoji", "fluent-emoji-high-contrast"), style_pairs=wanted)
    rng = Random(0)
    assert {source.style_pair(rng) for _ in range(60)} == set(wanted)


def test_style_pair_takes_every_hand_alike_and_two_hands_seldom(tmp_path: Path) -> None:
    lines = ("ph-thin", "ph-light", "ph-regular", "ph-bold")
    source = SpriteScenes(_rendered(tmp_path, "noto", "fluent-emoji", "fluent-emoji-flat", *lines))
    rng = Random(0)
    pairs = [source.style_pair(rng) for _ in range(2000)]
    shares = {
        kind: sum(all(style.startswith(kind) for style in pair) for pair in pairs) / 2000 for kind in ("fluent", "ph")
    }
    assert shares["fluent"] == pytest.approx(0.45, abs=0.05)
    assert shares["ph"] == pytest.approx(0.45, abs=0.05)
    assert ("noto", "fluent-emoji") in pairs


def test_actors_are_different_objects_of_one_style(sprites: SpriteSource) -> None:
    found = actors(SpriteScenes(sprites), Random(3), 4)
    assert len({sprite.name for sprite in found}) == 4
    assert len({sprite.style for sprite in found}) == 1


def test_actors_more_than_there_are_raises(sprites: SpriteSource) -> None:
    with pytest.raises(SourceError, match="fewer than 3 objects"):
        actors(SpriteScenes(sprites, names=lambda name: name.endswith("7")), Random(3), 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(5)
    for index in range(6):
        small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((160, 120), Image.Resampling.BICUBIC).save(tmp_path / f"photo{index}.jpg")
    cut = Image.new("RGBA", (90, 60), (0, 0, 0, 0))
    cut.paste((200, 30, 30, 255), (10, 10, 60, 50))
    cut.save(tmp_path / "cut_out.png")
    return tmp_path


def test_folder_source_picture_with_alpha_stays_an_object(folder: Path) -> None:
    rng = Random(0)
    found = {sprite.name: sprite for sprite in (FolderSource(folder).sprite(rng) for _ in range(60))}
    assert found["cut-out"].picture.getpixel((0, 256)) == (0, 0, 0, 0)
    assert found["cut-out"].picture.getpixel((256, 256)) == (200, 30, 30, 255)


def test_folder_source_photographs_stand_in_for_objects_with_their_own_edges(folder: Path) -> None:
    rng = Random(0)
    found = {sprite.name: sprite.picture for sprite in (FolderSource(folder).sprite(rng) for _ in range(60))}
    box = found["photo1"].getchannel("A").getbbox()
    assert box is not None and (box[2] - box[0], box[3] - box[1]) == (512, 384)
    assert found["photo1"].crop(box).getchannel("A").getextrema() == (255, 255)


def test_folder_source_with_enough_objects_takes_no_photograph_for_one(folder: Path) -> None:
    for number in range(3):
        Image.open(folder / "cut_out.png").save(folder / f"object{number}.webp", lossless=True)
    rng = Random(0)
    names = {FolderSource(folder).sprite(rng).name for _ in range(60)}
    assert names == {"cut-out", "object0", "object1", "object2"}


def test_folder_source_whole_pictures_are_photographs_as_they_are(tmp_path: Path) -> None:
    photo = Image.effect_noise((96, 64), 60).convert("RGB")
    photo.save(tmp_path / "IMG_1.TIF")
    shown = FolderSource(tmp_path).look(Random(0), 64, figure=False).render()
    assert shown.tobytes() == photo.crop((16, 0, 80, 64)).tobytes()


def test_folder_source_16_bit_and_tagged_pictures_are_read_as_everywhere(tmp_path: Path) -> None:
    deep, tagged = tmp_path / "deep", tmp_path / "tagged"
    deep.mkdir()
    tagged.mkdir()
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(ramp).save(deep / "a.png")
    grey = np.asarray(FolderSource(deep).look(Random(0), 64, figure=False).render())
    assert np.abs(grey[..., 0] - ramp / 257.0).max() <= 1
    Image.new("RGB", (64, 64), (234, 51, 35)).save(tagged / "a.png", icc_profile=display_p3())
    red = FolderSource(tagged).look(Random(0), 64, figure=False).render().getpixel((9, 9))
    assert np.abs(np.subtract(red, (255, 0, 0))).max() <= 3


def test_folder_source_of_photographs_refuses_rules_that_need_an_object(tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 60).convert("RGB").save(tmp_path / "a.jpg")
    with pytest.raises(SourceError, match="photographs alone; add cut-outs"):
        check(RULES["sticker"], FolderSource(tmp_path), 1)


@pytest.mark.parametrize("name", ["tint", "mirror", "frame", "mirror+negative", "sticker", "line-up"])
def test_folder_source_feeds_rules(folder: Path, name: str) -> None:
    report = check(find_rule(name), FolderSource(folder), 4)
    assert (report.own, report.copied) == (1.0, 0.0)


def test_folder_source_feeds_chains_with_whole_photographs(tmp_path: Path) -> None:
    photo = Image.effect_noise((64, 64), 60).convert("RGB")
    photo.save(tmp_path / "a.png")
    page = find_rule("mirror+negative").draw(Random(0), FolderSource(tmp_path)).page(Random(0), 64)
    assert page.conditions[0].image is not None and page.conditions[0].image.tobytes() == photo.tobytes()


def test_folder_source_empty_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no pictures in"):
        FolderSource(tmp_path).look(Random(0), 64)


def test_folder_source_broken_file_raises_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"a\.png is not an image of a known format"):
        FolderSource(tmp_path).look(Random(0), 64, figure=False)


def test_folder_source_asked_for_two_styles_raises(folder: Path) -> None:
    with pytest.raises(SourceError, match="one style only"):
        RULES["restyle"].draw(Random(0), FolderSource(folder))


def test_shape_source_ink_sprites_are_black() -> None:
    sprite = ShapeSource().sprite(Random(0), ink=True)
    assert sprite.ink
    opaque = np.asarray(sprite.picture)[np.asarray(sprite.picture)[..., 3] == 255]
    assert (opaque[:, :3] == 0).all()


def test_tinted_ink_takes_the_colour() -> None:
    sprite = ShapeSource().sprite(Random(0), ink=True).tinted((10, 200, 30))
    opaque = np.asarray(sprite.picture)[np.asarray(sprite.picture)[..., 3] == 255]
    assert (opaque[:, :3] == (10, 200, 30)).all()
