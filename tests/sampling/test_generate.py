"""`generate` on a tiny FLUX.2: seeds, batches, sizes, previews, and what comes back untouched."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from tiny_models import klein, picture
from tiny_training import random_skill
from triptych.errors import BackboneError, LayoutError, PageError, RequestError, SkillError
from triptych.events import Preview
from triptych.models.adapters import Skills
from triptych.models.backbone import Backbone, Conditioning
from triptych.models.flux2.backbone import References
from triptych.page import Page, condition, slot
from triptych.sampling import Result, generate, iterate


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return klein(References.ALONE)


def ask(text: str = "the red fox", *, image: int = 1, slots: int = 1) -> Page:
    return Page(panels=(condition(picture(image), "a fox"), *(slot(text) for _ in range(slots))))


def bits(result: Result) -> list[bytes]:
    return [image.tobytes() for image in result.images]


def far(one: Result, other: Result) -> int:
    """Largest difference of a pixel, of 255."""
    pairs = zip(one.images, other.images, strict=True)
    return max(int(np.abs(np.array(a, dtype=int) - np.array(b, dtype=int)).max()) for a, b in pairs)


@pytest.mark.parametrize("way", [Conditioning.REFERENCE, Conditioning.REPAINT])
def test_generate_same_seed_gives_same_pixels_and_other_seed_others(backbone, way):
    first, again, other = (generate(backbone, ask(), seed=seed, conditioning=way) for seed in (5, 5, 6))
    assert bits(first) == bits(again)
    assert bits(first) != bits(other)


@pytest.mark.parametrize("way", [Conditioning.REFERENCE, Conditioning.REPAINT])
def test_generate_pages_of_different_layouts_equal_each_page_alone(backbone, way):
    pages = [ask(), ask("snow", image=2, slots=2), ask("the beach", image=3), Page(panels=(slot("dusk"),))]
    together = generate(backbone, pages, seed=[1, 2, 3, 4], conditioning=way)
    for page, seed, result in zip(pages, (1, 2, 3, 4), together, strict=True):
        # A batched matrix product may round differently; noise and layout may not differ at all.
        assert far(result, generate(backbone, page, seed=seed, conditioning=way)) <= 1
    assert together[0].timings.pages == 2


def test_generate_returns_the_users_own_condition(backbone):
    photo = picture(4, 301, 97)
    page = Page(panels=(condition(photo), slot("a fox")))
    before = photo.tobytes()
    result = generate(backbone, page)
    assert result.page is page
    assert result.finished.panels[0].image is photo
    assert photo.tobytes() == before


def test_generate_slot_takes_the_size_asked_for(backbone):
    page = Page(panels=(condition(picture(1)), slot("a", size_px=(50, 37)), slot("b")))
    assert [image.size for image in generate(backbone, page, size_px=(90, 45)).images] == [(50, 37), (90, 45)]
    assert generate(backbone, ask(), size_px=40).images[0].size == (40, 40)


def test_generate_repaint_cuts_slots_out_of_the_canvas(backbone):
    page = Page(panels=(condition(picture(1)), slot("a", size_px=(64, 64)), slot("b", size_px=(64, 64))))
    result = generate(backbone, page, conditioning=Conditioning.REPAINT)
    assert [image.size for image in result.images] == [(64, 64), (64, 64)]
    assert bits(result)[0] != bits(result)[1]


@pytest.mark.parametrize("way", [Conditioning.REFERENCE, Conditioning.REPAINT])
def test_generate_condition_and_example_change_the_picture(backbone, way):
    example = Page(panels=(condition(picture(7)), slot("", answer=picture(8))))
    other_example = Page(panels=(condition(picture(7)), slot("", answer=picture(9))))
    base = generate(backbone, ask(), conditioning=way)
    assert bits(base) != bits(generate(backbone, ask(image=2), conditioning=way))
    shown = generate(backbone, ask().with_context(example), conditioning=way)
    assert bits(base) != bits(shown)
    assert bits(shown) != bits(generate(backbone, ask().with_context(other_example), conditioning=way))


def test_generate_never_reads_the_answer_of_a_slot(backbone):
    pages = [Page(panels=(condition(picture(1)), slot("a", answer=picture(seed)))) for seed in (2, 3)]
    assert bits(generate(backbone, pages[0])) == bits(generate(backbone, pages[1]))


def test_generate_fixed_side_sets_panels_in_squares_and_cuts_the_white_off():
    backbone = klein(References.ALONE, fixed_side=True)
    page = Page(panels=(condition(picture(1, 160, 80)), slot("a"), slot("b", size_px=(30, 60))))
    assert [image.size for image in generate(backbone, page).images] == [(80, 40), (30, 60)]
    assert bits(generate(backbone, page, size_px=80)) == bits(generate(backbone, page))
    assert [image.size for image in generate(backbone, page, size_px=60).images] == [(60, 30), (30, 60)]


def test_iterate_previews_every_step_and_ends_in_the_result_of_generate(backbone):
    *previews, result = iterate(backbone, ask(), seed=3, steps=4)
    assert all(isinstance(preview, Preview) for preview in previews)
    assert [preview.step for preview in previews] == [1, 2, 3, 4]
    assert previews[-1].t == 0
    # At the last step the clean estimate is the picture.
    assert [image.tobytes() for image in previews[-1].images] == bits(result)
    assert bits(result) == bits(generate(backbone, ask(), seed=3, steps=4))


def test_generate_on_step_that_raises_ends_the_run(backbone):
    seen = []

    def stop(preview: Preview) -> None:
        seen.append(preview.step)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(backbone, ask(), on_step=stop)
    assert seen == [1]


def test_generate_skill_is_applied_during_the_run_only(backbone):
    class Louder:
        name = "louder"

        @contextmanager
        def applied(self, backbone: Backbone) -> Iterator[None]:
            weight = backbone.transformer.proj_out.weight
            before = weight.clone()
            weight.mul_(1.5)
            yield
            weight.copy_(before)

    plain = generate(backbone, ask())
    skilled = generate(backbone, ask(), skill=Louder())
    assert bits(plain) != bits(skilled)
    assert skilled.skill == "louder"
    assert bits(plain) == bits(generate(backbone, ask()))


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"steps": 0}, RequestError, "steps is 0"),
        ({"guidance": 3.0}, BackboneError, "takes none"),
        ({"conditioning": Conditioning.FILL}, BackboneError, "cannot take conditions by 'fill'"),
        ({"seed": [1, 2]}, PageError, "2 seeds for 1 pages"),
        ({"size_px": 0}, LayoutError, "at least 1 px"),
    ],
)
def test_generate_impossible_request_says_why(backbone, settings, error, words):
    with pytest.raises(error, match=words):
        generate(backbone, ask(), **settings)


def test_generate_values_that_are_not_finite_are_an_error_and_not_a_black_picture():
    broken = klein(References.ALONE)
    broken.transformer.proj_out.weight.data[0, 0] = float("nan")
    with pytest.raises(BackboneError, match="values that are not finite while running in float32"):
        generate(broken, ask())


def test_generate_values_that_are_not_finite_with_a_skill_name_the_skill():
    broken = klein(References.ALONE)
    skill = random_skill(broken, name="loud")
    broken.codec.vae.decoder.conv_out.bias.data[0] = float("nan")
    with pytest.raises(SkillError, match=r"'0\.5 x loud' is on"):
        generate(broken, ask(), skill=Skills(skill, weights=[0.5]))
