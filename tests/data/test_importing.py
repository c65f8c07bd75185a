"""Pages from folders of pictures, with their words."""

import json
import threading
import unicodedata
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from triptych.data.captioning import remote_captioner
from triptych.data.importing import Wording, composites, numbered_sets, pairs
from triptych.errors import SourceError
from triptych.page import Role


def _picture(seed: int, size: tuple[int, int] = (12, 10)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    for index in range(3):
        for offset, folder in enumerate("ab"):
            (tmp_path / folder).mkdir(exist_ok=True)
            _picture(10 * index + offset).save(tmp_path / folder / f"red_car-{index}.png")
    return tmp_path / "a", tmp_path / "b"


def test_pairs_join_by_name_and_keep_pixels(two: tuple[Path, Path]) -> None:
    pages = pairs(*two)
    assert [page.page_id for page in pages] == ["red_car-0", "red_car-1", "red_car-2"]
    assert pages[1].conditions[0].image.tobytes() == _picture(10).tobytes()
    assert pages[1].slots[0].answer.tobytes() == _picture(11).tobytes()


def test_pairs_words_come_from_text_files_then_from_the_template(two: tuple[Path, Path]) -> None:
    (two[1] / "red_car-1.txt").write_text("  at night,\n in the rain ")
    words = [page.slots[0].instruction for page in pairs(*two, wording=Wording(template="the {name} at dawn"))]
    assert words == ["the red car 0 at dawn", "at night, in the rain", "the red car 2 at dawn"]


def test_pairs_captioner_sees_condition_and_answer(two: tuple[Path, Path]) -> None:
    wording = Wording(captioner=lambda pictures: f"{len(pictures)} {pictures[0].getpixel((0, 0))}")
    page = pairs(*two, wording=wording)[0]
    assert page.slots[0].instruction == f"2 {_picture(0).getpixel((0, 0))}"


def test_pairs_find_partners_and_texts_whose_accents_are_written_the_other_way(tmp_path: Path) -> None:
    for folder, form in (("a", "NFC"), ("b", "NFD")):
        (tmp_path / folder).mkdir()
        _picture(1).save(tmp_path / folder / f"{unicodedata.normalize(form, 'café über')}.png")
    (tmp_path / "a" / f"{unicodedata.normalize('NFD', 'café über')}.txt").write_text("at night")
    (page,) = pairs(tmp_path / "a", tmp_path / "b")
    assert page.slots[0].instruction == "at night" and page.page_id == unicodedata.normalize("NFC", "café über")


def test_pairs_an_empty_text_is_no_text(two: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
    (two[1] / "red_car-0.txt").write_text(" \n")
    (two[0] / "red_car-0.txt").write_text("beside the other")
    (two[1] / "red_car-1.txt").write_text("")
    (two[1] / "red_car-2.txt").write_text("at night")
    pages = pairs(*two)
    assert [page.slots[0].instruction for page in pages] == ["beside the other", "", "at night"]
    assert pages.unlabelled == ("red_car-1",) and "no words for 1 of the slots: red_car-1" in caplog.text


def test_pairs_without_partner_raise_naming_both_sides(two: tuple[Path, Path]) -> None:
    (two[0] / "red_car-0.png").rename(two[0] / "blue.png")
    with pytest.raises(SourceError, match="no partner for a/blue, b/red_car-0"):
        pairs(*two)


def test_pairs_two_files_of_one_name_raise(two: tuple[Path, Path]) -> None:
    _picture(5).save(two[0] / "red_car-0.jpg")
    with pytest.raises(SourceError, match="have one name"):
        pairs(*two)


def test_numbered_sets_order_by_number_not_by_letters(tmp_path: Path) -> None:
    for number in (0, 2, 10):
        _picture(number).save(tmp_path / f"hero_{number}.png")
    (tmp_path / "hero.txt").write_text("one hero")
    (tmp_path / "hero_10.txt").write_text("in the snow")
    (page,) = numbered_sets(tmp_path, conditions=1)
    assert page.conditions[0].role is Role.SUBJECT
    assert [slot.answer.tobytes() for slot in page.slots] == [_picture(2).tobytes(), _picture(10).tobytes()]
    assert [slot.instruction for slot in page.slots] == ["", "in the snow"]
    assert page.overview == "one hero"


def test_numbered_sets_two_pictures_of_one_number_raise(tmp_path: Path) -> None:
    for name in ("hero_1", "hero_2", "hero_02"):
        _picture(0).save(tmp_path / f"{name}.png")
    with pytest.raises(SourceError, match=r"two pictures of one number: hero_1.png, hero_02.png, hero_2.png"):
        numbered_sets(tmp_path)


def test_numbered_sets_too_few_pictures_raise(tmp_path: Path) -> None:
    _picture(0).save(tmp_path / "hero_0.png")
    with pytest.raises(SourceError, match="set hero has 1 pictures"):
        numbered_sets(tmp_path)


def test_numbered_sets_name_without_number_raises(tmp_path: Path) -> None:
    _picture(0).save(tmp_path / "hero.png")
    with pytest.raises(SourceError, match="has no number"):
        numbered_sets(tmp_path)


@pytest.mark.parametrize(("gutter", "caption"), [(0, 0), (4, 0), (3, 5)])
def test_composites_cut_where_the_panels_are(tmp_path: Path, gutter: int, caption: int) -> None:
    cells = [_picture(seed) for seed in range(4)]
    whole = Image.new("RGB", (24 + gutter, 2 * (10 + caption) + gutter), "white")
    for index, cell in enumerate(cells):
        whole.paste(cell, ((index % 2) * (12 + gutter), (index // 2) * (10 + caption + gutter)))
    whole.save(tmp_path / "page.png")
    (page,) = composites(tmp_path, columns=2, rows=2, conditions=3, gutter_px=gutter, caption_px=caption)
    assert [panel.picture.tobytes() for panel in page.panels] == [cell.tobytes() for cell in cells]
    assert [panel.is_slot for panel in page.panels] == [False, False, False, True]


def test_composites_prompt_with_tags_is_shared_out(tmp_path: Path) -> None:
    _picture(0, (24, 10)).save(tmp_path / "page.png")
    (tmp_path / "page.txt").write_text("a pair; [LEFT] a cat [RIGHT] the cat, sleeping")
    (page,) = composites(tmp_path, template="left-right")
    assert page.overview == "a pair;"
    assert [panel.instruction for panel in page.panels] == ["a cat", "the cat, sleeping"]


def test_composites_text_of_one_slot_is_its_instruction_of_several_the_overview(tmp_path: Path) -> None:
    _picture(0, (36, 10)).save(tmp_path / "page.png")
    (tmp_path / "page.txt").write_text("a cat in three places")
    (one,) = composites(tmp_path, columns=3, conditions=2)
    (two,) = composites(tmp_path, columns=3, conditions=1)
    assert (one.overview, one.slots[0].instruction) == ("", "a cat in three places")
    assert (two.overview, two.slots[0].instruction) == ("a cat in three places", "")


def test_composites_that_do_not_divide_raise_with_the_size(tmp_path: Path) -> None:
    _picture(0, (25, 10)).save(tmp_path / "page.png")
    with pytest.raises(SourceError, match="25x10 px, which does not divide into 2x1"):
        list(composites(tmp_path))


def test_pairs_of_every_format_in_the_order_of_numbers(tmp_path: Path) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
        for name in ("10.TIF", "1.png", "2.bmp"):
            _picture(1).save(tmp_path / folder / name)
    assert [page.page_id for page in pairs(tmp_path / "a", tmp_path / "b")] == ["1", "2", "10"]


def test_pairs_with_a_partner_missing_in_another_format_raise(tmp_path: Path) -> None:
    for name in ("a/001.png", "a/002.tif", "b/001.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        _picture(1).save(tmp_path / name)
    with pytest.raises(SourceError, match="no partner for a/002"):
        pairs(tmp_path / "a", tmp_path / "b")


def test_numbered_sets_take_every_format(tmp_path: Path) -> None:
    for name in ("s_0.png", "s_1.jpg", "s_2.tif"):
        _picture(1).save(tmp_path / name)
    assert len(numbered_sets(tmp_path)[0].slots) == 2


def test_pairs_name_slots_without_words_and_texts_that_are_not_read(
    two: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    (two[1] / "red_car-1.caption").write_text("at night")
    (two[1] / "red_car-2.text").write_text("at dawn")
    pages = pairs(*two)
    assert [page.slots[0].instruction for page in pages] == ["", "at night", ""]
    assert pages.unlabelled == ("red_car-0", "red_car-2")
    said = " ".join(record.getMessage() for record in caplog.records)
    assert "no words for 2 of the slots: red_car-0, red_car-2" in said
    assert "red_car-2.text" in said


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_pairs_read_texts_in_any_common_encoding(two: tuple[Path, Path], encoding: str) -> None:
    (two[1] / "red_car-0.txt").write_bytes("un café,\r\n très chic".encode(encoding))
    assert pairs(*two)[0].slots[0].instruction == "un café, très chic"


def test_pairs_read_texts_whose_ending_is_in_capitals(two: tuple[Path, Path]) -> None:
    (two[1] / "red_car-0.TXT").write_text("at night")
    assert pairs(*two)[0].slots[0].instruction == "at night"


def test_pairs_read_texts_in_the_encoding_that_is_named(two: tuple[Path, Path]) -> None:
    (two[1] / "red_car-0.txt").write_bytes("夜の車".encode("shift_jis"))
    assert pairs(*two, wording=Wording(encoding="shift_jis"))[0].slots[0].instruction == "夜の車"


def test_pairs_ask_a_captioner_once_a_page(two: tuple[Path, Path]) -> None:
    asked = []
    wording = Wording(captioner=lambda pictures: str(asked.append(len(pictures))))
    pages = pairs(*two, wording=wording)
    assert pages[0] == pages[0] and asked == [2]


class _Server(BaseHTTPRequestHandler):
    """Answers like a chat server, with what it was asked."""

    reply = '{"choices": [{"message": {"content": "%s"}}]}'

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kinds = [part["type"] for part in body["messages"][0]["content"]]
        text = {"empty": " "}.get(body["model"], f"{body['model']} {self.path}  {'+'.join(kinds)}")
        data = b"nonsense" if body["model"] == "bad" else (self.reply % text).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_remote_captioner_sends_every_picture_and_returns_one_line(address: str) -> None:
    caption = remote_captioner(address, "vision")
    assert caption((_picture(0), _picture(1))) == "vision /v1/chat/completions text+image_url+image_url"


@pytest.mark.parametrize(("model", "message"), [("empty", "empty answer"), ("bad", "no chat completion")])
def test_remote_captioner_bad_reply_raises(address: str, model: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        remote_captioner(address, model)((_picture(0),))


def test_remote_captioner_nobody_there_raises() -> None:
    with pytest.raises(SourceError, match="Is the server running"):
        remote_captioner("http://127.0.0.1:9/v1", "any")((_picture(0),))


def test_answers_stay_transparent_and_conditions_lie_on_white(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (16, 16), (200, 0, 0, 90))
    for name in ("a/1.png", "b/1.png", "sets/1_0.png", "sets/1_1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        clear.save(tmp_path / name)
    for pages in (pairs(tmp_path / "a", tmp_path / "b"), numbered_sets(tmp_path / "sets")):
        (page,) = pages
        (answer,) = (panel.answer for panel in page.slots)
        assert answer is not None and answer.tobytes() == clear.tobytes()
        assert [panel.image.mode for panel in page.conditions if panel.image] == ["RGB"]
