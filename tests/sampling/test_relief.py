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


SAID = "DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes."
CUDA_SAYS = (
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other API call",
    "CUDA driver error: out of memory",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "MPS backend out of memory (MPS allocated: 8.00 GB, other allocations: 1.00 GB, max allowed: 9.07 GB).",
)
"""What torch says where its own allocator was not the one that ran out."""


def exhaust(
    backbone: Flux2,
    *,
    above_pages: int = 8,
    times: int = 0,
    error: type = torch.OutOfMemoryError,
    said: str = SAID,
) -> None:
    """Let the transformer run out of memory for large batches, or the first `times` times."""
    left = [times]

    def fail(module, positional, named):  # noqa: ARG001
        if len(named["hidden_states"]) > above_pages or left[0] > 0:
            left[0] -= 1
            raise error(said)

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


@pytest.mark.parametrize("error", [RuntimeError, torch.AcceleratorError])
@pytest.mark.parametrize("said", CUDA_SAYS, ids=lambda said: said.split("(")[0].strip()[:40])
def test_relief_takes_what_cuda_and_its_libraries_say_for_exhaustion(said, error):
    backbone, taken = klein(), []
    backbone.set_relief([lambda: taken.append("mild") or "a mild rung"])
    exhaust(backbone, times=1, error=error, said=said)
    assert generate(backbone, page(1)).notes == ("a mild rung",)
    assert taken == ["mild"]


@pytest.mark.parametrize(
    "said", ["CUDA error: an illegal memory access was encountered", "CUBLAS_STATUS_EXECUTION_FAILED"]
)
def test_relief_leaves_other_errors_of_cuda_alone(said):
    backbone = klein()
    backbone.set_relief([lambda: pytest.fail("nothing ran out")])
    exhaust(backbone, times=1, error=RuntimeError, said=said)
    with pytest.raises(RuntimeError, match=said[:20]):
        generate(backbone, page(1))


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
