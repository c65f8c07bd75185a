"""The bootstrap and the sign-flip test on numbers whose answer is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triptych.evaluation.statistics import bootstrap, paired_test, wilson


def test_bootstrap_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    samples = [rng.normal(2.0, 1.0, 40) for _ in range(60)]
    covered = [(e := bootstrap(sample.tolist())).low <= 2.0 <= e.high for sample in samples]
    assert 0.85 <= np.mean(covered) < 1.0


def test_bootstrap_of_groups_is_wider_than_of_their_pages() -> None:
    values = [float(group) for group in range(8) for _ in range(5)]
    groups = [group for group in range(8) for _ in range(5)]
    whole, naive = bootstrap(values, groups), bootstrap(values)
    assert whole.mean == naive.mean == pytest.approx(3.5)
    assert (whole.groups, whole.pages) == (8, 40)
    assert whole.high - whole.low > 1.5 * (naive.high - naive.low)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20))
def test_bootstrap_interval_holds_the_mean_and_is_the_same_again(values: list[float]) -> None:
    found = bootstrap(values)
    assert found == bootstrap(values)
    assert found.low - 1e-6 <= found.mean <= found.high + 1e-6
    assert min(values) - 1e-6 <= found.low <= found.high <= max(values) + 1e-6


def test_bootstrap_leaves_nan_out() -> None:
    found = bootstrap([1.0, math.nan, 3.0])
    assert (found.mean, found.pages) == (2.0, 2)
    assert math.isnan(bootstrap([math.nan]).mean)


def test_paired_test_finds_a_small_steady_gain_that_spread_would_hide() -> None:
    rng = np.random.default_rng(2)
    level = rng.normal(20, 6, 50)
    first = {str(i): float(value + 0.5 + rng.normal(0, 0.3)) for i, value in enumerate(level)}
    second = {str(i): float(value) for i, value in enumerate(level)}
    found = paired_test(first, second)
    assert found.is_significant
    assert found.difference.mean == pytest.approx(0.5, abs=0.2)


def test_paired_test_of_noise_is_seldom_significant() -> None:
    rng = np.random.default_rng(3)
    tests = [
        paired_test({str(i): float(v) for i, v in enumerate(rng.normal(0, 1, 30))}, {str(i): 0.0 for i in range(30)})
        for _ in range(40)
    ]
    assert np.mean([test.is_significant for test in tests]) <= 0.15


def test_paired_test_uses_shared_pages_only_and_counts_groups() -> None:
    found = paired_test({"a": 1.0, "b": 3.0, "c": 9.0}, {"a": 0.0, "b": 1.0, "d": 4.0}, {"a": 0, "b": 0, "c": 1})
    assert (found.difference.pages, found.difference.groups) == (2, 1)
    assert found.difference.mean == 1.5
    # One group can be flipped in two ways, and both are as far from 0.
    assert found.p == 1.0


def test_wilson_interval_is_the_published_one_and_stays_within_0_and_1():
    found = wilson(15, 20)
    # statsmodels' proportion_confint(15, 20, method="wilson")
    assert (found.mean, found.low, found.high) == pytest.approx((0.75, 0.5313, 0.8881), abs=1e-4)
    assert wilson(20, 20).high == 1.0 and 0.8 < wilson(20, 20).low < 0.9
    assert wilson(0, 4).low == 0.0
    assert math.isnan(wilson(0, 0).mean)
