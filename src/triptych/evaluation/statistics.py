"""Intervals and tests that are the same on every run: the bootstrap and the sign-flip permutation test.

Pages of one task share its parameters and are not independent draws, so both resample whole groups of pages.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Estimate", "PairedTest", "bootstrap", "paired_test", "wilson"]

_RESAMPLES = 4000
_Z = 1.959964
"""Of an interval of 95%."""
_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean with its interval of 95%, over `pages` pages in `groups` independent groups."""

    mean: float
    low: float
    high: float
    pages: int
    groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """The mean difference on the same pages, its interval, and the two-sided p-value that it is only chance."""

    difference: Estimate
    p: float

    @property
    def is_significant(self) -> bool:
        return self.p < 0.05


def bootstrap(values: Sequence[float], groups: Sequence[Hashable] | None = None, *, seed: int = 0) -> Estimate:
    """Percentile bootstrap of the mean (Efron 1979, Annals of Statistics 7(1)), resampling groups.

    `groups` names each value's group; None takes every value for its own. NaN values are left out; with none left
    the estimate is NaN over 0 pages.
    """
    sums, counts = _grouped(values, groups)
    pages = int(counts.sum())
    if pages == 0:
        return Estimate(mean=float("nan"), low=float("nan"), high=float("nan"), pages=0, groups=0)
    rng, means = np.random.default_rng(seed), []
    for _ in range(_RESAMPLES // _CHUNK):
        drawn = rng.integers(0, len(sums), (_CHUNK, len(sums)))
        means.append(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1))
    low, high = np.quantile(np.concatenate(means), (0.025, 0.975))
    return Estimate(mean=float(sums.sum() / pages), low=float(low), high=float(high), pages=pages, groups=len(sums))


def wilson(wins: float | int, count: int) -> Estimate:
    """A share with Wilson's score interval (Wilson 1927, JASA 22(158)), right also near 0 and 1 and for few cases.

    `wins` of `count` independent cases, ties counted as halves; NaN over none.
    """
    if count == 0:
        return Estimate(mean=float("nan"), low=float("nan"), high=float("nan"), pages=0, groups=0)
    share, square = wins / count, _Z**2 / count
    middle = (share + square / 2) / (1 + square)
    half = _Z * math.sqrt(share * (1 - share) / count + square / (4 * count)) / (1 + square)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Estimate(mean=share, low=low, high=high, pages=count, groups=count)


def paired_test(
    first: Mapping[str, float],
    second: Mapping[str, float],
    groups: Mapping[str, Hashable] | None = None,
    *,
    seed: int = 0,
) -> PairedTest:
    """`first` minus `second` on the pages both have, by name.

    The p-value is that of the sign-flip permutation test on the groups' sums (Good 2005, Permutation, Parametric and
    Bootstrap Tests, ch. 3), counted with the observed arrangement, so that it is never 0.
    """
    pages = sorted(
        page for page in first.keys() & second.keys() if np.isfinite(first[page]) and np.isfinite(second[page])
    )
    differences = [first[page] - second[page] for page in pages]
    names = [groups[page] if groups else page for page in pages]
    estimate = bootstrap(differences, names, seed=seed)
    if not pages:
        return PairedTest(difference=estimate, p=1.0)
    sums, _ = _grouped(differences, names)
    rng, as_far = np.random.default_rng(seed), 0
    # A hair below the observed sum, so that equal sums added in another order still count.
    limit = abs(sums.sum()) * (1 - 1e-9) - 1e-12
    for _ in range(_RESAMPLES // _CHUNK):
        signs = rng.integers(0, 2, (_CHUNK, len(sums))) * 2 - 1
        as_far += int((np.abs(signs @ sums) >= limit).sum())
    return PairedTest(difference=estimate, p=(as_far + 1) / (_RESAMPLES + 1))


def _grouped(values: Sequence[float], groups: Sequence[Hashable] | None) -> tuple[np.ndarray, np.ndarray]:
    """Sum and count of each group's finite values, in order of first appearance."""
    names = range(len(values)) if groups is None else groups
    sums: dict[Hashable, float] = {}
    counts: dict[Hashable, int] = {}
    for name, value in zip(names, values, strict=True):
        if np.isfinite(value):
            sums[name] = sums.get(name, 0.0) + float(value)
            counts[name] = counts.get(name, 0) + 1
    return np.asarray(list(sums.values())), np.asarray(list(counts.values()))
