"""Picks as data sets of pairs, and back."""

import io

import pytest
from PIL import Image

from tiny_training import disc
from triptych.errors import PickError
from triptych.page import Page, condition, slot
from triptych.picks import Shown, Verdict, add_picks, load_picks
from triptych.picks.exchange import read_pairs, write_pairs
from triptych.sampling.request import Request

pyarrow = pytest.importorskip("pyarrow")
datasets = pytest.importorskip("datasets")


def _shown(seed, verdict, page):
    images = tuple(disc(seed / 9, 9 * number) for number in range(len(page.slots)))
    return Shown(request=Request(page=page, seed=seed), images=images, verdict=verdict)


def _pages():
    one = Page(panels=(condition(disc(0.4, 9)), slot("turned")), overview="a disc")
    two = Page(panels=(slot("left"), slot("right")))
    return one, two


def _said(place):
    return {
        (pick.pick_id, result.seed): (result.verdict, [image.tobytes() for image in pick.images(result)])
        for pick in load_picks(place)
        for result in pick.of(Verdict.KEPT, Verdict.REJECTED)
    }


def test_pairs_are_read_by_datasets_and_come_back_as_the_same_picks(tmp_path):
    for page in _pages():
        verdicts = {1: Verdict.KEPT, 2: Verdict.REJECTED, 3: Verdict.REJECTED, 4: Verdict.UNSEEN}
        add_picks(tmp_path / "picks", [_shown(seed, verdict, page) for seed, verdict in verdicts.items()])

    written = write_pairs(load_picks(tmp_path / "picks"), tmp_path / "pairs")
    rows = datasets.load_dataset(str(tmp_path / "pairs"), split="train", cache_dir=str(tmp_path / "cache"))
    add_picks(tmp_path / "again", read_pairs(tmp_path / "pairs"))

    # One kept against two rejected: of one slot on the first page, of two on the second.
    assert (written.rows, written.picks, written.left_out) == (6, 2, 0)
    assert rows.num_rows == 6
    assert {"prompt", "chosen", "rejected"} <= set(rows.column_names)
    assert rows[0]["prompt"] == "a disc turned"
    assert rows[0]["chosen"].convert("RGB").tobytes() == disc(1 / 9, 0).tobytes()
    assert rows[0]["conditions"][0].size == (128, 128)
    assert _said(tmp_path / "again") == _said(tmp_path / "picks")


def test_pairs_of_picks_without_any_are_refused_and_counted(tmp_path):
    page, other = _pages()
    add_picks(tmp_path, [_shown(1, Verdict.KEPT, page)])
    with pytest.raises(PickError, match="none of the 1 picks"):
        write_pairs(load_picks(tmp_path), tmp_path / "pairs")

    add_picks(tmp_path, [_shown(1, Verdict.KEPT, other), _shown(2, Verdict.REJECTED, other)])
    assert write_pairs(load_picks(tmp_path), tmp_path / "pairs").left_out == 1


def _png(hue):
    buffer = io.BytesIO()
    disc(hue, 5).save(buffer, format="PNG")
    return buffer.getvalue()


def test_pairs_of_pick_a_pic_columns_are_read_and_ties_are_unseen(tmp_path):
    rows = [
        {"caption": "a cat", "jpg_0": _png(0.1), "jpg_1": _png(0.2), "label_0": 0.0, "model_0": "sd"},
        {"caption": "a dog", "jpg_0": _png(0.3), "jpg_1": _png(0.4), "label_0": 0.5, "model_0": "sd"},
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")

    add_picks(tmp_path / "picks", read_pairs(tmp_path / "rows.parquet"))
    cat, dog = load_picks(tmp_path / "picks")

    assert [result.verdict for result in cat.results] == [Verdict.REJECTED, Verdict.KEPT]
    assert cat.words == "a cat" and cat.backbone == "sd" and cat.results[0].seed is None
    assert {result.verdict for result in dog.results} == {Verdict.UNSEEN}


def test_pairs_without_their_columns_are_named(tmp_path):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{"a": 1}]), tmp_path / "rows.parquet")
    with pytest.raises(PickError, match="row 1 is not a pair"):
        read_pairs(tmp_path)
    Image.new("RGB", (4, 4)).save(tmp_path / "rows.parquet", format="PNG")
    with pytest.raises(PickError, match="not a whole parquet"):
        read_pairs(tmp_path)


def test_layers_stay_transparent_through_picks_and_pairs(tmp_path):
    page = Page(panels=(condition(disc(0.4, 9)), slot("the disc alone")))
    layers = {verdict: disc(0.1, 20 * seed).convert("RGBA") for seed, verdict in enumerate(Verdict)}
    for layer in layers.values():
        layer.putalpha(Image.linear_gradient("L").resize(layer.size))
    shown = [
        Shown(request=Request(page=page, seed=seed), images=(layer,), verdict=verdict)
        for seed, (verdict, layer) in enumerate(layers.items())
    ]
    add_picks(tmp_path / "picks", shown)
    write_pairs(load_picks(tmp_path / "picks"), tmp_path / "pairs")
    add_picks(tmp_path / "again", read_pairs(tmp_path / "pairs"))
    for place in ("picks", "again"):
        (pick,) = load_picks(tmp_path / place)
        for result in pick.of(Verdict.KEPT, Verdict.REJECTED):
            (image,) = pick.images(result)
            assert (image.mode, image.tobytes()) == ("RGBA", layers[result.verdict].tobytes())
