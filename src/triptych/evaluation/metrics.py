"""Distances between a picture and the right answer, and faults that need no trained judge to see.

All of it runs offline and without weights, so that nothing but the code decides a figure.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity
from skimage.registration import phase_cross_correlation

from triptych.images import opaque

__all__ = [
    "Detail",
    "colour_shift",
    "compare_pictures",
    "gradient_deviation",
    "noise_excess",
    "psnr",
    "seam_excess",
    "sharpness",
    "shift_px",
]

Array = np.ndarray

_LUMA = np.asarray([0.299, 0.587, 0.114], dtype=np.float32)
_BEST_PSNR = 60.0
_WINDOW_PX = 8
"""Least side of what is compared: structural similarity looks through windows of seven pixels."""
"""Equal pictures have no finite PSNR; 60 dB is beyond what 8 bits can tell apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """How one picture differs from the right answer."""

    psnr: float
    """dB, higher is better, at most 60."""
    ssim: float
    """Structural similarity of the luminance, up to 1 (Wang et al. 2004, IEEE TIP 13(4), eq. 13)."""
    gmsd: float
    """Gradient magnitude similarity deviation, 0 is best (Xue et al. 2014, IEEE TIP 23(2), eq. 5)."""
    shift_px: float
    """Length of the shift that aligns the picture with the answer, in pixels."""
    colour: float
    """Mean CIEDE2000 distance of small neighbourhoods; about 2 can just be seen."""
    sharpness: float
    """Edge strength relative to the answer's; 1 is as sharp, below is softer."""
    seams: float
    """Excess of steps at the codec's patch borders over steps elsewhere, in levels of 255; 0 is none."""
    noise: float
    """Colour noise added where the answer is flat, in levels of 255; 0 is none."""

    def values(self) -> Mapping[str, float]:
        return asdict(self)


def compare_pictures(picture: Image.Image, answer: Image.Image, *, patch_px: int = 16) -> Detail:
    """All distances of `picture`, resampled to the answer's size if need be, from `answer`. Both are RGB."""
    right, given = _array(answer), _array(_sized(picture, answer))
    exact = psnr(given, right)
    right, given = _padded(right), _padded(given)
    right_grey, given_grey = right @ _LUMA, given @ _LUMA
    return Detail(
        psnr=exact,
        ssim=float(structural_similarity(right_grey, given_grey, data_range=1.0)),  # pyright: ignore[reportArgumentType]
        gmsd=gradient_deviation(given_grey, right_grey),
        shift_px=shift_px(given_grey, right_grey),
        colour=colour_shift(given, right),
        sharpness=sharpness(given_grey, right_grey),
        seams=seam_excess(given - right, patch_px=patch_px),
        noise=noise_excess(given, right),
    )


def _sized(picture: Image.Image, like: Image.Image) -> Image.Image:
    return picture if picture.size == like.size else picture.resize(like.size, Image.Resampling.BICUBIC)


def _array(picture: Image.Image) -> Array:
    return np.asarray(opaque(picture), dtype=np.float32) / 255


def _padded(picture: Array) -> Array:
    """The picture with its edges repeated where it is smaller than the windows that are looked through."""
    rows, columns = (np.arange(max(side, _WINDOW_PX)).clip(max=side - 1) for side in picture.shape[:2])
    return picture[rows][:, columns]


def psnr(given: Array, right: Array) -> float:
    """Peak signal-to-noise ratio in dB of arrays in 0..1, capped at 60."""
    error = float(np.mean((given - right) ** 2))
    return _BEST_PSNR if error <= 10 ** (-_BEST_PSNR / 10) else -10 * math.log10(error)


def _gradient(grey: Array) -> Array:
    """Magnitude of the Prewitt gradient."""
    return np.hypot(ndimage.prewitt(grey, axis=0), ndimage.prewitt(grey, axis=1)) / 3


def gradient_deviation(given: Array, right: Array) -> float:
    """GMSD of two grey arrays in 0..1 at half their size; the authors' constant, 170 of 255^2."""
    fine = [_gradient(ndimage.uniform_filter(grey, 2)[::2, ::2]) for grey in (given, right)]
    constant = 170 / 255**2
    similarity = (2 * fine[0] * fine[1] + constant) / (fine[0] ** 2 + fine[1] ** 2 + constant)
    return float(similarity.std())


def shift_px(given: Array, right: Array) -> float:
    """Sub-pixel shift (a tenth of a pixel) by phase correlation (Guizar-Sicairos et al. 2008, Optics Letters 33(2)).

    0 where either picture is plain, since a plain picture cannot be shifted.
    """
    if given.std() < 1e-3 or right.std() < 1e-3:
        return 0.0
    moved, _, _ = phase_cross_correlation(right, given, upsample_factor=10, normalization=None)  # pyright: ignore[reportArgumentType]
    return float(np.hypot(*moved))


def colour_shift(given: Array, right: Array, *, cells: int = 32) -> float:
    """Mean CIEDE2000 over box-averaged cells, so that fine detail does not count as colour."""
    return float(deltaE_ciede2000(rgb2lab(_pooled(right, cells)), rgb2lab(_pooled(given, cells))).mean())


def _pooled(picture: Array, cells: int) -> Array:
    rows, columns = max(1, picture.shape[0] // cells), max(1, picture.shape[1] // cells)
    height, width = picture.shape[0] // rows * rows, picture.shape[1] // columns * columns
    return picture[:height, :width].reshape(height // rows, rows, width // columns, columns, 3).mean(axis=(1, 3))


def sharpness(given: Array, right: Array) -> float:
    """Edge strength where the answer has its strongest edges (the top twentieth), over the answer's there.

    The strongest value in each 5x5 neighbourhood is taken, so that an edge two pixels off is not called soft.
    """
    strong = _gradient(right)
    mask = strong >= max(float(np.quantile(strong, 0.95)), 1e-3)
    if not mask.any():
        return 1.0
    found = ndimage.maximum_filter(_gradient(given), 5)[mask].mean()
    return float(found / ndimage.maximum_filter(strong, 5)[mask].mean())


def seam_excess(error: Array, *, patch_px: int = 16) -> float:
    """Mean step of the error across patch borders minus its mean step elsewhere, in levels of 255; may be below 0.

    Taken on the error and not on the picture, so that a border that the answer has at a patch's edge is not a seam.
    """
    steps = [np.abs(np.diff(error, axis=axis)).mean(axis=-1) for axis in (0, 1)]
    excess = []
    for axis, step in enumerate(steps):
        along = np.arange(step.shape[axis])
        border = (along + 1) % patch_px == 0
        if border.any() and not border.all():
            lines = step.mean(axis=1 - axis)
            excess.append(float(lines[border].mean() - lines[~border].mean()))
    return 255 * float(np.mean(excess)) if excess else 0.0


def noise_excess(given: Array, right: Array) -> float:
    """Standard deviation of fine colour differences where the answer is flat, minus the answer's own.

    Fine is what a 5x5 mean removes; colour is each channel's distance from the luminance. Levels of 255.
    """
    flat = ndimage.maximum_filter(_gradient(right @ _LUMA), 9) < 0.01
    if flat.sum() < 64:
        return 0.0

    def fine(picture: Array) -> float:
        chroma = picture - (picture @ _LUMA)[..., None]
        rest = chroma - ndimage.uniform_filter(chroma, (5, 5, 1))  # pyright: ignore[reportArgumentType]
        return float(rest[flat].std())

    return 255 * max(0.0, fine(given) - fine(right))
