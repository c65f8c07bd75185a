"""Out of memory, as torch reports it: smaller batches, then the backbone's rungs, then an error that helps."""

import pytest
import torch

from tiny_models import klein, picture
from triptych.errors import BackboneError
from triptych.models.flux2.backbone import Flux2
from triptych.page import Page, condition, slot
from triptych.sampling import generate


def page(seed: int) -> Page:
    return Page(panels=(condition(picture(seed), "a fox"), slot("snow")))


def exhaust(backbone: Flux2, *, above_pages: int = 8, times: int = 0, error: type = torch.OutOfMemoryError) -> None:
    """Let the transformer run out of memory for large batches, or the first `times` times."""
    left = [times]

    def fail(module, positional, named):  # noqa: ARG001
        if len(named["hidden_states"]) > above_pages or left[0] > 0:
            left[0] -= 1
            raise error("DefaultCPUAllocator: not enough memory")

    backbone.transformer.register_forward_pre_hook(fail, with_kwargs=True)


def test_relief_too_many_pages_are_made_in_smaller_batches(caplog):
    backbone = klein()
    exhaust(backbone, above_pages=2)
    results = generate(backbone, [page(seed) for seed in range(5)])
    assert [result.timings.pages for result in results] == [2, 2, 1, 2, 2]
    assert "memory ran out with 5 pages" in caplog.text


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
def test_relief_steps_down_the_ladder_tells_it_and_makes_the_same_picture(error):
    expected = generate(klein(), page(1))
    backbone, taken = klein(), []
    backbone.set_relief([lambda: taken.append("mild") or "a mild rung", lambda: taken.append("hard") or "a hard rung"])
    exhaust(backbone, times=2, error=error)
    result = generate(backbone, page(1))
    assert taken == ["mild", "hard"]
    assert result.notes == ("a mild rung", "a hard rung")
    assert result.images[0].tobytes() == expected.images[0].tobytes()


def test_relief_at_the_end_of_the_ladder_says_what_to_try():
    backbone = klein()
    exhaust(backbone, times=9)
    with pytest.raises(BackboneError, match=r"memory ran out on tiny with a page of 2 panels.*Try fewer or smaller"):
        generate(backbone, page(1))


def test_relief_leaves_other_errors_alone():
    backbone = klein()

    def fail(*_):
        raise RuntimeError("shapes do not match")

    backbone.transformer.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        generate(backbone, page(1))
