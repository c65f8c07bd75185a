"""Whatever is wrong: one message that names it, exit code 2, and nothing half-written."""

import io
import json
import os
import resource
import signal
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from PIL import Image

_PNG = io.BytesIO()
Image.effect_noise((64, 64), 80).convert("RGB").save(_PNG, "PNG")


def _bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in a few hundred bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


_BAD_PICTURES = {
    "empty.png": (b"", "empty"),
    "truncated.png": (_PNG.getvalue()[:2000], "damaged or cut short"),
    "bomb.png": (_bomb(), "pixels"),
    "text.png": (b"not a picture at all", "not an image"),
    "script.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
}


def _failed(result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith(("error: ", "Usage: ", "Error: "))
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize("name", _BAD_PICTURES)
def test_generate_from_a_bad_picture_names_panel_and_file(triptych, fox, tmp_path, name):
    data, said = _BAD_PICTURES[name]
    (tmp_path / name).write_bytes(data)

    result = triptych(
        "generate", "--condition", fox, "--condition", tmp_path / name, "--slot", "--out", tmp_path / "out"
    )

    _failed(result, "panel 2", name, said)
    assert not (tmp_path / "out").exists()


def test_generate_from_a_missing_picture_names_panel_and_file(triptych, tmp_path):
    _failed(triptych("generate", "--condition", tmp_path / "no.png", "--slot"), "panel 1", "no.png", "does not exist")


def test_generate_from_a_folder_as_picture_names_it(triptych, tmp_path):
    _failed(triptych("generate", "--condition", tmp_path, "--slot"), "panel 1", "not a file")


def test_generate_from_an_animated_wrongly_named_picture_takes_the_first_frame(triptych, pocket_file, tmp_path):
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.jpg", format="GIF", save_all=True, append_images=frames[1:])

    result = triptych(
        "generate", "--condition", tmp_path / "moving.jpg", "--slot", "--canvas", "--layout", "row",
        "--out", tmp_path / "out", "--backbone", pocket_file, "--steps", 1,
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    red, green, blue = Image.open(tmp_path / "out" / "page-seed0-canvas.png").getpixel((5, 5))
    assert red > 240 and green < 15 and blue < 15


_BAD_PAGES = {
    "unknown key": ({"panels": [{"prompt": "x"}]}, ("panel 1", "'prompt'", "unknown")),
    "wrong type": ({"panels": [{"instruction": 3}]}, ("panel 1", "'instruction'")),
    "no slot": ({"panels": [{"image": "fox.png"}]}, ("slot",)),
    "image in a slot": ({"panels": [{"role": "slot", "image": "fox.png"}]}, ("panel 1", "slot")),
    "path leaving": ({"panels": [{"image": "../fox.png"}, {}]}, ("panel 1", "leaves the folder")),
    "absolute path": ({"panels": [{"image": "/etc/passwd"}, {}]}, ("panel 1", "relative")),
    "missing picture": ({"panels": [{"image": "hen.png"}, {}]}, ("panel 1", "hen.png")),
    "too long": ({"panels": [{"instruction": "fox " * 5001}]}, ("panel 1", "20004 characters")),
    "no panels": ({"overview": "x"}, ("panels",)),
    "bad layout": ({"panels": [{}], "layout": "spiral"}, ("layout",)),
    "no such template": ({"panels": [{}], "template": "comic"}, ("template", "comic")),
    "size": ({"panels": [{"size_px": [0, 10]}]}, ("panel 1", "size_px")),
}


@pytest.mark.parametrize("name", _BAD_PAGES)
@pytest.mark.usefixtures("fox")
def test_generate_from_a_bad_page_file_names_file_panel_and_key(triptych, tmp_path, name):
    data, words = _BAD_PAGES[name]
    path = tmp_path / "page.json"
    path.write_text(json.dumps(data))

    _failed(triptych("generate", path, "--out", tmp_path / "out"), str(path), *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text", ["🦊🏖️", "ثعلب على الشاطئ", "  ", "a\nb"], ids=["emoji", "right-to-left", "blank", "lines"]
)
def test_generate_with_unusual_words_works(triptych, pocket_file, tmp_path, text):
    result = triptych("generate", "--slot", text, "--out", tmp_path / "out", "--backbone", pocket_file, "--steps", 1)

    assert result.exit_code == 0, result.stderr


def test_generate_with_words_beyond_the_encoder_says_how_many_fit(triptych, pocket_file, tmp_path):
    result = triptych("generate", "--slot", "fox " * 900, "--out", tmp_path / "out", "--backbone", pocket_file)

    _failed(result, "the instruction of slot 1", "at most 64")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--slot", "a", "--backbone", "gpt"), ("gpt", "pocket")),
        (("--slot", "a", "--size", "huge"), ("--size", "512x384")),
        (("--slot", "a", "--size", "0x0"), ("--size",)),
        (("--slot", "a", "--conditioning", "magic"), ("--conditioning", "reference")),
        (("--slot", "a", "--shots", "2"), ("--examples",)),
        (("--slot", "a", "--steps", "0"), ("--steps",)),
        (("--slot", "a", "--skill", "none.safetensors"), ("none.safetensors",)),
        (("--slot",) * 9, ("9 slots",)),
        (("--slot", "a", "--examples", "nowhere"), ("nowhere", "metadata.jsonl")),
        (("page.yaml", "--slot"), ("not both",)),
        ((), ("--slot",)),
    ],
)
def test_generate_with_a_bad_option_names_it(triptych, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)

    _failed(triptych("generate", *arguments), *words)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_generate_with_fill_on_a_backbone_without_says_what_it_can(triptych, pocket_file, tmp_path):
    result = triptych(
        "generate", "--slot", "a", "--conditioning", "fill", "--backbone", pocket_file, "--out", tmp_path / "out"
    )

    _failed(result, "fill", "reference, repaint")


def test_generate_where_out_is_a_file_says_so_before_loading(triptych, fox):
    _failed(triptych("generate", "--slot", "a", "--out", fox, "--backbone", "gpt"), str(fox), "cannot be written")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_generate_into_a_read_only_folder_says_so_before_loading(triptych, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)

    _failed(triptych("generate", "--slot", "a", "--out", folder, "--backbone", "gpt"), "locked", "cannot be written")


def test_generate_where_files_may_not_grow_removes_what_it_began(triptych, pocket_file, tmp_path):
    out = tmp_path / "out"
    arguments = ("generate", "--slot", "a", "--slot", "b", "--out", out, "--backbone", pocket_file, "--steps", 1)
    # Signals and limits of this process, so they must be put back whatever happens.
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, before[1]))
        result = triptych(*arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)

    _failed(result, "page-seed0-1.png", "cannot be written")
    assert list(out.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path):
    """A disk of 4 KiB, where this process may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk is not allowed here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_generate_onto_a_full_disk_removes_the_pictures_of_the_page(triptych, pocket_file, small_disk):
    result = triptych(
        "generate", "--slot", "a", "--slot", "b", "--size", "256x256", "--out", small_disk,
        "--backbone", pocket_file, "--steps", 1,
    )  # fmt: skip

    _failed(result, "No space left", "Free space")
    assert list(small_disk.iterdir()) == []


def test_replay_of_a_picture_that_says_nothing_names_it(triptych, fox, tmp_path):
    _failed(triptych("replay", fox, "--out", tmp_path / "again"), "fox.png", "does not say how it was made")


@pytest.mark.parametrize("command", [("build", "nope"), ("rules", "show", "nope"), ("rules", "check", "nope")])
def test_rule_commands_with_an_unknown_rule_name_it(triptych, tmp_path, command):
    extra = ("--out", tmp_path / "set") if command[0] == "build" else ()

    _failed(triptych(*command, *extra), "no rule 'nope'")


def test_build_into_a_folder_with_files_leaves_it_alone(triptych, fox, tmp_path):
    before = fox.read_bytes()

    _failed(triptych("build", "outline", "--count", "1", "--out", tmp_path), "not empty")
    assert fox.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["fox.png"]
