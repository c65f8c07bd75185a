"""One request, one JSON form: what is written is what is read, and what is wrong is named."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tiny_models import card
from triptych.conditioning import Conditioning, Reading
from triptych.errors import BackboneError, LayoutError, RequestError, TriptychError
from triptych.models.pocket.backbone import PocketConfig, pocket_card
from triptych.page import Page, Role, condition, slot
from triptych.sampling import Request, SkillUse, request_schema

DOCS = Path(__file__).parents[2] / "docs"
RED = Image.new("RGB", (4, 3), "red")
PAGE = Page(panels=(condition(RED, "a fox"), slot("in snow"), slot("at dusk")), overview="two shots")

_sides = st.integers(1, 512)
_uses = st.builds(
    SkillUse,
    name=st.text(min_size=1, max_size=20),
    weight=st.floats(-5, 5, allow_nan=False),
    slot=st.none() | st.integers(1, 2),
)
_requests = st.builds(
    Request,
    page=st.just(PAGE),
    seed=st.integers(-(2**70), 2**70),
    number=st.integers(1, 1000),
    steps=st.none() | st.integers(1, 1000),
    conditioning=st.none() | st.sampled_from(list(Conditioning)),
    guidance=st.none() | st.floats(0, 100),
    size_px=st.none() | _sides | st.tuples(_sides, _sides),
    backbone=st.text(max_size=50),
    skills=st.lists(_uses, max_size=3).map(tuple),
)


@settings(deadline=None)
@given(_requests)
def test_request_json_and_back_is_equal(request_):
    assert Request.from_json(request_.to_json()) == request_


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda x: st.lists(x) | st.dictionaries(
    st.sampled_from(["page", "panels", "seed", "skills", "image", "x"]), x), max_leaves=8))  # fmt: skip
def test_request_from_any_data_is_a_request_or_an_error_of_ours(data):
    try:
        request = Request.from_record(data)
    except TriptychError:
        return
    assert Request.from_json(request.to_json()) == request


def test_request_pictures_by_name_are_resolved_and_refused_without_a_resolver():
    record = Request(page=PAGE).record(encode=lambda image: f"file:{image.width}")
    assert record["page"]["panels"][0]["image"] == "file:4"
    assert Request.from_record(record, resolve={"file:4": RED}.__getitem__) == Request(page=PAGE)
    with pytest.raises(TriptychError, match=r"panel 1.*is a path"):
        Request.from_record(record)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": "1"}, "key 'seed'"),
        ({"colour": 1}, "key 'colour' is unknown; known are version, page, seed"),
        ({"version": 2}, "key 'version'"),
        ({"skills": [{"name": "one", "wieght": 1}]}, "key 'wieght'"),
        ({"page": {"panels": [{"role": "lead"}]}}, "panel 1, key 'role'"),
        ({"steps": 0}, "key 'steps'"),
    ],
)
def test_request_from_a_wrong_record_names_the_key(changes, said):
    with pytest.raises(TriptychError, match=said):
        Request.from_record(Request(page=PAGE).record() | changes)


def test_request_from_text_that_is_not_json_says_so():
    with pytest.raises(RequestError, match="not valid JSON"):
        Request.from_json("{")


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"number": 0}, RequestError, "number is 0"),
        ({"steps": 1001}, RequestError, "steps is 1001"),
        ({"steps": 4, "reading": Reading.MEAN}, RequestError, "reading 'mean' decides the steps; steps is 4"),
        ({"guidance": float("nan")}, RequestError, "guidance is nan"),
        ({"size_px": (0, 5)}, LayoutError, "at least 1 px"),
        ({"skills": (SkillUse(name="one", slot=3),)}, RequestError, "slot 3; the page has 2"),
    ],
)
def test_request_of_impossible_values_says_which(changes, error, said):
    with pytest.raises(error, match=said):
        Request(page=PAGE, **changes)


def test_request_settled_leaves_nothing_to_the_backbone_and_each_counts_seeds_up():
    facts = card(Conditioning.FILL, Conditioning.REPAINT, channels=4, factor=4, guidance=3.5)
    settled = Request(page=PAGE, seed=4, number=3).settled(facts)
    assert (settled.steps, settled.conditioning, settled.guidance, settled.backbone) == (3, "fill", 3.5, "tiny")
    assert [(one.seed, one.number) for one in settled.each()] == [(4, 1), (5, 1), (6, 1)]
    with pytest.raises(BackboneError, match=r"by 'reference'\. It can by: fill, repaint"):
        Request(page=PAGE, conditioning=Conditioning.REFERENCE).settled(facts)


def _pocket_card(sample_from):
    return pocket_card(PocketConfig(codec="klt", channels=256, sample_from=sample_from))


@pytest.mark.parametrize(
    ("panels", "reading", "steps"),
    [
        ((slot("a red fox"),), None, 4),
        ((slot("a red fox"),), Reading.MEAN, 1),
        ((condition(RED, "a fox", role=Role.CONTROL), slot("a red fox")), None, 4),
        ((condition(RED, "a fox"), slot("mirror it")), None, 1),
        ((condition(RED, "a fox"), slot("mirror it")), Reading.SAMPLE, 4),
    ],
)
def test_request_of_a_backbone_with_two_readings_takes_the_steps_of_the_page_or_the_one_asked(panels, reading, steps):
    request = Request(page=Page(panels=panels), reading=reading)
    assert request.settled(_pocket_card(0.5)).steps == steps
    assert Request.from_json(request.to_json()) == request


def test_request_of_words_with_examples_gets_the_mean():
    example = Page(panels=(slot("a red fox", answer=RED),))
    assert Request(page=Page(panels=(slot("a blue cat"),), context=(example,))).settled(_pocket_card(0.5)).steps == 1


def test_request_reading_of_a_backbone_with_one_is_refused():
    with pytest.raises(BackboneError, match="no other reading"):
        Request(page=PAGE, reading=Reading.SAMPLE).settled(_pocket_card(None))


def test_request_schema_is_the_published_one():
    published = json.loads((DOCS / "request.schema.json").read_text())
    assert published == request_schema(), "docs/request.schema.json is old; run scripts/docs.py"


def test_request_and_result_are_imported_without_torch():
    code = "import sys, triptych; triptych.Request, triptych.Result; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
