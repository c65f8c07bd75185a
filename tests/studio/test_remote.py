"""A studio of ours as a remote backbone: the page travels whole, and comes back as it would have been made here."""

import base64
import io
from pathlib import Path

import openai
import pytest
from PIL import Image

import triptych as tt
from studio_served import Served
from triptych.conditioning import Solver
from triptych.errors import BackboneError
from triptych.events import CancelToken, Step

NOISE = Image.effect_noise((200, 100), 80).convert("RGB")
EXAMPLE = tt.Page(panels=(tt.condition(NOISE), tt.slot("dark", answer=NOISE.point(lambda level: level // 2))))
PAGE = tt.Page(
    panels=(tt.condition(NOISE, "a bus"), tt.slot("a blue bus"), tt.slot("at night", size_px=(96, 64))),
    overview="two of a kind",
).with_context(EXAMPLE)


@pytest.fixture(scope="module")
def here():
    return tt.open_engine("pocket")


@pytest.fixture(scope="module")
def there(served):
    return tt.open_engine(served.url + "/v1#pocket")


def bits(results):
    return [[(image.size, image.tobytes()) for image in result.images] for result in results]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"number": 2, "steps": 2},
        {"steps": 2, "solver": Solver.HEUN, "size_px": 96, "conditioning": tt.Conditioning.REPAINT},
        {"skills": (tt.SkillUse(name="storyboard", weight=0.5),)},
    ],
    ids=["plain", "two", "settings", "skill"],
)
def test_pixels_are_those_of_this_machine(here, there, more):
    request = tt.Request(page=PAGE, seed=11, **more)
    ours, theirs = here.generate(request), there.generate(request)
    assert bits(theirs) == bits(ours)
    for our, their in zip(ours, theirs, strict=True):
        assert their.request.backbone == there.card.name and not their.notes
        assert {**their.request.record(), "backbone": "pocket"} == our.request.record()


def test_card_is_that_of_the_backbone(here, there, served):
    from dataclasses import replace

    assert there.card == replace(here.card, name=f"{served.url}/v1#pocket")


def test_unknown_skill_and_model_are_told_of_by_the_studio(there, served):
    with pytest.raises(BackboneError, match="nobody"):
        there.generate(tt.Request(page=PAGE, skills=(tt.SkillUse(name="nobody"),)))
    with pytest.raises(BackboneError, match=r"no model 'pocked'. It has pocket"):
        tt.open_engine(served.url + "/v1#pocked")


def test_openai_client_finds_models_and_is_refused_wrong_requests(served):
    with openai.OpenAI(base_url=served.url + "/v1", api_key="none", max_retries=0) as client:
        assert [each.id for each in client.models.list()] == ["pocket"]
        assert client.models.retrieve("pocket").owned_by == "triptych"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("other")
        with pytest.raises(openai.NotFoundError, match="there are pocket"):
            client.images.generate(prompt="x", model="other", extra_body={"request": tt.Request(page=PAGE).record()})
        with pytest.raises(openai.BadRequestError, match="stepps"):
            client.images.generate(prompt="x", extra_body={"request": {**tt.Request(page=PAGE).record(), "stepps": 1}})
        answer = client.images.edit(
            image=("a.png", _png()), prompt="x", extra_body={"request": tt.Request(page=PAGE).to_json()}
        )
        assert len(answer.data) == 2, "the request says what to make"


def _png():
    buffer = io.BytesIO()
    NOISE.save(buffer, "PNG")
    return buffer.getvalue()


def test_cancelling_and_a_studio_that_goes_in_the_middle_are_told_of(there, tmp_path: Path):
    cancel = CancelToken()
    request = tt.Request(page=PAGE, number=3)
    with pytest.raises(tt.Cancelled):
        there.generate(request, cancel=cancel, on_event=lambda e: cancel.cancel() if isinstance(e, Step) else None)
    other = Served(tmp_path / "other")
    events = tt.open_engine(other.url + "/v1").stream(request)
    try:
        while not isinstance(next(events), Step):
            pass
    finally:
        other.close()
    with pytest.raises(BackboneError, match="cannot be reached"):
        list(events)


def test_studio_offers_a_model_of_another_studio(served, here, tmp_path: Path):
    name = served.url + "/v1#pocket"
    second = Served(tmp_path / "second", backbones=("pocket", name))
    try:
        facts = {each["name"]: each for each in second.client.get("/api/info").json()["backbones"]}
        assert facts[name]["family"] == "pocket"
        through = tt.open_engine(f"{second.url}/v1#{name}")
        request = tt.Request(page=PAGE, seed=2)
        assert bits(through.generate(request)) == bits(here.generate(request))
        with openai.OpenAI(base_url=second.url + "/v1", api_key="none") as client:
            plain = client.images.generate(prompt="a fox", model=name, size="64x64", extra_body={"seed": 1})
        made = Image.open(io.BytesIO(base64.b64decode(plain.data[0].b64_json)))
        assert name in made.info["triptych"], "the model that was named made it"
        training = {"kind": "train", "body": {"name": "x", "backbone": name, "pages": [], "rule": "negative"}}
        assert second.client.post("/api/jobs", json=training).status_code < 500
    finally:
        second.close()
