import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from triptych.canvas import (
    Box,
    Canvas,
    Placement,
    arrange,
    composite,
    fit,
    panel_sizes,
    resample,
    slot_mask,
    split,
    stitch,
    to_square,
)
from triptych.errors import LayoutError
from triptych.page import Layout, Page, condition, slot

layouts = st.sampled_from(Layout)
sizes_px = st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1, max_size=24)


def plain(size_px: tuple[int, int], color: str = "red") -> Image.Image:
    return Image.new("RGB", size_px, color)


def noise(size_px: tuple[int, int], seed: int) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (size_px[1], size_px[0], 3), dtype=np.uint8)
    return Image.fromarray(values)


@st.composite
def on_multiples(draw: st.DrawFn) -> tuple[list[tuple[int, int]], int, int]:
    multiple = draw(st.sampled_from([1, 2, 16]))
    side = st.integers(1, max(2, 96 // multiple)).map(lambda count: count * multiple)
    return draw(st.lists(st.tuples(side, side), min_size=1, max_size=12)), draw(st.integers(0, 3)) * multiple, multiple


@given(case=on_multiples(), layout=layouts)
@settings(deadline=None)
def test_split_of_stitched_panels_gives_each_pixel_back(
    case: tuple[list[tuple[int, int]], int, int], layout: Layout
) -> None:
    sizes, gutter_px, multiple = case
    canvas = arrange(sizes, layout, gutter_px, multiple)
    images = [noise(size, seed) for seed, size in enumerate(sizes)]
    assert [box.size_px for box in canvas.boxes] == sizes
    assert list(split(canvas, stitch(canvas, images))) == images


@given(case=on_multiples(), layout=layouts)
@settings(deadline=None)
def test_stitch_of_split_picture_gives_the_picture_back_on_white_ground(
    case: tuple[list[tuple[int, int]], int, int], layout: Layout
) -> None:
    sizes, gutter_px, multiple = case
    canvas = arrange(sizes, layout, gutter_px, multiple)
    picture = noise(canvas.size_px, 7)
    ground = slot_mask(canvas, range(len(sizes))).point(lambda value: 255 - value)
    picture.paste("white", mask=ground)
    assert stitch(canvas, split(canvas, picture)) == picture


@given(sizes=sizes_px, layout=layouts, gutter_px=st.integers(0, 20), multiple=st.sampled_from([1, 8, 16]))
@settings(deadline=None)
def test_arrange_with_fit_puts_everything_on_multiples_apart_and_in_order(
    sizes: list[tuple[int, int]], layout: Layout, gutter_px: int, multiple: int
) -> None:
    canvas = arrange(sizes, layout, gutter_px, multiple, fit=True)
    assert len(canvas.boxes) == len(sizes)
    for box in canvas.boxes:
        assert all(edge % multiple == 0 for edge in box.corners)
    assert canvas.width_px % multiple == canvas.height_px % multiple == 0
    places = [(box.top_px, box.left_px) for box in canvas.boxes]
    assert places == sorted(places)


@given(
    aspects=st.lists(st.floats(0.4, 2.5), min_size=2, max_size=9),
    layout=st.sampled_from([Layout.AUTO, Layout.ROW, Layout.GRID]),
)
@settings(deadline=None)
def test_arrange_with_fit_keeps_aspects_to_a_few_percent(aspects: list[float], layout: Layout) -> None:
    sizes = [(round(600 * aspect**0.5), round(600 / aspect**0.5)) for aspect in aspects]
    canvas = arrange(sizes, layout, multiple=4, fit=True)
    for box, (width, height) in zip(canvas.boxes, sizes, strict=True):
        assert box.width_px / box.height_px == pytest.approx(width / height, rel=0.08)


@given(sizes=st.lists(st.tuples(st.integers(1, 900), st.integers(1, 900)), min_size=2, max_size=9))
@example(sizes=[(900, 10), (1, 900), (1, 900)])
@settings(deadline=None)
def test_arrange_with_fit_automatic_makes_rows_of_equal_width(sizes: list[tuple[int, int]]) -> None:
    if len(set(sizes)) == 1:
        return
    canvas = arrange(sizes, gutter_px=16, multiple=16, fit=True)
    ends: dict[int, int] = {}
    for box in canvas.boxes:
        ends[box.top_px] = max(ends.get(box.top_px, 0), box.corners[2])
    assert set(ends.values()) == {canvas.width_px}


@pytest.mark.parametrize(
    ("count", "size_px", "canvas_px"),
    [
        (2, (128, 128), (256, 128)),
        (3, (128, 128), (384, 128)),
        (4, (128, 128), (256, 256)),
        (5, (128, 128), (384, 256)),
        (3, (1024, 512), (1024, 1536)),
        (2, (736, 1024), (1472, 1024)),
        (4, (672, 864), (1344, 1728)),
        (2, (1408, 800), (1408, 1600)),
    ],
)
def test_arrange_automatic_of_equal_panels_gives_the_published_canvases(
    count: int, size_px: tuple[int, int], canvas_px: tuple[int, int]
) -> None:
    assert arrange([size_px] * count, multiple=16).size_px == canvas_px


def test_arrange_in_row_column_and_grid_with_gutter() -> None:
    sizes = [(32, 16)] * 3
    assert arrange(sizes, Layout.ROW, 16).size_px == (128, 16)
    assert arrange(sizes, Layout.COLUMN, 16).size_px == (32, 80)
    grid = arrange(sizes, Layout.GRID, 16)
    assert grid.size_px == (80, 48)
    assert grid.boxes[2] == Box(left_px=0, top_px=32, width_px=32, height_px=16)


def test_arrange_with_fit_row_shares_height_and_column_shares_width() -> None:
    sizes = [(100, 200), (300, 150)]
    row = arrange(sizes, Layout.ROW, multiple=1, fit=True)
    assert [box.size_px for box in row.boxes] == [(100, 200), (400, 200)]
    column = arrange(sizes, Layout.COLUMN, multiple=1, fit=True)
    assert [box.size_px for box in column.boxes] == [(300, 600), (300, 150)]


def test_arrange_of_a_size_off_the_multiple_names_panel_size_and_what_fits() -> None:
    with pytest.raises(LayoutError, match=r"panel 2 is 500x512 px; sides must be multiples of 16\. Try 496x512\."):
        arrange([(512, 512), (500, 512)], multiple=16)
    with pytest.raises(LayoutError, match=r"gutter_px is 10; it must be a multiple of 16\. Try 16"):
        arrange([(16, 16)] * 2, gutter_px=10, multiple=16)


@pytest.mark.parametrize(
    ("sizes", "options", "reason"),
    [
        ([], {}, "no panel"),
        ([(0, 5)], {}, "panel 1 is 0x5"),
        ([(8, 8)], {"gutter_px": -1}, "gutter_px is -1"),
        ([(8, 8)], {"multiple": 0}, "multiple is 0"),
        ([(9000, 9000)], {}, "9000x9000 px; at most 64 megapixels"),
    ],
)
def test_arrange_of_the_impossible_says_why(sizes: list, options: dict, reason: str) -> None:
    with pytest.raises(LayoutError, match=reason):
        arrange(sizes, **options)


def test_arrange_page_with_examples_stacks_them_above_in_the_order_of_all_panels() -> None:
    example = Page(panels=(condition(plain((32, 32))), slot(answer=plain((32, 32)))))
    page = Page(panels=(condition(plain((32, 32))), slot()), layout=Layout.ROW).with_context(example, example)
    canvas = arrange(page, gutter_px=8)
    assert canvas.size_px == (72, 112)
    assert [(box.left_px, box.top_px) for box in canvas.boxes] == [
        (0, 80),
        (40, 80),
        (0, 0),
        (40, 0),
        (0, 40),
        (40, 40),
    ]


def test_panel_sizes_of_slots_come_from_size_answer_argument_then_first_condition() -> None:
    page = Page(panels=(condition(plain((30, 20))), slot(), slot(size_px=(5, 6)), slot(answer=plain((7, 8)))))
    assert panel_sizes(page) == ((30, 20), (30, 20), (5, 6), (7, 8))
    assert panel_sizes(page, (64, 64))[1] == (64, 64)
    with pytest.raises(LayoutError, match="panel 1 is a slot without a size"):
        panel_sizes(Page(panels=(slot(),)))


def test_stitch_of_another_size_or_number_names_the_panel() -> None:
    canvas = arrange([(16, 16), (32, 16)], Layout.ROW)
    with pytest.raises(LayoutError, match="panel 2 is 16x16 px where 32x16 px fit"):
        stitch(canvas, [plain((16, 16)), plain((16, 16))])
    with pytest.raises(LayoutError, match="1 images for 2 panels"):
        stitch(canvas, [plain((16, 16))])
    with pytest.raises(LayoutError, match="the picture is 48x17 px"):
        split(canvas, plain((48, 17)))


def test_slot_mask_is_white_in_slots_only() -> None:
    canvas = arrange([(16, 16)] * 3, Layout.ROW, 4)
    mask = np.asarray(slot_mask(canvas, [1]))
    assert mask[:, 20:36].min() == 255
    assert mask[:, :20].max() == 0 and mask[:, 36:].max() == 0
    with pytest.raises(LayoutError, match="slot 3 is not on a canvas of 3"):
        slot_mask(canvas, [3])


def test_composite_shows_conditions_and_answers_and_masks_only_own_slots() -> None:
    example = Page(panels=(condition(plain((16, 16), "green")), slot(answer=plain((16, 16), "blue"))))
    page = Page(panels=(condition(plain((16, 16), "red")), slot()), layout=Layout.ROW).with_context(example)
    picture, mask = composite(page, arrange(page))
    places = [(0, 0), (16, 0), (0, 16), (16, 16)]
    assert [picture.getpixel(place) for place in places] == [(0, 128, 0), (0, 0, 255), (255, 0, 0), (255, 255, 255)]
    assert [mask.getpixel(place) for place in places] == [0, 0, 0, 255]


def test_canvas_with_boxes_over_each_other_or_outside_is_refused() -> None:
    box = Box(left_px=0, top_px=0, width_px=10, height_px=10)
    with pytest.raises(LayoutError, match=r"panel 2 .* overlaps panel 1"):
        Canvas(width_px=20, height_px=20, boxes=(box, Box(left_px=9, top_px=9, width_px=2, height_px=2)))
    with pytest.raises(LayoutError, match=r"panel 1 .* leaves the canvas"):
        Canvas(width_px=9, height_px=20, boxes=(box,))
    with pytest.raises(LayoutError, match="is not a valid box"):
        Box(left_px=0, top_px=0, width_px=0, height_px=1)


@given(
    size=st.tuples(st.integers(1, 200), st.integers(1, 200)), frame=st.tuples(st.integers(1, 200), st.integers(1, 200))
)
@settings(deadline=None)
def test_resample_and_restore_keep_size_aspect_and_colour(size: tuple[int, int], frame: tuple[int, int]) -> None:
    framed, placement = resample(plain(size), frame)
    assert framed.size == frame
    box = placement.box
    scale = min(frame[0] / size[0], frame[1] / size[1])
    assert abs(box.width_px - max(1, size[0] * scale)) <= 0.5 and abs(box.height_px - max(1, size[1] * scale)) <= 0.5
    assert framed.crop(box.corners) == plain(box.size_px)
    assert placement.restore(framed) == plain(size)


@given(size=st.tuples(st.integers(1, 64), st.integers(1, 64)))
@settings(deadline=None)
def test_to_square_at_full_scale_is_restored_exactly(size: tuple[int, int]) -> None:
    image = noise(size, 3)
    framed, placement = to_square(image, max(size))
    assert placement.restore(framed) == image


def test_to_square_pads_with_white_and_restores_without_it() -> None:
    framed, placement = to_square(plain((200, 100)), 128)
    assert framed.getpixel((64, 10)) == (255, 255, 255) and framed.getpixel((64, 64)) == (255, 0, 0)
    assert placement == Placement(source_px=(200, 100), frame_px=(128, 128))
    assert np.asarray(placement.restore(framed)).min(axis=(0, 1)).tolist() == [255, 0, 0]
    with pytest.raises(LayoutError, match="the frame is 64x64 px where 128x128"):
        placement.restore(plain((64, 64)))


def test_fit_gives_pictures_that_stitch_and_come_back() -> None:
    images = [plain((100, 200), "red"), plain((310, 150), "blue")]
    canvas = arrange([image.size for image in images], Layout.ROW, multiple=16, fit=True)
    fitted = fit(canvas, images)
    panels = split(canvas, stitch(canvas, [image for image, _ in fitted]))
    assert [placement.restore(panel) for panel, (_, placement) in zip(panels, fitted, strict=True)] == images
