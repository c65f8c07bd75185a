import json
from dataclasses import replace

import pytest

from tiny_training import disc, made_page, recipe
from triptych.data.pagesets import METADATA, save_pageset
from triptych.models.catalog import known_card
from triptych.page import NamedBox, Page, condition, slot
from triptych.training.preflight import Severity, preflight


@pytest.fixture
def folder(tmp_path):
    save_pageset([made_page(number) for number in range(4)], tmp_path / "set")
    return tmp_path / "set"


def _texts(problems, severity=None):
    return [str(problem) for problem in problems if severity in (None, problem.severity)]


def test_preflight_good_set_has_no_problem(folder):
    assert preflight(folder, recipe()) == ()


def test_preflight_many_faults_are_listed_at_once_with_their_lines(folder):
    lines = (folder / METADATA).read_text().splitlines()
    second = json.loads(lines[1])
    (folder / second["images_file_names"][0]).unlink()
    third = json.loads(lines[2])
    (folder / third["images_file_names"][0]).write_bytes(b"no picture")
    (folder / METADATA).write_text("\n".join([lines[0], lines[1], lines[2], "{not json", lines[3]]) + "\n")
    plan = recipe(variety={"shots": [9]}, slot_weights=[1, 2, 3])
    errors = _texts(preflight(folder, plan), Severity.ERROR)
    for place in ("line 2", "line 3", "line 4", "variety.shots", "slot_weights"):
        assert any(place in error for error in errors), place
    assert all(error.count(METADATA) <= 1 for error in errors)


def test_preflight_missing_folder_is_a_problem_and_no_exception(tmp_path):
    errors = _texts(preflight(tmp_path / "nothing", recipe()), Severity.ERROR)
    assert any("nothing: has no metadata.jsonl" in error for error in errors)


def test_preflight_answer_like_input_and_page_twice_are_warned_of(tmp_path):
    same = disc(0.3, 20)
    copy = Page(panels=(condition(same), slot(answer=same)), page_id="copy")
    pages = [made_page(1), copy, Page(panels=copy.panels, page_id="again")]
    save_pageset(pages, tmp_path / "set")
    warnings = _texts(preflight(tmp_path / "set", recipe()), Severity.WARNING)
    assert any("line 2" in text and "answer nearly identical" in text for text in warnings)
    assert any("line 3" in text and "duplicate" in text for text in warnings)


def test_preflight_page_in_both_sets_is_an_error(folder, tmp_path):
    save_pageset([made_page(3), made_page(9)], tmp_path / "held")
    errors = _texts(preflight(folder, recipe(), held_out=tmp_path / "held"), Severity.ERROR)
    assert len(errors) == 1
    assert "line 1" in errors[0]
    assert "line 4" in errors[0]


def test_preflight_words_beyond_the_limit_are_an_error(tmp_path, pocket):
    long = Page(panels=(condition(disc(0, 1)), slot("word " * 70, answer=disc(0.5, 1))), page_id="long")
    save_pageset([made_page(1), long], tmp_path / "set")
    errors = _texts(preflight(tmp_path / "set", recipe(), card=pocket.card), Severity.ERROR)
    assert len(errors) == 1
    assert "70 words" in errors[0]


def test_preflight_condition_dropout_with_named_tags_is_an_error(folder):
    plan = recipe(template="left-right", variety={"condition_dropout": 0.1})
    errors = _texts(preflight(folder, plan), Severity.ERROR)
    assert any("condition_dropout" in error for error in errors)


def test_preflight_answer_of_another_shape_is_warned_of_once(tmp_path):
    square = disc(0.3, 20)
    wide = disc(0.6, 50).resize((160, 128))
    apart = [Page(panels=(condition(square), slot(answer=wide)), page_id=name) for name in ("a", "b")]
    save_pageset([made_page(1), *apart], tmp_path / "set")
    warnings = [text for text in _texts(preflight(tmp_path / "set", recipe())) if "shape" in text]
    assert len(warnings) == 1
    assert "line 2: a condition of 128x128 and an answer of 160x128 px" in warnings[0]
    assert "2 of 3 pages" in warnings[0]


def test_preflight_advises_the_base_of_a_distilled_backbone(folder):
    distilled = recipe(backbone="FLUX.2-klein-4B")
    (said,) = _texts(preflight(folder, distilled, card=known_card("FLUX.2-klein-4B")))
    assert "4 steps" in said and "FLUX.2-klein-base-4B (--train-on base)" in said
    assert not preflight(folder, recipe(backbone="FLUX.2-klein-base-4B"), card=known_card("FLUX.2-klein-base-4B"))
    assert not preflight(folder, distilled.model_copy(update={"guided": 3.0}), card=known_card("FLUX.2-klein-4B"))


def test_preflight_boxes_are_an_error_where_nothing_reads_them(tmp_path):
    plain = made_page(1)
    boxed = replace(plain.slots[0], boxes=(NamedBox(name="disc", corners=(0.1, 0.1, 0.5, 0.5)),))
    save_pageset([plain, replace(plain, panels=(*plain.conditions, boxed), page_id="boxed")], tmp_path / "set")
    wrong = preflight(tmp_path / "set", recipe(variety={"shots": [1]}), card=known_card("pocket"))
    errors = _texts(wrong, Severity.ERROR)
    assert any("line 2" in text and "reads none" in text for text in errors)
    assert any("variety.shots" in text and "line 2" in text for text in errors)
    reads = known_card("black-forest-labs/flux-3-image-klein")
    assert _texts(preflight(tmp_path / "set", recipe(), card=reads), Severity.ERROR) == []
