"""Pictures that are transparent in parts, as the studio's OpenAI-style API gives them."""

import base64
import io

import openai
import pytest
from PIL import Image

from qwen_folders import write_layered
from studio_pictures import png
from studio_served import Served
from tiny_qwen import qwen_layered
from triptych.images import png_bytes
from triptych.studio.jobs import Kind, Lane
from triptych.studio.openai.answer import made_pictures
from triptych.studio.openai.call import read_call


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    root = tmp_path_factory.mktemp("layers")
    write_layered(root / "layered", qwen_layered(guidance=4.0, negative=" "))
    served = Served(root / "studio", backbones=(str(root / "layered"),))
    with openai.OpenAI(base_url=served.url + "/v1", api_key="none", max_retries=0, timeout=600) as client:
        yield client
    served.close()


def _image(data: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.slow
def test_layers_are_answered_as_transparent_in_the_formats_that_can_be(client):
    uri = "data:image/png;base64," + base64.b64encode(png((64, 64), "red")).decode()
    page = {"panels": [{"image": uri}, {"size_px": [64, 64]}, {"size_px": [64, 64]}]}
    (model,) = client.models.list().data
    request = {"page": page, "steps": 1, "guidance": 1.0, "backbone": model.id}
    asked = {"prompt": "", "extra_body": {"request": request}}
    said = {}
    for name in ("png", "webp", "jpeg"):
        answer = client.images.generate(**asked, output_format=name)
        images = [_image(each.b64_json) for each in answer.data]
        said[name] = answer.background, {image.has_transparency_data for image in images}
    assert said == {"png": ("transparent", {True}), "webp": ("transparent", {True}), "jpeg": ("opaque", {False})}
    streamed = list(client.images.generate(**asked, stream=True, partial_images=0))
    assert [event.background for event in streamed] == ["transparent"] * 2


@pytest.mark.parametrize(("name", "expected"), [("png", [True, False]), ("webp", [True, False]), ("jpeg", [False] * 2)])
def test_only_what_is_transparent_in_parts_is_called_so(quiet, name, expected):
    studio, _ = quiet
    half = Image.new("RGBA", (20, 10), "red")
    half.paste((0, 0, 0, 0), (0, 0, 10, 10))
    body = {"page": {"panels": [{"role": "slot"}]}, "backbone": "pocket"}
    job = studio.jobs.add(Kind.GENERATE, {"request": body}, lane=Lane.BATCH, title="t", document=None)
    facts = {"seed": 0, "backbone": "pocket", "skills": [], "words": "", "request": body, "size": half.size}
    for place, image in enumerate((half, Image.new("RGBA", (20, 10), "red"))):
        file = studio.files.add_made(png_bytes(image), image.size).id
        studio.gallery.add(job, slot=place, variant=0, file=file, facts=facts)
    call = read_call(studio, "image_generation", {"prompt": "a fox", "output_format": name}, [], None)
    made = made_pictures(studio, call, job["id"])
    assert [each.is_clear for each in made] == expected
    first, _ = (_image(each.data) for each in made)
    assert first.has_transparency_data is expected[0]
