"""From a page to files: what is written, under which names, and that it can be made again."""

import json
import os
import shutil
import signal
import threading
import time
import traceback
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

import triptych as package
from triptych.data.pagesets import save_pageset
from triptych.images import read_png_text, save_png
from triptych.models.pocket import PocketBackbone
from triptych.models.pocket.files import shipped_pocket
from triptych.page import Page, condition, slot
from triptych.pagefile import save_page

SOURCE = Path(package.__file__).parent


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_generate_from_panels_writes_a_picture_a_slot_and_names_it(triptych, fox, pocket_file, tmp_path):
    out = tmp_path / "out"

    result = triptych(
        "generate", "--condition", fox, "<Leo> the fox", "--slot", "wide shot", "--slot", "close-up",
        "--overview", "a story", "--seed", 3, "--out", out, "--backbone", pocket_file, "--steps", 2,
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    assert _names(out) == ["inputs", "page-seed3-1.png", "page-seed3-2.png"]
    assert result.stdout.split() == [str(out / name) for name in _names(out)[1:]]
    record = json.loads(read_png_text(out / "page-seed3-2.png")["triptych"])
    request = record["request"]
    assert (request["seed"], record["slot"], request["steps"]) == (3, 2, 2)
    assert [panel["instruction"] for panel in request["page"]["panels"]] == ["<Leo> the fox", "wide shot", "close-up"]


def test_generate_goes_from_the_command_to_the_network_in_seven_files(
    triptych, fox, pocket_file, tmp_path, monkeypatch
):
    """As CONTRIBUTING tells; eight are the most that it may become."""
    own, way = PocketBackbone.velocity, []

    def watched(self, *given, **named):
        called = [Path(frame.filename) for frame in traceback.extract_stack()]
        way[:] = dict.fromkeys(path.relative_to(SOURCE).as_posix() for path in called if path.is_relative_to(SOURCE))
        return own(self, *given, **named)

    monkeypatch.setattr(PocketBackbone, "velocity", watched)
    out = tmp_path / "out"
    triptych("generate", "--condition", fox, "--slot", "at dusk", "--backbone", pocket_file, "--out", out)
    assert [name for name in way[way.index("cli/generate.py") :] if name != "sampling/solvers/__init__.py"] == [
        "cli/generate.py",
        "sampling/engine.py",
        "sampling/relief.py",
        "sampling/batch.py",
        "sampling/solvers/euler.py",
        "sampling/lanes.py",
    ]


def test_generate_never_writes_over_a_picture_unless_asked(triptych, pocket_file, tmp_path):
    def made(text: str, *more: str):
        common = ("--out", tmp_path / "out", "--backbone", pocket_file, "--steps", 1)
        result = triptych("generate", "--slot", text, *common, *more)
        assert result.exit_code == 0, result.stderr
        return result

    first = Path(made("a red fox").stdout.strip())
    fox = first.read_bytes()
    other = made("a blue cat")
    assert "page-seed0 already exists; this is page-seed0-run2" in other.stderr
    assert _names(tmp_path / "out") == ["page-seed0-1.png", "page-seed0-run2-1.png"]
    assert first.read_bytes() == fox
    again = made("a red fox")
    assert "the same bytes" in again.stderr
    assert Path(again.stdout.strip()) == first
    made("a hen", "--overwrite")
    assert _names(tmp_path / "out") == ["page-seed0-1.png", "page-seed0-run2-1.png"]
    assert first.read_bytes() != fox


def test_generate_never_writes_a_request_over_another_file(triptych, tmp_path):
    file = tmp_path / "request.json"
    file.write_text("mine")
    command = ("generate", "--slot", "a fox", "--dry-run", "--save-request", file)

    refused = triptych(*command)
    assert refused.exit_code == 2 and "--save-request" in refused.stderr
    assert file.read_text() == "mine"
    assert triptych(*command, "--overwrite").exit_code == 0
    assert "a fox" in file.read_text()


def test_generate_from_a_page_file_makes_sizes_and_seeds_as_asked(triptych, pocket_file, tmp_path):
    page = Page(panels=(slot("a fox", size_px=(80, 48)), slot("a hen")), page_id="two hens")
    save_page(page, tmp_path / "page.yaml")
    out = tmp_path / "out"

    result = triptych(
        "generate", tmp_path / "page.yaml", "--number", 2, "--size", "64x40", "--out", out,
        "--backbone", pocket_file, "--steps", 1,
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    assert result.stderr.count(" s, 1 step, reference") == 2
    assert _names(out) == [f"two-hens-seed{seed}-{number}.png" for seed in (0, 1) for number in (1, 2)]
    sizes = [Image.open(out / f"two-hens-seed1-{number}.png").size for number in (1, 2)]
    assert sizes == [(80, 48), (64, 40)]
    assert (out / "two-hens-seed0-1.png").read_bytes() != (out / "two-hens-seed1-1.png").read_bytes()


def test_generate_with_canvas_and_preview_writes_composite_mask_and_film(triptych, fox, pocket_file, tmp_path):
    out = tmp_path / "out"

    result = triptych(
        "generate", "--condition", fox, "--slot", "--out", out, "--canvas", "--preview", "--layout", "row",
        "--backbone", pocket_file, "--steps", 3, "--size", "96x64",
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    picture, mask = (Image.open(out / f"page-seed0-{name}.png") for name in ("canvas", "mask"))
    assert picture.size == mask.size
    made = Image.open(out / "page-seed0-1.png")
    left = mask.getbbox()[0]
    assert picture.crop((left, 0, left + made.width, made.height)).tobytes() == made.tobytes()
    assert picture.crop((0, 0, 96, 64)).tobytes() == Image.open(fox).tobytes()
    assert Image.open(out / "page-seed0-preview.png").size == (3 * made.width, made.height)


def test_generate_with_examples_puts_them_in_front(triptych, fox, pocket_file, tmp_path):
    pictures = [Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "blue", "white")]
    pages = [Page(panels=(condition(a), slot(answer=b)), page_id=f"p{a}") for a, b in pairwise(pictures)]
    save_pageset(pages, tmp_path / "set")

    result = triptych(
        "generate", "--condition", fox, "--slot", "--examples", tmp_path / "set", "--shots", 2,
        "--out", tmp_path / "out", "--backbone", pocket_file, "--steps", 1,
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    record = json.loads(read_png_text(tmp_path / "out" / "page-seed0-1.png")["triptych"])
    assert len(record["request"]["page"]["context"]) == 2


def test_replay_of_a_picture_makes_the_same_pixels(triptych, fox, pocket_file, tmp_path):
    triptych(
        "generate", "--condition", fox, "a fox", "--slot", "b", "--slot", "c", "--seed", 5, "--out", tmp_path / "out",
        "--backbone", pocket_file, "--steps", 2, "--size", 64, "--conditioning", "repaint",
    )  # fmt: skip
    picture = tmp_path / "out" / "page-seed5-2.png"

    result = triptych("replay", picture, "--out", tmp_path / "again", "--backbone", pocket_file)

    assert result.exit_code == 0, result.output
    again = tmp_path / "again" / picture.name
    assert Image.open(again).tobytes() == Image.open(picture).tobytes()
    assert read_png_text(again) == read_png_text(picture)


def test_replay_of_a_picture_made_by_a_file_wants_that_file(triptych, pocket_file, tmp_path):
    page = ("generate", "--slot", "b", "--size", 64, "--steps", 1, "--backbone")
    assert triptych(*page, pocket_file, "--out", tmp_path / "out").exit_code == 0
    picture = tmp_path / "out" / "page-seed0-1.png"

    refused = triptych("replay", picture, "--out", tmp_path / "again")
    assert refused.exit_code == 2 and "Name that file with --backbone" in refused.output
    assert not list((tmp_path / "again").glob("*.png"))

    other = triptych("replay", picture, "--out", tmp_path / "other", "--backbone", "pocket")
    assert other.exit_code == 1 and "was made with other weights than pocket has" in other.output

    renamed = shutil.copy(pocket_file, tmp_path / "renamed.safetensors")
    same = triptych("replay", picture, "--out", tmp_path / "same", "--backbone", renamed)
    assert same.exit_code == 0 and "other weights" not in same.output


def test_picture_made_by_a_copy_of_the_shipped_pocket_says_no_more_than_its_name(triptych, tmp_path):
    copy = shutil.copy(shipped_pocket("pocket-2"), tmp_path / "copy.safetensors")
    made = triptych("generate", "--slot", "b", "--size", 64, "--out", tmp_path / "out", "--backbone", copy)
    assert made.exit_code == 0, made.output
    record = json.loads(read_png_text(tmp_path / "out" / "page-seed0-1.png")["triptych"])
    assert record["request"]["backbone"] == "pocket-2" and "weights" not in record


def test_replay_of_other_pixels_says_so(triptych, pocket_file, tmp_path):
    triptych("generate", "--slot", "b", "--out", tmp_path / "out", "--backbone", pocket_file, "--steps", 1)
    path = tmp_path / "out" / "page-seed0-1.png"
    save_png(Image.new("RGB", Image.open(path).size, "red"), path, read_png_text(path))

    result = triptych("replay", path, "--out", tmp_path / "again", "--backbone", pocket_file)

    assert result.exit_code == 1
    assert "other pixels" in result.stdout


def test_dry_run_prints_layout_prompt_tokens_cost_and_writes_nothing(triptych, fox, pocket_file, tmp_path):
    out = tmp_path / "out"

    result = triptych(
        "generate", "--condition", fox, "<Leo> the fox", "--slot", "wide shot", "--dry-run", "--out", out,
        "--backbone", pocket_file,
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    assert not out.exists()
    for expected in (
        "from 96x64",
        "[PANEL-1] <Leo> the fox [PANEL-2] wide shot",
        "64 of conditions, 64 of slots",
        "expected time",
        "expected memory",
    ):
        assert expected in result.stdout


def test_generate_with_a_box_is_refused_by_a_backbone_that_reads_none(triptych, pocket_file, tmp_path):
    result = triptych(
        "generate", "--slot", "a cup", "--box", "cup_1=0.1,0.2,0.4,0.9 a cup", "--out", tmp_path / "out",
        "--backbone", pocket_file,
    )  # fmt: skip

    assert result.exit_code == 2
    assert "the page has boxes" in result.stderr and "leave boxes out" in result.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_dry_run_with_a_box_shows_it_and_the_prompt_that_has_it(triptych):
    result = triptych(
        "generate", "--slot", "a table", "--box", "cup_1=0.1,0.2,0.4,0.9 a cup", "--dry-run",
        "--backbone", "black-forest-labs/flux-3-image-klein",
    )  # fmt: skip

    assert result.exit_code == 0, result.stderr
    assert "box cup_1  0.1,0.2,0.4,0.9  a cup" in result.stdout
    assert '{"id": "cup_1", "bbox": [200, 100, 900, 400], "desc": "a cup"}' in result.stdout


def test_dry_run_of_a_known_backbone_computes_without_fetching_it(triptych, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))

    result = triptych(
        "generate", "--slot", "a fox", "--size", "1024x1024", "--backbone", "FLUX.2-klein-4B", "--dry-run"
    )

    assert result.exit_code == 0, result.stderr
    assert "4096 of slots" in result.stdout
    assert "19.4 GiB" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def heard_interrupt():
    """Shells start background jobs with SIGINT ignored, and tests must pass there as well."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard_interrupt")
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_generate_stopped_by_ctrl_c_leaves_only_whole_files(triptych, pocket_file, tmp_path):
    out = tmp_path / "out"

    def press_when_running() -> None:
        for _ in range(6000):
            if (out / "page-seed0-preview.png").exists():
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.01)

    presser = threading.Thread(target=press_when_running, daemon=True)
    presser.start()
    result = triptych("generate", "--slot", "a", "--out", out, "--backbone", pocket_file, "--steps", 1000, "--preview")
    presser.join()

    assert result.exit_code == 130
    assert "Ctrl-C" in result.stderr
    assert _names(out) == ["page-seed0-preview.png"]
    Image.open(out / "page-seed0-preview.png").load()


def test_generate_step_cache_is_chosen_by_name_and_refused_where_it_cannot_work(triptych, pocket_file, tmp_path):
    asked = ("generate", "--slot", "a red fox", "--backbone", pocket_file, "--out", tmp_path)
    unknown, pocket = (triptych(*asked, "--step-cache", name) for name in ("nothing", "taylorseer"))
    assert "not one of none, first-block, taylorseer, magcache" in unknown.stderr
    assert pocket.exit_code == 2
    assert "step cache 'taylorseer'" in pocket.stderr or "step_cache" in pocket.stderr
