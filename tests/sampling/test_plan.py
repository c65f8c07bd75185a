"""What is known of a canvas stays known, at every noise level."""

from collections.abc import Callable

import pytest
import torch

from tiny_models import klein, picture
from tiny_training import tiny_pocket
from triptych.flow import interpolate
from triptych.models.backbone import Backbone, Conditioning
from triptych.page import Page, condition, slot
from triptych.sampling.solvers import denoise
from triptych.sampling.ways import WAYS
from triptych.sampling.working import working_page


@pytest.mark.parametrize(("make", "is_clean"), [(klein, False), (tiny_pocket, True)])
def test_repaint_puts_conditions_back_as_the_backbone_was_trained_to_see_them(
    make: Callable[[], Backbone], is_clean: bool
) -> None:
    backbone = make()
    page = working_page(Page(panels=(condition(picture(1)), slot("in snow"))), backbone.card)
    plan = WAYS[Conditioning.REPAINT].plan(backbone, [page], [3])
    assert plan.known is not None
    is_known = plan.known.keep[..., 0] > 0
    assert is_known.any()
    assert not is_known.all()

    def expected(t: float) -> torch.Tensor:
        assert plan.known is not None
        return (plan.known.data if is_clean else interpolate(plan.known.data, plan.noise, t))[is_known]

    torch.testing.assert_close(plan.start[is_known], expected(1.0))
    assert torch.equal(plan.start[~is_known], plan.noise[~is_known])
    moved = next(denoise(lambda tokens, *_: torch.ones_like(tokens), plan, (1.0, 0.4))).tokens
    torch.testing.assert_close(moved[is_known], expected(0.4))
    torch.testing.assert_close(moved[~is_known], plan.noise[~is_known] - 0.6)
