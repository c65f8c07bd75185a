"""The canvas: all panels of a page as one picture, and taken apart again."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate

from PIL import Image

from triptych.errors import LayoutError
from triptych.images import opaque
from triptych.layouts import Box, Canvas, Size, arrange_sizes, nearest_multiple
from triptych.page import Layout, Page

__all__ = [
    "Box",
    "Canvas",
    "Placement",
    "arrange",
    "composite",
    "fit",
    "panel_sizes",
    "resample",
    "slot_mask",
    "split",
    "stitch",
    "to_square",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How a picture of one size lies, undistorted and as large as it can be, in the middle of a frame of another."""

    source_px: Size
    frame_px: Size

    def __post_init__(self) -> None:
        if min(*self.source_px, *self.frame_px) < 1:
            raise LayoutError(
                f"a picture of {self.source_px[0]}x{self.source_px[1]} px in a frame of "
                f"{self.frame_px[0]}x{self.frame_px[1]} px; all sides must be at least 1."
            )

    @property
    def box(self) -> Box:
        """The part of the frame that the picture covers; the rest is white."""
        (width, height), (frame_width, frame_height) = self.source_px, self.frame_px
        scale = min(frame_width / width, frame_height / height)
        inner_width = min(frame_width, max(1, round(width * scale)))
        inner_height = min(frame_height, max(1, round(height * scale)))
        return Box(
            left_px=(frame_width - inner_width) // 2,
            top_px=(frame_height - inner_height) // 2,
            width_px=inner_width,
            height_px=inner_height,
        )

    def apply(self, image: Image.Image) -> Image.Image:
        """The frame with `image`, of the source's size, in it."""
        _expect_size("the picture", image, self.source_px)
        frame = Image.new("RGB", self.frame_px, "white")
        frame.paste(opaque(_resized(image, self.box.size_px)), self.box.corners)
        return frame

    def restore(self, image: Image.Image) -> Image.Image:
        """The picture in a frame at its source's size, the white around it gone; exact where the scale is 1."""
        _expect_size("the frame", image, self.frame_px)
        return _resized(image.crop(self.box.corners), self.source_px)


def resample(image: Image.Image, size_px: Size) -> tuple[Image.Image, Placement]:
    """`image` in a frame of `size_px`, aspect kept, and the placement that takes it out again."""
    placement = Placement(source_px=image.size, frame_px=size_px)
    return placement.apply(image), placement


def to_square(image: Image.Image, side_px: int) -> tuple[Image.Image, Placement]:
    """`resample` to a square."""
    return resample(image, (side_px, side_px))


def panel_sizes(page: Page, slot_size_px: Size | None = None) -> tuple[Size, ...]:
    """Width and height of each of `page.panels`.

    A slot takes its own size, else its answer's, else `slot_size_px`, else that of the page's first condition.
    Raises LayoutError for a slot that gets none.
    """
    default = slot_size_px or next((panel.image.size for panel in page.conditions if panel.image), None)
    sizes = []
    for number, panel in enumerate(page.panels, 1):
        size = panel.size_px or (panel.picture.size if panel.picture else default)
        if size is None:
            raise LayoutError(
                f"panel {number} is a slot without a size, on a page without conditions. Give it size_px."
            )
        sizes.append(size)
    return tuple(sizes)


def arrange(
    panels: Page | Sequence[Size],
    layout: Layout | None = None,
    gutter_px: int | None = None,
    multiple: int = 1,
    *,
    fit: bool = False,
    slot_size_px: Size | None = None,
) -> Canvas:
    """Lay out a page, or panels of the given widths and heights, in reading order.

    All boxes lie on `multiple` pixels. Without `fit` every panel keeps its size, and sizes or gutters that are no
    multiples raise LayoutError. With `fit` boxes are scaled, aspect kept to the nearest multiple: rows share a
    height, columns a width, grids a cell, and `AUTO` makes justified rows of mixed aspects. Example pages are laid
    out alike and stacked above the page; the boxes follow `page.all_panels`.
    """
    if multiple < 1:
        raise LayoutError(f"multiple is {multiple}; it must be at least 1.")
    if not isinstance(panels, Page):
        return arrange_sizes(tuple(panels), layout or Layout.AUTO, gutter_px or 0, multiple, fit)
    layout, gutter = layout or panels.layout, panels.gutter_px if gutter_px is None else gutter_px
    own, *examples = (
        arrange_sizes(panel_sizes(page, slot_size_px), layout, gutter, multiple, fit)
        for page in (panels, *panels.context)
    )
    gutter = nearest_multiple(gutter, multiple) if fit else gutter
    tops = list(accumulate((block.height_px + gutter for block in examples), initial=0))
    blocks = [(own, tops[-1]), *zip(examples, tops, strict=False)]
    return Canvas(
        width_px=max(block.width_px for block, _ in blocks),
        height_px=tops[-1] + own.height_px,
        boxes=tuple(box.moved(down_px=top) for block, top in blocks for box in block.boxes),
    )


def fit(canvas: Canvas, images: Sequence[Image.Image]) -> tuple[tuple[Image.Image, Placement], ...]:
    """Each image resampled to its box, with its placement."""
    return tuple(resample(image, box.size_px) for image, box in zip(images, canvas.boxes, strict=True))


def stitch(canvas: Canvas, images: Sequence[Image.Image | None]) -> Image.Image:
    """One picture of all panels on white; None leaves a panel white. `split` is its exact inverse."""
    if len(images) != len(canvas.boxes):
        raise LayoutError(f"{len(images)} images for {len(canvas.boxes)} panels; give one for each, None for empty.")
    picture = Image.new("RGB", canvas.size_px, "white")
    for number, (image, box) in enumerate(zip(images, canvas.boxes, strict=True), 1):
        if image is not None:
            _expect_size(f"panel {number}", image, box.size_px)
            picture.paste(opaque(image), box.corners)
    return picture


def split(canvas: Canvas, image: Image.Image) -> tuple[Image.Image, ...]:
    """The panels of a stitched picture."""
    _expect_size("the picture", image, canvas.size_px)
    return tuple(image.crop(box.corners) for box in canvas.boxes)


def slot_mask(canvas: Canvas, slots: Collection[int]) -> Image.Image:
    """A grey picture of the canvas, 255 in the panels `slots` (indices from 0) and 0 elsewhere, gutters included."""
    mask = Image.new("L", canvas.size_px, 0)
    for index in slots:
        if not 0 <= index < len(canvas.boxes):
            raise LayoutError(f"slot {index} is not on a canvas of {len(canvas.boxes)} panels, counted from 0.")
        mask.paste(255, canvas.boxes[index].corners)
    return mask


def composite(page: Page, canvas: Canvas) -> tuple[Image.Image, Image.Image]:
    """The page as one picture, as published IC-LoRA data looks, and the mask of its slots.

    Slots show their answers where known, white otherwise. Pictures of another size than their box are resampled.
    """
    pictures = [
        None if panel.picture is None else resample(panel.picture, box.size_px)[0]
        for panel, box in zip(page.all_panels, canvas.boxes, strict=True)
    ]
    return stitch(canvas, pictures), slot_mask(canvas, [i for i, panel in enumerate(page.panels) if panel.is_slot])


def _expect_size(what: str, image: Image.Image, size_px: Size) -> None:
    if image.size != size_px:
        raise LayoutError(
            f"{what} is {image.width}x{image.height} px where {size_px[0]}x{size_px[1]} px fit. Resample it first."
        )


def _resized(image: Image.Image, size_px: Size) -> Image.Image:
    return image.copy() if image.size == size_px else image.resize(size_px, Image.Resampling.LANCZOS)
