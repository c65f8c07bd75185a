"""Pictures kept for the report, and contact sheets of results that nobody selected."""

import base64
import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from triptych.evaluation.cases import Case
from triptych.evaluation.records import Shown, ShownPicture
from triptych.images import opaque
from triptych.page import Page, Panel
from triptych.sampling import Result

__all__ = ["contact_sheet", "open_picture", "picture_uri", "shown_page", "shown_sheet"]

_SHOWN_PX = 128
_INK = (60, 62, 72)
_FRAME = {"example": (205, 207, 214), "given": (120, 124, 136), "made": (38, 106, 224), "answer": (60, 160, 96)}


def picture_uri(picture: Image.Image) -> str:
    """A small WebP as a data URI; larger pictures are brought to 128 px."""
    if max(picture.size) > _SHOWN_PX:
        picture = picture.copy()
        picture.thumbnail((_SHOWN_PX, _SHOWN_PX), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    opaque(picture).save(stream, "WEBP", quality=90, method=4)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()


def open_picture(uri: str) -> Image.Image:
    """The picture of a data URI made by `picture_uri`."""
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")


def shown_page(case: Case, arm: str, asked: Page, pictures: Sequence[Image.Image]) -> Shown:
    """The page as it was asked, with what was made and what was right."""
    return Shown(
        page=case.key,
        rule=asked.rule,
        overview=asked.overview,
        arm=arm,
        examples=tuple(_shown(panel) for example in asked.context for panel in example.panels),
        given=tuple(_shown(panel) for panel in asked.conditions),
        answers=tuple(_shown(panel) for panel in asked.slots),
        pictures=tuple(ShownPicture(picture=picture_uri(picture)) for picture in pictures),
    )


def _shown(panel: Panel) -> ShownPicture:
    assert panel.picture is not None, "pages of an evaluation are answered"
    return ShownPicture(picture=picture_uri(panel.picture), words=panel.instruction)


_Cell = tuple[Image.Image, str]


def contact_sheet(results: Sequence[Result], *, columns: int = 2, cell_px: int = 96) -> Image.Image:
    """Results as strips: examples, conditions, what was made (blue) and, where it is known, the answer (green)."""
    strips = []
    for result in results:
        page = result.page
        cells = [(panel.picture, "example") for example in page.context for panel in example.panels]
        cells += [(panel.image, "given") for panel in page.conditions]
        for panel, made in zip(page.slots, result.images, strict=True):
            cells.append((made, "made"))
            if panel.answer is not None:
                cells.append((panel.answer, "answer"))
        words = " | ".join(filter(None, (page.overview, *(panel.instruction for panel in page.slots))))
        strips.append(_strip([(picture, kind) for picture, kind in cells if picture is not None], words, cell_px))
    return _sheet(strips, columns)


def shown_sheet(entries: Sequence[Shown], *, columns: int = 2, cell_px: int = 96) -> Image.Image:
    """As `contact_sheet`, of pages kept by an evaluation."""
    strips = []
    for entry in entries:
        cells = [(open_picture(shown.picture), "example") for shown in entry.examples]
        cells += [(open_picture(shown.picture), "given") for shown in entry.given]
        for made, answer in zip(entry.pictures, entry.answers, strict=True):
            cells += [(open_picture(made.picture), "made"), (open_picture(answer.picture), "answer")]
        words = " | ".join(filter(None, (entry.overview, *(answer.words for answer in entry.answers))))
        strips.append(_strip(cells, words or f"(no words) {entry.rule or ''}", cell_px))
    return _sheet(strips, columns)


def _strip(cells: Sequence[_Cell], words: str, cell_px: int) -> Image.Image:
    step = cell_px + 8
    strip = Image.new("RGB", (max(1, len(cells)) * step, cell_px + 24), (255, 255, 255))
    pen = ImageDraw.Draw(strip)
    for index, (picture, kind) in enumerate(cells):
        left = index * step + 2
        pen.rectangle((left, 0, left + cell_px + 3, cell_px + 3), outline=_FRAME[kind], width=2)
        strip.paste(opaque(picture).resize((cell_px, cell_px), Image.Resampling.LANCZOS), (left + 2, 2))
    font = ImageFont.load_default(11)
    room = strip.width - 4
    while words and pen.textlength(words, font) > room:
        words = words[: int(len(words) * 0.95) - 1]
    pen.text((2, cell_px + 6), words, fill=_INK, font=font)
    return strip


def _sheet(strips: Sequence[Image.Image], columns: int) -> Image.Image:
    """Strips from the left to the right, each column as wide as its widest."""
    if not strips:
        return Image.new("RGB", (1, 1), (255, 255, 255))
    widths = [max(strip.width for strip in strips[column::columns]) for column in range(min(columns, len(strips)))]
    high = max(strip.height for strip in strips)
    sheet = Image.new("RGB", (sum(widths) + 16 * (len(widths) + 1), -(-len(strips) // columns) * (high + 6) + 12))
    sheet.paste((255, 255, 255), (0, 0, *sheet.size))
    for index, strip in enumerate(strips):
        column, line = index % columns, index // columns
        sheet.paste(strip, (16 + sum(widths[:column]) + 16 * column, 8 + line * (high + 6)))
    return sheet
