"""Pages at servers that take what vLLM-Omni, SGLang-Diffusion and OpenAI take, and every way to fail."""

import itertools
import time

import pytest
from fastapi.responses import JSONResponse, RedirectResponse
from PIL import Image

import triptych as tt
from image_servers import ImageServer, pictures, refusal
from triptych.conditioning import Conditioning, Reading, Solver
from triptych.errors import BackboneError, Cancelled, PromptError
from triptych.events import CancelToken, Step, Warning
from triptych.models.options import LoadOptions, StepCache
from triptych.sampling.remote.engine import RemoteEngine
from triptych.skill import shipped_skills

RED, BLUE, GREEN = (Image.new("RGB", (320, 160), colour) for colour in ("red", "blue", "green"))
WORDS = tt.Page(panels=(tt.slot("a red fox"),))
PAGE = tt.Page(panels=(tt.condition(RED, "the bus"), tt.slot("at night", size_px=(100, 60)), tt.slot("in snow")))
EXAMPLE = tt.Page(panels=(tt.condition(BLUE, "plain"), tt.slot("wet", answer=GREEN)), overview="make it rain")


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "TRIPTYCH_REMOTE_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("owner", ["vllm", "sglang", "somebody"])
def test_page_becomes_calls_that_the_server_takes(owner):
    with ImageServer(owner) as server:
        engine = tt.open_engine(server.url)
        (words,) = engine.generate(tt.Request(page=WORDS, seed=5))
        (result,) = engine.generate(tt.Request(page=PAGE, seed=7))
    assert [asked.path for asked in server.asked] == ["generations", "edits", "edits"]
    assert words.images[0].size == (64, 48), "nobody asked for a size"
    assert [image.size for image in result.images] == [(100, 60), (64, 48)]
    assert server.asked[1].fields["size"] == "96x64", "sides are multiples of a token, and resampled to what was asked"
    assert "size" not in server.asked[2].fields
    for asked, said in zip(server.asked[1:], ("at night", "in snow"), strict=True):
        assert [image.size for image in asked.images] == [(320, 160)] and asked.images[0].getpixel((0, 0)) == (
            255,
            0,
            0,
        )
        assert asked.fields["prompt"] == f"image 1: the bus\n{said}"
        assert asked.fields.get("seed") == (None if owner == "somebody" else 7)
    assert any("2 slots" in note for note in result.notes) and not words.notes
    assert result.request.backbone == f"{server.url}#a-model" and result.steps is None
    assert result.page == PAGE


@pytest.mark.parametrize(
    ("model", "name", "guidance"),
    [
        ("Qwen/Qwen-Image-Edit-2511", "Picture {}", "true_cfg_scale"),
        ("Qwen/Qwen-Image-2.1", "<image{}>", "true_cfg_scale"),
        ("black-forest-labs/FLUX.2-klein-4B", "image {}", "guidance_scale"),
    ],
)
def test_examples_and_settings_are_said_in_the_words_of_the_family(model, name, guidance):
    page = tt.Page(panels=(tt.condition(RED, "the bus"), tt.slot("now this"))).with_context(EXAMPLE)
    with ImageServer("vllm", model) as server:
        tt.open_engine(f"{server.url}#{model}").generate(tt.Request(page=page, steps=9, guidance=3.5))
    (asked,) = server.asked
    one, two, three = (name.format(number) for number in (1, 2, 3))
    assert asked.fields["prompt"].splitlines() == [
        f"{one}: the bus",
        f"Example 1: {two} -> {three}",
        "make it rain",
        f"{two}: plain",
        f"{three}: wet",
        "now this",
    ]
    colours = [image.getpixel((3, 3)) for image in asked.images]
    assert colours == [(255, 0, 0), (0, 0, 255), (0, 128, 0)], "in the order of the numbers"
    assert asked.fields["num_inference_steps"] == 9 and asked.fields[guidance] == 3.5


def test_answers_are_not_sent_and_their_size_is_asked():
    page = tt.Page(panels=(tt.condition(RED), tt.slot("x", answer=Image.new("RGB", (128, 64), "blue"))))
    with ImageServer("vllm") as server:
        (result,) = tt.open_engine(server.url).generate(tt.Request(page=page))
    (asked,) = server.asked
    assert len(asked.images) == 1 and asked.fields["size"] == "128x64" and result.images[0].size == (128, 64)


def test_several_results_have_seeds_of_their_own():
    with ImageServer("sglang") as server:
        results = tt.open_engine(server.url).generate(tt.Request(page=WORDS, seed=40, number=3))
    assert [result.images[0].getpixel((0, 0))[0] for result in results] == [40, 41, 42]
    assert [result.seed for result in results] == [40, 41, 42]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"skills": (tt.SkillUse(name="sepia"),)}, "no field for skills"),
        ({"steps": 4, "guidance": 2.0}, "no field for steps and guidance"),
        ({"solver": Solver.HEUN}, "no field for solver"),
        ({"reading": Reading.SAMPLE}, "no field for reading"),
        ({"conditioning": Conditioning.REPAINT}, "no field for conditioning"),
        ({"skills": (tt.SkillUse(name="/home/me/sepia.safetensors"),)}, "is a file on this machine"),
    ],
)
def test_what_has_no_field_is_refused_before_any_call(more, said):
    with ImageServer("somebody") as server, pytest.raises(BackboneError, match=said):
        tt.open_engine(server.url).generate([tt.Request(page=WORDS), tt.Request(page=WORDS, **more)])
    assert server.calls == 0


def test_what_belongs_to_this_machine_is_refused_before_any_call():
    with ImageServer("vllm") as server:
        engine = tt.open_engine(server.url)
        with pytest.raises(BackboneError, match="before they are finished"):
            tt.generate(engine, WORDS, on_step=print)
        with pytest.raises(BackboneError, match="loaded here"):
            engine.generate(tt.Request(page=WORDS), skill=tt.load_skill(shipped_skills()[0]))
        with pytest.raises(BackboneError, match="step_cache"):
            tt.open_engine(server.url, LoadOptions(step_cache=StepCache.MAGCACHE))
        with pytest.raises(BackboneError, match="no weights"):
            tt.load(server.url)
        with pytest.raises(PromptError, match="no words"):
            engine.generate(tt.Request(page=tt.Page(panels=(tt.condition(RED), tt.slot()))))
    assert server.calls == 0


@pytest.mark.parametrize(
    ("reply", "said", "calls"),
    [
        (refusal(401), "wants a key.*None was sent", 1),
        (refusal(403), "wants a key", 1),
        (refusal(404), r"a-model", 1),
        (refusal(413), "too large", 1),
        (refusal(400, "bad size"), "bad size. It does not take", 1),
        (refusal(429, **{"Retry-After": "0"}), "asked 2 times", 2),
        (refusal(503, **{"Retry-After": "0"}), "failed, 2 times", 2),
        (RedirectResponse("http://example.com/v1"), "not followed", 1),
        (JSONResponse({"data": []}), "0 pictures where 1", 1),
        (JSONResponse({"data": [{"url": "http://example.com/a.png"}]}), "addresses of pictures", 1),
        (JSONResponse({"data": [{"b64_json": "bm8="}]}), "not a picture", 1),
        (JSONResponse("hello"), "0 pictures", 1),
        (pictures((64, 200)), "64x200 px where 96x64", 1),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, str) else "",
)
def test_failing_server_is_told_of(reply, said, calls):
    page = tt.Page(panels=(tt.slot("a", size_px=(96, 64)),))
    with ImageServer("vllm", reply=lambda _: reply) as server, pytest.raises(BackboneError, match=said):
        RemoteEngine(server.url, tries=2).generate(tt.Request(page=page))
    assert server.calls == calls


def test_busy_server_is_asked_again_when_it_says():
    replies = {1: refusal(429, **{"Retry-After": "1"})}
    with ImageServer("vllm", reply=replies.get) as server:
        engine, began = RemoteEngine(server.url), time.monotonic()
        engine.generate(tt.Request(page=WORDS))
    assert server.calls == 2 and time.monotonic() - began >= 1


def test_size_that_was_only_rounded_is_resampled_and_said():
    page = tt.Page(panels=(tt.slot("a", size_px=(96, 64)),))
    with ImageServer("vllm", reply=lambda _: pictures((104, 72))) as server:
        (result,) = tt.open_engine(server.url).generate(tt.Request(page=page))
    assert result.images[0].size == (96, 64) and "104x72" in result.notes[0]


def test_slow_server_is_not_waited_for_longer_than_said():
    def reply(_):
        time.sleep(1.5)

    with ImageServer("vllm", reply=reply) as server:
        engine = RemoteEngine(server.url, timeout_s=0.3, tries=1)
        with pytest.raises(BackboneError, match="in time"):
            engine.generate(tt.Request(page=WORDS))


def test_server_that_goes_in_the_middle_is_told_of():
    with ImageServer("vllm") as server:
        events = RemoteEngine(server.url, tries=1).stream(tt.Request(page=PAGE))
        for event in events:
            if isinstance(event, Step):
                break
        server.close()
        with pytest.raises(BackboneError, match=r"cannot be reached.*Is the server running"):
            list(events)


def test_no_server_is_told_of():
    with pytest.raises(BackboneError, match="cannot be reached"):
        RemoteEngine("http://127.0.0.1:9/v1#m", tries=1)


def test_cancelling_stops_between_two_calls():
    cancel = CancelToken()
    with ImageServer("vllm") as server:
        with pytest.raises(Cancelled):
            tt.open_engine(server.url).generate(
                tt.Request(page=PAGE),
                cancel=cancel,
                on_event=lambda e: cancel.cancel() if isinstance(e, Step) else None,
            )
        assert server.calls == 1


def test_models_of_the_server_are_named_where_the_asked_one_is_not_there():
    with ImageServer("vllm", "Qwen/Qwen-Image", "other") as server:
        with pytest.raises(BackboneError, match=r"no model 'Qwen-Image'. It has Qwen/Qwen-Image, other"):
            tt.open_engine(f"{server.url}#Qwen-Image")
        with pytest.raises(BackboneError, match="several models"):
            tt.open_engine(server.url)
        with pytest.raises(BackboneError, match="end in /v1"):
            tt.open_engine(server.url.removesuffix("/v1"))
        assert tt.open_engine(f"{server.url}/#other").card.name == f"{server.url}#other"


def test_key_comes_from_the_environment_and_is_never_in_the_result(monkeypatch):
    with ImageServer("somebody") as server:
        for variable in ("OPENAI_API_KEY", "TRIPTYCH_REMOTE_KEY"):
            monkeypatch.setenv(variable, f"secret-of-{variable}")
            (result,) = tt.open_engine(server.url).generate(tt.Request(page=WORDS))
            assert "secret" not in result.request.to_json() and "secret" not in str(result)
        monkeypatch.setenv("MINE", "secret-of-mine")
        RemoteEngine(server.url, key_name="MINE").generate(tt.Request(page=WORDS))
        with pytest.raises(BackboneError, match="no variable 'NONE_SUCH'"):
            RemoteEngine(server.url, key_name="NONE_SUCH")
    keys = [asked.key for asked in server.asked]
    assert keys == ["secret-of-OPENAI_API_KEY", "secret-of-TRIPTYCH_REMOTE_KEY", "secret-of-mine"]


def test_news_of_a_server_are_told_once():
    told: list[str] = []

    def hear(event):
        if isinstance(event, Warning):
            told.append(event.text)

    with ImageServer("somebody") as server:
        engine = tt.open_engine(server.url)
        for _ in itertools.repeat(None, 2):
            engine.generate(tt.Request(page=PAGE), on_event=hear)
    assert [("seed" in text, "one picture a call" in text) for text in told] == [(True, False), (False, True)]


def test_models_of_openai_are_not_asked_for_a_format():
    with ImageServer("somebody", "gpt-image-1") as server:
        tt.open_engine(server.url).generate(tt.Request(page=WORDS))
    assert "response_format" not in server.asked[0].fields
