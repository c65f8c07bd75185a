"""What travels with a picture: the pictures it was made from stay where the user left them unless asked otherwise."""

import json
from pathlib import Path

import pytest
from PIL import Image

from triptych.images import read_png_text, save_png


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    path = tmp_path / "album" / "holiday.jpg"
    path.parent.mkdir()
    Image.effect_noise((320, 240), 60).convert("RGB").save(path, quality=95, exif=exif)
    return path


@pytest.fixture
def made(triptych, photograph, pocket_file, tmp_path):
    def make(*more: str) -> Path:
        result = triptych(
            "generate", "--condition", photograph, "a house", "--slot", "at night", "--out", tmp_path / "out",
            "--backbone", pocket_file, "--steps", 1, *more,
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        return Path(result.stdout.strip())

    return make


def _replayed(triptych, picture: Path, pocket_file: Path, *more: object):
    return triptych("replay", picture, "--out", picture.parents[1] / "again", "--backbone", pocket_file, *more)


def test_generate_keeps_the_photograph_beside_as_it_was_and_a_small_png(triptych, made, photograph, pocket_file):
    picture = made()

    (kept,) = (picture.parent / "inputs").iterdir()
    assert kept.read_bytes() == photograph.read_bytes()
    assert len(read_png_text(picture)["triptych"]) < 1000
    assert _replayed(triptych, picture, pocket_file).exit_code == 0
    again = picture.parents[1] / "again"
    assert (again / "inputs" / kept.name).read_bytes() == photograph.read_bytes()


def test_generate_without_inputs_says_on_replay_what_it_needs(triptych, made, photograph, pocket_file):
    picture = made("--no-inputs")

    assert not (picture.parent / "inputs").exists()
    refused = _replayed(triptych, picture, pocket_file)
    assert refused.exit_code == 2
    said = " ".join(refused.stderr.split())
    assert f"panel 1 (320x240 px, {photograph.stat().st_size} bytes, sha256" in said and "--inputs" in said
    (photograph.parent / "other.txt").write_text("a note")
    photograph = photograph.rename(photograph.with_name("renamed.jpeg"))
    for named in (photograph, photograph.parent):
        found = _replayed(triptych, picture, pocket_file, "--inputs", named, "--no-inputs")
        assert found.exit_code == 0, found.output
    assert not (picture.parents[1] / "again" / "inputs").exists()


def test_generate_with_inputs_inside_replays_anywhere_and_names_no_place(triptych, made, photograph, pocket_file):
    picture = made("--inputs-inside")

    size = photograph.stat().st_size
    photograph.unlink()
    chunk = json.loads(read_png_text(picture)["triptych"])
    assert not (picture.parent / "inputs").exists()
    assert b"secret" not in picture.read_bytes()
    assert len(json.dumps(chunk)) < 1.4 * size + 1000
    assert _replayed(triptych, picture, pocket_file).exit_code == 0
    # Before there were inputs beside, the record had no such key.
    del chunk["inputs"]
    save_png(Image.open(picture), picture, {"triptych": json.dumps(chunk)})
    assert _replayed(triptych, picture, pocket_file, "--overwrite").exit_code == 0


def test_generate_with_both_ways_to_keep_inputs_is_refused(triptych, tmp_path):
    result = triptych("generate", "--slot", "a", "--no-inputs", "--inputs-inside", "--out", tmp_path / "out")

    assert result.exit_code == 2
    assert "exclude each other" in result.stderr
    assert not (tmp_path / "out").exists()


def test_page_export_of_a_png_finds_its_inputs(triptych, made, photograph, tmp_path):
    picture = made("--no-inputs")
    common = ("page", "export", picture, "--backbone", "FLUX.1-dev", "--out", tmp_path / "workflow")

    refused = triptych(*common)
    assert refused.exit_code == 2 and "--inputs" in refused.stderr
    found = triptych(*common, "--inputs", photograph)
    assert found.exit_code == 0, found.stderr
    assert (tmp_path / "workflow" / f"{picture.stem}-condition-1.png").is_file()
